// SPDX-License-Identifier: Apache-2.0
#include "base/monotonic_time.h"

#include <cstdint>
#include <limits>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

constexpr MonotonicTime At(int64_t nanoseconds) {
  return MonotonicTime::FromNanoseconds(nanoseconds);
}

const MonotonicTime kEnd = MonotonicTime::InfiniteFuture();
const MonotonicTime kBeginning = At(std::numeric_limits<int64_t>::min());

TEST(MonotonicTimeTest, StartsAtTheZeroOfItsClock) { EXPECT_EQ(MonotonicTime(), At(0)); }

TEST(MonotonicTimeTest, IsOrdered) {
  EXPECT_LT(At(1), At(2));
  EXPECT_LT(At(-1), At(0));
  EXPECT_LT(At(1), kEnd);
  EXPECT_NE(At(1), At(2));
  EXPECT_EQ(kEnd, kEnd);
}

TEST(MonotonicTimeTest, MovesByDurationsAndMeasuresThem) {
  EXPECT_EQ(At(5) + absl::Nanoseconds(7), At(12));
  EXPECT_EQ(At(5) - absl::Nanoseconds(7), At(-2));
  EXPECT_EQ(At(5) + -absl::Nanoseconds(7), At(-2));
  EXPECT_EQ(At(12) - At(5), absl::Nanoseconds(7));
  EXPECT_EQ(At(5) - At(12), -absl::Nanoseconds(7));
  EXPECT_EQ(At(0) + absl::Hours(24), At(86'400'000'000'000));
}

TEST(MonotonicTimeTest, SumTooBigIsTheInfiniteFuture) {
  EXPECT_EQ(At(std::numeric_limits<int64_t>::max() - 1) + absl::Nanoseconds(2), kEnd);
  EXPECT_EQ(At(1) + absl::Hours(24 * 365 * 1000), kEnd);
}

TEST(MonotonicTimeTest, SumTooSmallIsTheBeginning) {
  EXPECT_EQ(kBeginning - absl::Nanoseconds(1), kBeginning);
  EXPECT_EQ(At(-1) - absl::InfiniteDuration(), kBeginning);
}

TEST(MonotonicTimeTest, InfiniteDurationLeadsToTheInfiniteFutureFromAnywhere) {
  EXPECT_EQ(At(5) + absl::InfiniteDuration(), kEnd);
  EXPECT_EQ(At(-5) + absl::InfiniteDuration(), kEnd);
  EXPECT_EQ(kBeginning + absl::InfiniteDuration(), kEnd);
}

TEST(MonotonicTimeTest, NothingLeadsBackFromTheInfiniteFuture) {
  EXPECT_EQ(kEnd - absl::Seconds(1), kEnd);
  EXPECT_EQ(kEnd + absl::Seconds(1), kEnd);
  EXPECT_EQ(kEnd - absl::InfiniteDuration(), kEnd);
}

TEST(MonotonicTimeTest, TheInfiniteFutureIsInfinitelyFar) {
  EXPECT_EQ(kEnd - At(5), absl::InfiniteDuration());
  EXPECT_EQ(At(5) - kEnd, -absl::InfiniteDuration());
  EXPECT_EQ(kEnd - kEnd, absl::ZeroDuration());
}

TEST(MonotonicTimeTest, DifferenceDoesNotOverflow) {
  EXPECT_EQ(At(std::numeric_limits<int64_t>::max() - 1) - kBeginning,
            absl::Nanoseconds(std::numeric_limits<int64_t>::max()) * 2);
}

TEST(ClockTest, SystemClockNeverGoesBack) {
  const Clock& clock = Clock::System();
  MonotonicTime last = clock.Now();
  EXPECT_GT(last, MonotonicTime());
  for (int i = 0; i < 1000; ++i) {
    const MonotonicTime now = clock.Now();
    EXPECT_GE(now, last);
    last = now;
  }
}

}  // namespace
}  // namespace millrace
