// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/histogram.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/time/time.h"
#include "base/random.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

constexpr double kPercents[] = {0, 0.1, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100};

// What a sorted list says: the smallest time that `percent` of all do not exceed.
int64_t ExactPercentile(const std::vector<int64_t>& sorted, double percent) {
  const double rank = std::ceil(percent * static_cast<double>(sorted.size()) / 100 - 1e-6);
  return sorted[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

Histogram HistogramOf(const std::vector<int64_t>& times_ns) {
  Histogram histogram;
  for (const int64_t ns : times_ns) histogram.Add(absl::Nanoseconds(ns));
  return histogram;
}

void ExpectCloseToExact(std::vector<int64_t> times_ns) {
  const Histogram histogram = HistogramOf(times_ns);
  std::sort(times_ns.begin(), times_ns.end());
  for (const double percent : kPercents) {
    const int64_t exact = ExactPercentile(times_ns, percent);
    const int64_t got = absl::ToInt64Nanoseconds(histogram.Percentile(percent));
    // Three significant digits, with room: half a bucket is 1/2,048.
    EXPECT_LE(std::abs(got - exact), exact / 2000) << percent << " %, exactly " << exact;
  }
}

TEST(HistogramTest, EmptySaysZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0);
  EXPECT_EQ(histogram.min(), absl::ZeroDuration());
  EXPECT_EQ(histogram.max(), absl::ZeroDuration());
  EXPECT_EQ(histogram.Percentile(50), absl::ZeroDuration());
  EXPECT_EQ(histogram.Percentile(100), absl::ZeroDuration());
}

TEST(HistogramTest, OneTimeIsAllPercentiles) {
  const Histogram histogram = HistogramOf({1'234'567});
  for (const double percent : kPercents) {
    EXPECT_EQ(histogram.Percentile(percent), absl::Nanoseconds(1'234'567));
  }
}

TEST(HistogramTest, ShortTimesAreExact) {
  std::vector<int64_t> times;
  for (int64_t ns = 0; ns < 2048; ++ns) times.push_back(ns);
  const Histogram histogram = HistogramOf(times);
  for (const double percent : kPercents) {
    EXPECT_EQ(histogram.Percentile(percent), absl::Nanoseconds(ExactPercentile(times, percent)));
  }
}

TEST(HistogramTest, PercentilesOfEvenlySpreadTimes) {
  std::vector<int64_t> times;
  for (int64_t us = 1; us <= 100'000; ++us) times.push_back(us * 1000);
  ExpectCloseToExact(times);
}

TEST(HistogramTest, PercentilesOfALongTail) {
  Random random(1);
  std::vector<int64_t> times;
  for (int i = 0; i < 200'000; ++i) {
    times.push_back(static_cast<int64_t>(20'000 * std::pow(1 - random.Unit(), -1.5)));
  }
  ExpectCloseToExact(times);
}

// Each power of two begins a new run of buckets.
TEST(HistogramTest, EverySizeOfTimeIsToldToThreeDigits) {
  for (int bits = 1; bits < 63; ++bits) {
    for (const int64_t delta : {-1, 0, 1, 1000}) {
      const int64_t ns = (int64_t{1} << bits) + delta;
      // Neither the shortest nor the longest, which are known exactly.
      const Histogram histogram = HistogramOf({0, ns, std::numeric_limits<int64_t>::max()});
      const int64_t got = absl::ToInt64Nanoseconds(histogram.Percentile(50));
      EXPECT_LE(std::abs(got - ns), ns / 2000) << bits << " bits, " << delta;
    }
  }
}

TEST(HistogramTest, MinAndMaxAreExact) {
  const Histogram histogram = HistogramOf({9'999'999'999, 123'456'789, 5'555'555'555});
  EXPECT_EQ(histogram.min(), absl::Nanoseconds(123'456'789));
  EXPECT_EQ(histogram.max(), absl::Nanoseconds(9'999'999'999));
  EXPECT_EQ(histogram.Percentile(0), histogram.min());
  EXPECT_EQ(histogram.Percentile(100), histogram.max());
}

TEST(HistogramTest, NegativeTimesCountAsNone) {
  const Histogram histogram = HistogramOf({-5});
  EXPECT_EQ(histogram.count(), 1);
  EXPECT_EQ(histogram.max(), absl::ZeroDuration());
}

TEST(HistogramTest, MergedAreAsOneThatHeardAll) {
  Random random(2);
  std::vector<int64_t> times, odd, even;
  for (int i = 0; i < 10'000; ++i) {
    times.push_back(static_cast<int64_t>(random.Below(i % 2 == 0 ? 1'000 : 1'000'000'000)));
    (i % 2 == 0 ? even : odd).push_back(times.back());
  }
  Histogram merged = HistogramOf(even);  // The shorter one: it has to grow.
  merged.Merge(HistogramOf(odd));
  const Histogram all = HistogramOf(times);
  EXPECT_EQ(merged.count(), all.count());
  for (const double percent : kPercents) {
    EXPECT_EQ(merged.Percentile(percent), all.Percentile(percent)) << percent;
  }
}

TEST(HistogramTest, ManyAtOnceAreAsManyOneByOne) {
  Histogram at_once, one_by_one;
  at_once.Add(absl::Nanoseconds(70), 3);
  at_once.Add(absl::Nanoseconds(5'000'000), 1);
  at_once.Add(absl::Nanoseconds(1), 0);
  for (const int64_t ns : {70, 70, 70, 5'000'000}) one_by_one.Add(absl::Nanoseconds(ns));
  EXPECT_EQ(at_once.count(), 4);
  EXPECT_EQ(at_once.min(), absl::Nanoseconds(70));
  for (const double percent : kPercents) {
    EXPECT_EQ(at_once.Percentile(percent), one_by_one.Percentile(percent)) << percent;
  }
}

TEST(HistogramTest, NanosecondsAreAsGoodAsADuration) {
  Histogram durations, nanoseconds;
  for (const int64_t ns : {-5, 0, 2047, 2048, 5'000'000}) {
    durations.Add(absl::Nanoseconds(ns), 2);
    nanoseconds.AddNanoseconds(ns, 2);
  }
  EXPECT_EQ(nanoseconds.count(), 10);
  EXPECT_EQ(nanoseconds.max(), durations.max());
  for (const double percent : kPercents) {
    EXPECT_EQ(nanoseconds.Percentile(percent), durations.Percentile(percent)) << percent;
  }
}

TEST(HistogramTest, MergingNothingChangesNothing) {
  Histogram histogram = HistogramOf({7, 8});
  histogram.Merge(Histogram());
  EXPECT_EQ(histogram.count(), 2);
  EXPECT_EQ(histogram.min(), absl::Nanoseconds(7));
  Histogram empty;
  empty.Merge(histogram);
  EXPECT_EQ(empty.min(), absl::Nanoseconds(7));
  EXPECT_EQ(empty.max(), absl::Nanoseconds(8));
}

// 99.9 / 100 * 1,000 is a little more than 999 in floating point.
TEST(HistogramTest, RoundingDoesNotMoveTheRank) {
  std::vector<int64_t> times(999, 10);
  times.push_back(1000);
  EXPECT_EQ(HistogramOf(times).Percentile(99.9), absl::Nanoseconds(10));
}

}  // namespace
}  // namespace millrace
