// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/send_schedule.h"

#include <cstdint>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

const MonotonicTime kStart = MonotonicTime::FromNanoseconds(5'000'000'000);

TEST(SendScheduleTest, CountsWhatIsDueBeforeATime) {
  const SendSchedule schedule(kStart, 1000);
  EXPECT_EQ(schedule.CountBefore(kStart - absl::Seconds(1)), 0);
  EXPECT_EQ(schedule.CountBefore(kStart), 0);
  EXPECT_EQ(schedule.CountBefore(kStart + absl::Nanoseconds(1)), 1);
  EXPECT_EQ(schedule.CountBefore(kStart + absl::Milliseconds(1)), 1);
  EXPECT_EQ(schedule.CountBefore(kStart + absl::Seconds(2)), 2000);
}

TEST(SendScheduleTest, CountAgreesWithEachMessagesTime) {
  for (const int rate : {1, 7, 999, 123'457, 10'000'000}) {
    const SendSchedule schedule(kStart, rate);
    for (const int64_t message : {0, 1, 6, 7, 8, 998, 1000, 123'456, 123'458, 1'000'000'007}) {
      const MonotonicTime due = schedule.due(message);
      EXPECT_EQ(schedule.CountBefore(due), message) << rate;
      EXPECT_EQ(schedule.CountBefore(due + absl::Nanoseconds(1)), message + 1) << rate;
    }
  }
}

TEST(SendScheduleTest, MessagesAreDueAtAnEvenRate) {
  const SendSchedule schedule(kStart, 1000);
  EXPECT_EQ(schedule.due(0), kStart);
  EXPECT_EQ(schedule.due(1), kStart + absl::Milliseconds(1));
  EXPECT_EQ(schedule.due(1500), kStart + absl::Milliseconds(1500));
}

TEST(SendScheduleTest, ARateThatDoesNotDivideASecondDoesNotDrift) {
  const SendSchedule schedule(kStart, 7);
  EXPECT_EQ(schedule.due(1), kStart + absl::Nanoseconds(142'857'142));
  EXPECT_EQ(schedule.due(7), kStart + absl::Seconds(1));
  EXPECT_EQ(schedule.due(7 * 3600), kStart + absl::Hours(1));
}

TEST(SendScheduleTest, ADayAtTheHighestRateIsExact) {
  const SendSchedule schedule(kStart, 10'000'000);
  EXPECT_EQ(schedule.due(int64_t{10'000'000} * 86'400 + 1),
            kStart + absl::Hours(24) + absl::Nanoseconds(100));
}

TEST(SendScheduleTest, AMessageIsDueFromItsTimeOn) {
  const SendSchedule schedule(kStart, 1000);
  const MonotonicTime due = schedule.due(2500);
  EXPECT_TRUE(schedule.IsDue(2500, due));
  EXPECT_FALSE(schedule.IsDue(2500, due - absl::Nanoseconds(1)));
  EXPECT_FALSE(schedule.IsDue(2501, due));
  EXPECT_FALSE(schedule.IsDue(0, kStart - absl::Nanoseconds(1)));
  EXPECT_FALSE(schedule.IsDue(-1, due));
}

// Its time could not even be told in nanoseconds.
TEST(SendScheduleTest, AMessageOfAFarFutureIsNotDue) {
  const SendSchedule schedule(kStart, 1);
  EXPECT_FALSE(schedule.IsDue(int64_t{1} << 62, kStart + absl::Hours(1)));
}

}  // namespace
}  // namespace millrace
