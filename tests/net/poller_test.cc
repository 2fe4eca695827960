// SPDX-License-Identifier: Apache-2.0
#include "net/poller.h"

#include <limits>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace millrace {
namespace {

TEST(IoTest, IsASetOfTwo) {
  EXPECT_EQ(Io::kRead | Io::kWrite, Io::kReadWrite);
  EXPECT_EQ(Io::kReadWrite & Io::kRead, Io::kRead);
  EXPECT_EQ(Io::kRead & Io::kWrite, Io::kNone);
  EXPECT_EQ(~Io::kRead, Io::kWrite);
  EXPECT_EQ(~Io::kNone, Io::kReadWrite);
  EXPECT_EQ(~Io::kReadWrite, Io::kNone);
  EXPECT_FALSE(Any(Io::kNone));
  EXPECT_TRUE(Any(Io::kWrite));
  Io io = Io::kRead;
  io |= Io::kWrite;
  EXPECT_EQ(io, Io::kReadWrite);
  io &= ~Io::kRead;
  EXPECT_EQ(io, Io::kWrite);
}

class PollTimeoutTest : public ::testing::Test {
 protected:
  // Of a wait that begins now and lasts so long.
  int Milliseconds(absl::Duration wait) {
    return PollTimeoutMilliseconds(clock_, clock_.Now() + wait);
  }

  FakeClock clock_;
};

TEST_F(PollTimeoutTest, RoundsUpSoThatNoWaitEndsBeforeItsTimer) {
  EXPECT_EQ(Milliseconds(absl::Nanoseconds(1)), 1);
  EXPECT_EQ(Milliseconds(absl::Nanoseconds(1) / 4), 0);  // Less than a clock can tell.
  EXPECT_EQ(Milliseconds(absl::Milliseconds(1)), 1);
  EXPECT_EQ(Milliseconds(absl::Milliseconds(1) + absl::Nanoseconds(1)), 2);
  EXPECT_EQ(Milliseconds(absl::Seconds(60)), 60'000);
}

TEST_F(PollTimeoutTest, CountsFromWhatTheClockSays) {
  const MonotonicTime until = clock_.Now() + absl::Seconds(60);
  clock_.Advance(absl::Seconds(59));
  EXPECT_EQ(PollTimeoutMilliseconds(clock_, until), 1'000);
  clock_.Advance(absl::Seconds(59));
  EXPECT_EQ(PollTimeoutMilliseconds(clock_, until), 0);
}

TEST_F(PollTimeoutTest, NothingAndLessReturnAtOnce) {
  EXPECT_EQ(Milliseconds(absl::ZeroDuration()), 0);
  EXPECT_EQ(Milliseconds(absl::Seconds(-5)), 0);
  EXPECT_EQ(Milliseconds(-absl::InfiniteDuration()), 0);
}

TEST_F(PollTimeoutTest, InfiniteIsForEverAndLongIsNot) {
  constexpr int kLongest = std::numeric_limits<int>::max();
  EXPECT_EQ(Milliseconds(absl::InfiniteDuration()), -1);
  EXPECT_EQ(Milliseconds(absl::Milliseconds(kLongest)), kLongest);
  EXPECT_EQ(Milliseconds(absl::Milliseconds(kLongest) + absl::Nanoseconds(1)), kLongest);
  EXPECT_EQ(Milliseconds(absl::Hours(24 * 365 * 200)), kLongest);
}

// Which would cost each turn that has something to do already.
TEST(PollTimeoutClockTest, IsNotAskedForWhatNeedsNoClock) {
  class Unasked final : public Clock {
    MonotonicTime Now() const override {
      ADD_FAILURE() << "asked";
      return MonotonicTime();
    }
  };
  const Unasked clock;
  EXPECT_EQ(PollTimeoutMilliseconds(clock, MonotonicTime()), 0);
  EXPECT_EQ(PollTimeoutMilliseconds(clock, MonotonicTime::InfiniteFuture()), -1);
}

}  // namespace
}  // namespace millrace
