// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/precise_timer.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"

namespace millrace {
namespace {

class PreciseTimerTest : public testing::Test {
 protected:
  // Turns until it has fired `times` in all.
  void RunUntilFired(size_t times) {
    while (fired_.size() < times) loop_->RunOnce(absl::Seconds(1));
  }
  MonotonicTime Now() const { return Clock::System().Now(); }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  std::vector<MonotonicTime> fired_;
  std::unique_ptr<PreciseTimer> timer_ =
      PreciseTimer::Create(*loop_, [this] { fired_.push_back(Now()); }).value();
};

TEST_F(PreciseTimerTest, FiresOnceAndNotBeforeItsTime) {
  const MonotonicTime time = Now() + absl::Microseconds(300);
  timer_->ArmAt(time);
  RunUntilFired(1);
  EXPECT_GE(fired_[0], time);
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_EQ(fired_.size(), 1u);
}

TEST_F(PreciseTimerTest, ATimeThatIsPastFiresAtOnce) {
  for (const MonotonicTime past : {MonotonicTime(), Now()}) {
    fired_.clear();
    timer_->ArmAt(past);
    RunUntilFired(1);
  }
}

TEST_F(PreciseTimerTest, ArmedAnewTheOldTimeIsForgotten) {
  timer_->ArmAt(Now());
  timer_->ArmAt(Now() + absl::Hours(1));
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_TRUE(fired_.empty());
  timer_->ArmAt(Now());
  RunUntilFired(1);
}

TEST_F(PreciseTimerTest, DestroyedItDoesNotFire) {
  timer_->ArmAt(Now());
  timer_.reset();
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_TRUE(fired_.empty());
}

}  // namespace
}  // namespace millrace
