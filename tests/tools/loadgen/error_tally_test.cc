// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/error_tally.h"

#include <cstdint>

#include "base/monotonic_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

MonotonicTime At(int64_t ns) { return MonotonicTime::FromNanoseconds(ns); }

TEST(ErrorTallyTest, CountsByKindAndKeepsTheFirstReason) {
  ErrorTally errors;
  EXPECT_THAT(errors.counts(), IsEmpty());
  EXPECT_FALSE(errors.first().has_value());
  errors.Add("late", At(10), "ten");
  errors.Add("late", At(10), "ten again");
  errors.Add("missing", At(20), "twenty", 5);
  EXPECT_THAT(errors.counts(), ElementsAre(Pair("late", 2), Pair("missing", 5)));
  EXPECT_EQ(errors.total(), 7);
  EXPECT_EQ(errors.first()->reason, "ten");
}

TEST(ErrorTallyTest, MergedTheFirstIsTheFirstOfAll) {
  ErrorTally errors, earlier, later;
  errors.Add("late", At(10), "ten");
  earlier.Add("late", At(5), "five");
  later.Add("lost", At(15), "fifteen");
  errors.Merge(later);
  EXPECT_EQ(errors.first()->reason, "ten");
  errors.Merge(earlier);
  EXPECT_EQ(errors.first()->reason, "five");
  errors.Merge(ErrorTally());
  EXPECT_THAT(errors.counts(), ElementsAre(Pair("late", 2), Pair("lost", 1)));
  EXPECT_EQ(errors.total(), 3);
}

}  // namespace
}  // namespace millrace
