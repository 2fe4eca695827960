// SPDX-License-Identifier: Apache-2.0
//
// Timer, the RAII member of net/timer_wheel.h; the wheel itself is timer_wheel_test's.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "gtest/gtest.h"
#include "net/timer_wheel.h"

namespace millrace {
namespace {

using absl::Hours;
using absl::Microseconds;
using absl::Milliseconds;
using absl::Seconds;
using std::string;

MonotonicTime At(absl::Duration since_zero) { return MonotonicTime() + since_zero; }

class TimerTest : public testing::Test {
 protected:
  // How often something fires at that instant, as so many 't's.
  string FireAt(absl::Duration since_zero) {
    fired_.clear();
    wheel_.SetNow(At(since_zero));
    wheel_.FireDue();
    return fired_;
  }

  // At which milliseconds, of those up to `last`, the timer fires if a loop turns at each.
  std::vector<int> FiringsUntil(int last) {
    std::vector<int> firings;
    for (int now = 0; now <= last; ++now) {
      if (FireAt(Milliseconds(now)) != "") firings.push_back(now);
    }
    return firings;
  }

  string fired_;
  TimerWheel wheel_{MonotonicTime()};
  std::function<void()> then_ = [] {};
  Timer timer_{wheel_, [this] {
                 fired_ += 't';
                 then_();
               }};
};

TEST_F(TimerTest, FiresOnceForEachArm) {
  timer_.Arm(Milliseconds(5));
  EXPECT_TRUE(timer_.armed());
  EXPECT_EQ(timer_.deadline(), At(Milliseconds(5)));
  EXPECT_EQ(FiringsUntil(20), std::vector<int>({5}));
  EXPECT_FALSE(timer_.armed());
  timer_.ArmAt(At(Milliseconds(25)));
  EXPECT_EQ(FireAt(Milliseconds(25)), "t");
}

TEST_F(TimerTest, CancelledOrDestroyedItDoesNotFire) {
  timer_.Arm(Milliseconds(5));
  timer_.Cancel();
  {
    Timer brief(wheel_, [this] { fired_ += 'b'; });
    brief.Arm(Milliseconds(5));
  }
  EXPECT_EQ(FireAt(Seconds(1)), "");
}

TEST_F(TimerTest, RearmsItselfInItsFunction) {
  then_ = [this] { timer_.Arm(Milliseconds(3)); };
  timer_.Arm(Milliseconds(1));
  EXPECT_EQ(FiringsUntil(10), std::vector<int>({1, 4, 7, 10}));
}

TEST_F(TimerTest, FunctionDestroysItsTimerAndStillHasItsCaptures) {
  string said;
  auto timer = std::make_unique<std::optional<Timer>>();
  timer->emplace(
      wheel_, [&said, words = string("a text too long to lie in a string itself"), &own = *timer] {
        own.reset();
        said = words;
      });
  (*timer)->ArmEvery(Milliseconds(5));
  wheel_.SetNow(At(Milliseconds(5)));
  EXPECT_EQ(wheel_.FireDue(), 1);
  EXPECT_EQ(said, "a text too long to lie in a string itself");
  EXPECT_FALSE(timer->has_value());
  EXPECT_EQ(wheel_.NextDeadline(), MonotonicTime::InfiniteFuture());
}

TEST_F(TimerTest, FunctionWithCapturesThatDoNotFitInlineFiresAgainAndAgain) {
  int sum = 0;
  Timer timer(wheel_, [&sum, words = string(100, 'w'), one = std::make_unique<int>(1)] {
    sum += static_cast<int>(words.size()) + *one;
  });
  timer.ArmEvery(Milliseconds(1));
  for (int now = 1; now <= 3; ++now) {
    wheel_.SetNow(At(Milliseconds(now)));
    wheel_.FireDue();
  }
  EXPECT_EQ(sum, 303);
}

TEST_F(TimerTest, EveryPeriodFiresUntilCancelled) {
  timer_.ArmEvery(Milliseconds(10));
  EXPECT_EQ(FiringsUntil(35), std::vector<int>({10, 20, 30}));
  EXPECT_TRUE(timer_.armed());
  timer_.Cancel();
  EXPECT_EQ(FireAt(Seconds(1)), "");
}

TEST_F(TimerTest, EveryPeriodKeepsItsPhaseWhenTheLoopIsLate) {
  timer_.ArmEvery(Milliseconds(10));
  EXPECT_EQ(FireAt(Milliseconds(17)), "t");
  EXPECT_EQ(timer_.deadline(), At(Milliseconds(20)));
  EXPECT_EQ(FireAt(Milliseconds(20)), "t");
}

TEST_F(TimerTest, EveryPeriodFiresOnceForAllThatAStallMissed) {
  timer_.ArmEvery(Milliseconds(10));
  EXPECT_EQ(FireAt(Hours(24) + Milliseconds(3)), "t");
  EXPECT_EQ(FireAt(Hours(24) + Milliseconds(3)), "");
  EXPECT_EQ(timer_.deadline(), At(Hours(24) + Milliseconds(10)));
}

TEST_F(TimerTest, EveryPeriodOnTheDotOfALaterOneSkipsThatToo) {
  timer_.ArmEvery(Milliseconds(10));
  EXPECT_EQ(FireAt(Milliseconds(20)), "t");
  EXPECT_EQ(timer_.deadline(), At(Milliseconds(30)));
}

TEST_F(TimerTest, RoundingUpDoesNotStretchThePeriod) {
  timer_.ArmEvery(Microseconds(2500));
  EXPECT_EQ(FiringsUntil(15), std::vector<int>({3, 5, 8, 10, 13, 15}));
}

TEST_F(TimerTest, EveryPeriodIsArmedInItsFunctionAndCanBeCancelledThere) {
  bool armed = false;
  then_ = [&] {
    armed = timer_.armed();
    timer_.Cancel();
  };
  timer_.ArmEvery(Milliseconds(10));
  EXPECT_EQ(FiringsUntil(50), std::vector<int>({10}));
  EXPECT_TRUE(armed);
  EXPECT_FALSE(timer_.armed());
}

TEST_F(TimerTest, ArmEndsAnEarlierPeriod) {
  timer_.ArmEvery(Milliseconds(10));
  timer_.Arm(Milliseconds(15));
  EXPECT_EQ(FiringsUntil(50), std::vector<int>({15}));
}

TEST_F(TimerTest, InfinitePeriodNeverFires) {
  timer_.ArmEvery(absl::InfiniteDuration());
  EXPECT_FALSE(timer_.armed());
}

TEST_F(TimerTest, PeriodOfCenturiesFiresOnceAndThenNeverAgain) {
  timer_.ArmEvery(Hours(24 * 365 * 200));
  EXPECT_EQ(FireAt(Hours(24 * 365 * 200)), "t");
  EXPECT_FALSE(timer_.armed());
}

TEST_F(TimerTest, PeriodBelowATickIsABug) {
  EXPECT_DEATH(timer_.ArmEvery(Microseconds(999)), "period");
}

TEST_F(TimerTest, NoFunctionIsABug) { EXPECT_DEATH(Timer(wheel_, nullptr), "on_fire"); }

TEST_F(TimerTest, OutlivesItsWheel) {
  auto wheel = std::make_unique<TimerWheel>(MonotonicTime());
  Timer timer(*wheel, [] {});
  timer.ArmEvery(Milliseconds(5));
  wheel.reset();
  EXPECT_FALSE(timer.armed());
}

}  // namespace
}  // namespace millrace
