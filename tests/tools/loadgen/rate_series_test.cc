// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/rate_series.h"

#include <cstdint>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const MonotonicTime kBegin = MonotonicTime::FromNanoseconds(5'000'000'000);

void AddTimes(RateSeries& series, absl::Duration at, int count) {
  for (int i = 0; i < count; ++i) series.Add(kBegin + at);
}

TEST(RateSeriesTest, EachIntervalIsCountedByItself) {
  RateSeries series(kBegin, absl::Milliseconds(300));
  AddTimes(series, absl::ZeroDuration(), 1);
  AddTimes(series, absl::Milliseconds(100) - absl::Nanoseconds(1), 1);
  AddTimes(series, absl::Milliseconds(100), 3);
  AddTimes(series, absl::Milliseconds(299), 4);
  EXPECT_THAT(series.counts(), ElementsAre(2, 3, 4));
  EXPECT_THAT(series.RatesUntil(absl::Milliseconds(300)), ElementsAre(20, 30, 40));
}

TEST(RateSeriesTest, WhatIsBeforeOrAfterIsNotCounted) {
  RateSeries series(kBegin, absl::Milliseconds(100));
  AddTimes(series, absl::Milliseconds(-1), 1);
  AddTimes(series, absl::Milliseconds(100), 1);
  EXPECT_THAT(series.counts(), ElementsAre(0));
}

TEST(RateSeriesTest, HoweverLongItIsBounded) {
  for (const absl::Duration length :
       {absl::Minutes(1), absl::Minutes(1) + absl::Nanoseconds(1), absl::Minutes(10),
        absl::Hours(10), absl::Hours(24 * 365 * 100)}) {
    const RateSeries series(kBegin, length);
    EXPECT_GE(series.counts().size(), 60u) << length;
    EXPECT_LE(series.counts().size(), RateSeries::kSamplesMax) << length;
    EXPECT_GE(series.interval() * series.counts().size(), length * 0.999) << length;
  }
  EXPECT_EQ(RateSeries(kBegin, absl::Minutes(1)).interval(), absl::Milliseconds(100));
  EXPECT_EQ(RateSeries(kBegin, absl::Minutes(10)).interval(), absl::Seconds(1));
}

TEST(RateSeriesTest, OfNoTimeItIsEmpty) {
  RateSeries series;
  series.Add(kBegin);
  EXPECT_THAT(series.counts(), IsEmpty());
  EXPECT_THAT(RateSeries(kBegin, absl::Seconds(-1)).counts(), IsEmpty());
}

TEST(RateSeriesTest, ThoseOfTwoThreadsAddUp) {
  RateSeries first(kBegin, absl::Milliseconds(200)), second(kBegin, absl::Milliseconds(200));
  AddTimes(first, absl::Milliseconds(50), 2);
  AddTimes(second, absl::Milliseconds(50), 3);
  AddTimes(second, absl::Milliseconds(150), 4);
  RateSeries sum;
  sum.Merge(first);
  sum.Merge(RateSeries());
  sum.Merge(second);
  EXPECT_THAT(sum.counts(), ElementsAre(5, 4));
}

TEST(RateSeriesTest, ARunThatEndedEarlyHasNoRatesAfterItsEnd) {
  RateSeries series(kBegin, absl::Seconds(10));
  AddTimes(series, absl::Milliseconds(10), 10);
  AddTimes(series, absl::Milliseconds(120), 10);
  EXPECT_THAT(series.RatesUntil(absl::Milliseconds(150)), ElementsAre(100, 200));
  EXPECT_THAT(series.RatesUntil(absl::Milliseconds(149)), ElementsAre(100)) << "too short to tell";
  EXPECT_THAT(series.RatesUntil(absl::Milliseconds(20)), ElementsAre(500)) << "there is no other";
  EXPECT_THAT(series.RatesUntil(absl::ZeroDuration()), IsEmpty());
}

}  // namespace
}  // namespace millrace
