// SPDX-License-Identifier: Apache-2.0
#include "net/pending_message.h"

#include <limits>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "gtest/gtest.h"
#include "net/limits.h"

namespace millrace {
namespace {

constexpr MonotonicTime At(int64_t seconds) {
  return MonotonicTime::FromNanoseconds(seconds * 1'000'000'000);
}

constexpr uint32_t kGraceMs = 10'000;

TEST(PendingMessageTest, EachByteBuysItsShareOfASecond) {
  PendingMessage message(At(100));
  EXPECT_EQ(message.RateDeadline(kGraceMs, 500), At(110));
  message.Arrived(1'000);
  EXPECT_EQ(message.RateDeadline(kGraceMs, 500), At(112));
  message.Arrived(1);
  EXPECT_EQ(message.RateDeadline(kGraceMs, 500) - At(112), absl::Milliseconds(2));
}

TEST(PendingMessageTest, NoNumberOfBytesOverflows) {
  for (const uint64_t rate : {uint64_t{1}, uint64_t{3}, uint64_t{kMinimumRateMax}}) {
    PendingMessage message(At(100));
    message.Arrived(std::numeric_limits<size_t>::max());
    const MonotonicTime deadline = message.RateDeadline(std::numeric_limits<uint32_t>::max(), rate);
    EXPECT_GT(deadline, At(100) + absl::Hours(24 * 365)) << rate;
    EXPECT_LT(deadline, MonotonicTime::InfiniteFuture()) << rate;
  }
}

TEST(PendingMessageTest, AnewItCountsWhatIsThere) {
  PendingMessage message(At(100));
  message.Arrived(1'000);
  message.unread.Append("12345");
  message.Restart(At(200));
  EXPECT_EQ(message.since(), At(200));
  EXPECT_EQ(message.bytes(), 5u);
}

TEST(PendingMessageTest, TimeInWhichWeDoNotReadIsTakenOut) {
  PendingMessage message(At(100));
  message.SetReading(false, At(110));
  message.SetReading(false, At(120));
  message.SetReading(true, At(150));
  message.SetReading(true, At(160));
  EXPECT_EQ(message.since(), At(140)) << "40 s of 50 s";
}

TEST(PendingMessageTest, AnewWhileWeDoNotReadItsClockStandsToo) {
  PendingMessage message(At(100));
  message.SetReading(false, At(110));
  message.Restart(At(130));
  message.SetReading(true, At(150));
  EXPECT_EQ(message.since(), At(150));
}

TEST(PendingMessageTest, IsOverOnceNothingIsLeftAndNothingIsToCome) {
  PendingMessage message(At(100));
  EXPECT_TRUE(message.over());
  message.begun = true;
  EXPECT_FALSE(message.over());
  message.begun = false;
  message.unread.Append("x");
  EXPECT_FALSE(message.over());
}

}  // namespace
}  // namespace millrace
