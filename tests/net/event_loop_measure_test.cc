// SPDX-License-Identifier: Apache-2.0
//
// How long turns last and posts wait, as EventLoop::Options::measure_turns counts it.
#include <memory>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

constexpr absl::Duration kMillisecond = absl::Milliseconds(1);

class EventLoopMeasureTest : public ::testing::Test {
 protected:
  // A turn that lasts so long.
  void TurnOf(absl::Duration time) {
    loop_->ref().Post([this, time] { loop_.clock().Advance(time); });
    loop_.Step();
  }
  static absl::Duration Time(const Counter& counter) { return absl::Nanoseconds(counter.value()); }
  const LoopCounters& counters() { return loop_->counters(); }

  TestLoop loop_{{.measure_turns = true}};
};

TEST_F(EventLoopMeasureTest, TurnsAreAddedUpAndTheLongestKept) {
  TurnOf(2 * kMillisecond);
  TurnOf(5 * kMillisecond);
  TurnOf(3 * kMillisecond);
  EXPECT_EQ(Time(counters().busy_ns), 10 * kMillisecond);
  EXPECT_EQ(Time(counters().longest_turn_ns), 5 * kMillisecond);
}

TEST_F(EventLoopMeasureTest, TheWaitIsNoPartOfIt) {
  loop_.Advance(absl::Seconds(60));
  EXPECT_EQ(counters().busy_ns.value(), 0u);
}

TEST_F(EventLoopMeasureTest, TimersAndWhatIsDestroyedAreAPartOfIt) {
  struct Slow : Deferred {
    explicit Slow(TestLoop& loop) : loop(loop) {}
    ~Slow() override { loop.clock().Advance(kMillisecond); }
    TestLoop& loop;
  };
  Timer timer(loop_->timers(), [&] { loop_.clock().Advance(kMillisecond); });
  timer.Arm(absl::ZeroDuration());
  loop_->DestroyLater(std::make_unique<Slow>(loop_));
  loop_.Step();
  EXPECT_EQ(Time(counters().busy_ns), 2 * kMillisecond);
}

TEST_F(EventLoopMeasureTest, PostsDelayIsThatOfTheFirstOfABurst) {
  loop_->ref().Post([] {});
  loop_.clock().Advance(3 * kMillisecond);
  loop_->ref().Post([] {});
  loop_.clock().Advance(kMillisecond);
  loop_.Step();
  EXPECT_EQ(counters().bursts_of_posts.value(), 1u);
  EXPECT_EQ(Time(counters().post_delay_ns), 4 * kMillisecond);
  loop_->ref().Post([] {});
  loop_.clock().Advance(kMillisecond);
  loop_.Step();
  EXPECT_EQ(counters().bursts_of_posts.value(), 2u);
  EXPECT_EQ(Time(counters().post_delay_ns), 5 * kMillisecond);
  EXPECT_EQ(Time(counters().longest_post_delay_ns), 4 * kMillisecond);
}

TEST_F(EventLoopMeasureTest, PostThatWaitsForALongTurnIsDelayed) {
  loop_->ref().Post([this] {
    loop_->ref().Post([] {});
    loop_.clock().Advance(7 * kMillisecond);
  });
  loop_.Step();
  loop_.Step();
  EXPECT_EQ(Time(counters().longest_post_delay_ns), 7 * kMillisecond);
}

TEST_F(EventLoopMeasureTest, NothingIsMeasuredUnlessAskedFor) {
  TestLoop loop;
  loop->ref().Post([&] { loop.clock().Advance(kMillisecond); });
  loop.clock().Advance(kMillisecond);
  loop.Step();
  EXPECT_EQ(loop->counters().turns.value(), 1u);
  EXPECT_EQ(loop->counters().busy_ns.value(), 0u);
  EXPECT_EQ(loop->counters().longest_turn_ns.value(), 0u);
  EXPECT_EQ(loop->counters().bursts_of_posts.value(), 0u);
  EXPECT_EQ(loop->counters().longest_post_delay_ns.value(), 0u);
}

}  // namespace
}  // namespace millrace
