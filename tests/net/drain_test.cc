// SPDX-License-Identifier: Apache-2.0
#include "net/drain.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(DrainReportTest, AddsUpAndReadsAsALineOfALog) {
  DrainReport report = {.ended = 1, .half_closed = 20, .failed = 3, .cut_off = 4};
  report += DrainReport{.ended = 1, .failed = 1, .cut_off = 2, .cut_off_with_output = 1};
  EXPECT_EQ(report.total(), 32);
  EXPECT_EQ(absl::StrCat(report),
            "32 connections: 2 ended, 20 ended when half-closed, 4 failed, 6 cut off (1 of them "
            "with output)");
}

TEST(DrainReportTest, NothingWasOpen) {
  EXPECT_EQ(DrainReport().total(), 0);
  EXPECT_EQ(DrainReport(), DrainReport{});
}

}  // namespace
}  // namespace millrace
