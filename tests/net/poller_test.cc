// SPDX-License-Identifier: Apache-2.0
#include "net/poller.h"

#include <limits>

#include "absl/time/time.h"
#include "gtest/gtest.h"

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

TEST(PollTimeoutTest, RoundsUpSoThatNoWaitEndsBeforeItsTimer) {
  EXPECT_EQ(PollTimeoutMilliseconds(absl::Nanoseconds(1)), 1);
  EXPECT_EQ(PollTimeoutMilliseconds(absl::Nanoseconds(1) / 4), 0);  // Less than a clock can tell.
  EXPECT_EQ(PollTimeoutMilliseconds(absl::Milliseconds(1)), 1);
  EXPECT_EQ(PollTimeoutMilliseconds(absl::Milliseconds(1) + absl::Nanoseconds(1)), 2);
  EXPECT_EQ(PollTimeoutMilliseconds(absl::Seconds(60)), 60'000);
}

TEST(PollTimeoutTest, NothingAndLessReturnAtOnce) {
  EXPECT_EQ(PollTimeoutMilliseconds(absl::ZeroDuration()), 0);
  EXPECT_EQ(PollTimeoutMilliseconds(absl::Seconds(-5)), 0);
  EXPECT_EQ(PollTimeoutMilliseconds(-absl::InfiniteDuration()), 0);
}

TEST(PollTimeoutTest, InfiniteIsForEverAndLongIsNot) {
  constexpr int kLongest = std::numeric_limits<int>::max();
  EXPECT_EQ(PollTimeoutMilliseconds(absl::InfiniteDuration()), -1);
  EXPECT_EQ(PollTimeoutMilliseconds(absl::Milliseconds(kLongest)), kLongest);
  EXPECT_EQ(PollTimeoutMilliseconds(absl::Hours(24 * 365 * 1000)), kLongest);
}

}  // namespace
}  // namespace millrace
