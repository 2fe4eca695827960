// SPDX-License-Identifier: Apache-2.0
//
// What a visitor's first command does.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/child_process.h"

namespace millrace {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kQuickstart[] = "examples/quickstart/quickstart";

TEST(QuickstartTest, RunsAndShowsATable) {
  const ChildProcess::Result result = RunProgram({kQuickstart, "--duration=1s", "--connections=4"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, StartsWith("Millrace: an echo server with "));
  for (const char* row : {"connections", "messages ", "messages/s", "MiB/s", "errors ", "  min",
                          "  p50", "  p90", "  p99 ", "  p99.9 ", "  p99.99", "  max"}) {
    EXPECT_THAT(result.out, HasSubstr(row));
  }
  EXPECT_THAT(result.out, EndsWith("\nEvery byte came back right.\n"));
}

TEST(QuickstartTest, TakesOtherLoads) {
  const ChildProcess::Result result =
      RunProgram({kQuickstart, "--duration=1s", "--connections=5", "--message_bytes=100000",
                  "--pipeline=3", "--threads=1", "--poller=poll"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(" on poll, at 127.0.0.1:"));
  EXPECT_THAT(result.out, HasSubstr("5 connections"));
}

TEST(QuickstartTest, BadFlagsAreRefused) {
  const ChildProcess::Result result = RunProgram({kQuickstart, "--connections=0"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, StartsWith("quickstart: --connections=0: "));
}

}  // namespace
}  // namespace millrace
