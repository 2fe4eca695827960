// SPDX-License-Identifier: Apache-2.0
#include "net/busy_poll.h"

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/limits.h"
#include "tests/support/scripted_poller.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

constexpr absl::Duration kLongest = absl::Microseconds(50);

class BusyPollTest : public ::testing::Test {
 protected:
  // Work that comes `gap` after what came last.
  void WorkAfter(absl::Duration gap) {
    now_ = now_ + gap;
    poll_.OnTurn(now_, /*worked=*/true);
  }
  bool PollsAfter(absl::Duration idle) const { return poll_.Polls(now_ + idle); }

  MonotonicTime now_ = MonotonicTime() + absl::Hours(1);
  BusyPoll poll_{kLongest};
};

TEST_F(BusyPollTest, SleepsUntilThereWasWork) { EXPECT_FALSE(PollsAfter(absl::ZeroDuration())); }

TEST_F(BusyPollTest, PollsAfterWorkForAsLongAsItMay) {
  WorkAfter(absl::Hours(1));
  EXPECT_TRUE(PollsAfter(absl::ZeroDuration()));
  EXPECT_TRUE(PollsAfter(kLongest - absl::Nanoseconds(1)));
  EXPECT_FALSE(PollsAfter(kLongest)) << "the core is given back";
}

TEST_F(BusyPollTest, GoesOnWhileItFindsSomething) {
  for (int i = 0; i < 10; ++i) {
    WorkAfter(kLongest);
    EXPECT_TRUE(PollsAfter(absl::ZeroDuration()));
  }
}

TEST_F(BusyPollTest, TrafficInLongerStepsIsPolledForMoreAndMoreSeldom) {
  const auto polls_in = [&](int works) {
    int polls = 0;
    for (int i = 0; i < works; ++i) {
      WorkAfter(2 * kLongest);
      polls += PollsAfter(absl::ZeroDuration()) ? 1 : 0;
    }
    return polls;
  };
  EXPECT_EQ(polls_in(1), 1);
  EXPECT_EQ(polls_in(2), 1) << "one is left out";
  EXPECT_EQ(polls_in(4), 1) << "then three";
  EXPECT_LE(polls_in(10'000), 20);
  EXPECT_EQ(polls_in(10'240), 10) << "one in 1,024 in the end";
}

TEST_F(BusyPollTest, FindingSomethingOnceIsEnoughToGoOn) {
  for (int i = 0; i < 5'000; ++i) WorkAfter(2 * kLongest);
  while (!PollsAfter(absl::ZeroDuration())) WorkAfter(2 * kLongest);
  WorkAfter(kLongest);
  EXPECT_TRUE(PollsAfter(absl::ZeroDuration()));
  WorkAfter(2 * kLongest);
  EXPECT_FALSE(PollsAfter(absl::ZeroDuration()));
  WorkAfter(2 * kLongest);
  EXPECT_TRUE(PollsAfter(absl::ZeroDuration())) << "it leaves out one again, not a thousand";
}

TEST_F(BusyPollTest, TurnsWithoutWorkChangeNothing) {
  WorkAfter(absl::Hours(1));
  poll_.OnTurn(now_ + absl::Microseconds(20), /*worked=*/false);
  EXPECT_TRUE(PollsAfter(absl::Microseconds(49)));
  EXPECT_FALSE(PollsAfter(kLongest));
}

TEST_F(BusyPollTest, SwitchedOffItNeverPolls) {
  BusyPoll off{absl::ZeroDuration()};
  for (int i = 0; i < 3; ++i) {
    off.OnTurn(now_, /*worked=*/true);
    EXPECT_FALSE(off.Polls(now_));
  }
}

// The loop's part: it asks again at once, and goes to sleep when the time is over.
TEST(BusyPollLoopTest, AsksAgainAfterWorkAndThenSleeps) {
  ScriptedPoller* poller;
  TestLoop loop({.poller = ScriptedPoller::Factory(poller), .busy_poll = kLongest});
  const auto turn = [&] { loop->RunOnce(absl::InfiniteDuration()); };
  loop->ref().Post([] {});
  turn();
  for (int i = 0; i < 3; ++i) {
    turn();
    EXPECT_EQ(poller->last_wait(), absl::ZeroDuration()) << "by the time of the turn before";
    loop.clock().Advance(kLongest / 2);
  }
  turn();
  EXPECT_EQ(poller->last_wait(), absl::InfiniteDuration());
  EXPECT_EQ(loop->counters().polls.value(), 3u);
}

TEST(BusyPollLoopTest, IsBounded) {
  for (const absl::Duration wrong : {-kLongest, kBusyPollMax * 2, absl::InfiniteDuration()}) {
    EXPECT_TRUE(absl::IsInvalidArgument(EventLoop::Create({.busy_poll = wrong}).status()));
  }
}

}  // namespace
}  // namespace millrace
