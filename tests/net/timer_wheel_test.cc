// SPDX-License-Identifier: Apache-2.0
#include "net/timer_wheel.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using absl::Hours;
using absl::Microseconds;
using absl::Milliseconds;
using absl::Seconds;
using std::string;

MonotonicTime At(absl::Duration since_zero) { return MonotonicTime() + since_zero; }

// An entry that writes its name down when it fires, then does what the test wants.
class Probe final : public TimerEntry {
 public:
  explicit Probe(string& log, char name = 'x') : log_(log), name_(name) {}

  std::function<void()> then = [] {};

 private:
  void OnTimer() override {
    log_ += name_;
    const auto act = then;  // Which may destroy this.
    act();
  }

  string& log_;
  char name_;
};

class TimerWheelTest : public testing::Test {
 protected:
  // What fires at that instant; the whole log is `fired_`.
  string FireAt(absl::Duration since_zero) {
    wheel_.SetNow(At(since_zero));
    const size_t before = fired_.size();
    const int count = wheel_.FireDue();
    EXPECT_EQ(static_cast<size_t>(count), fired_.size() - before);
    return fired_.substr(before);
  }

  // Sleeps as a loop does, until something has fired; counts how often it woke for that.
  int WakeUpsUntilFired() {
    const size_t before = fired_.size();
    int wake_ups = 0;
    while (fired_.size() == before) {
      const MonotonicTime next = wheel_.NextDeadline();
      if (next == MonotonicTime::InfiniteFuture()) return -1;
      wheel_.SetNow(next);
      wheel_.FireDue();
      ++wake_ups;
    }
    return wake_ups;
  }

  string fired_;
  TimerWheel wheel_{MonotonicTime()};
  Probe a_{fired_, 'a'}, b_{fired_, 'b'}, c_{fired_, 'c'}, d_{fired_, 'd'}, e_{fired_, 'e'};
};

TEST_F(TimerWheelTest, AnEmptyWheelNeverWakesAnyone) {
  EXPECT_EQ(wheel_.NextDeadline(), MonotonicTime::InfiniteFuture());
  EXPECT_EQ(FireAt(Hours(24)), "");
  EXPECT_EQ(wheel_.NextDeadline(), MonotonicTime::InfiniteFuture());
}

TEST_F(TimerWheelTest, FiresOnceAtItsDeadlineAndNotBefore) {
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  EXPECT_TRUE(a_.armed());
  EXPECT_EQ(a_.deadline(), At(Milliseconds(5)));
  EXPECT_EQ(wheel_.NextDeadline(), At(Milliseconds(5)));
  EXPECT_EQ(FireAt(Milliseconds(4)), "");
  EXPECT_EQ(FireAt(Milliseconds(5)), "a");
  EXPECT_FALSE(a_.armed());
  EXPECT_EQ(FireAt(Milliseconds(6)), "");
}

TEST_F(TimerWheelTest, DeadlineIsRoundedUpToTheTick) {
  wheel_.ArmAt(a_, At(Milliseconds(5) + absl::Nanoseconds(1)));
  EXPECT_EQ(a_.deadline(), At(Milliseconds(6)));
  EXPECT_EQ(FireAt(Microseconds(5999)), "");
  EXPECT_EQ(FireAt(Milliseconds(6)), "a");
}

TEST_F(TimerWheelTest, DelayCountsFromNow) {
  wheel_.SetNow(At(Microseconds(2500)));
  EXPECT_EQ(wheel_.now(), At(Microseconds(2500)));
  wheel_.ArmAfter(a_, Milliseconds(10));
  EXPECT_EQ(a_.deadline(), At(Milliseconds(13)));
}

TEST_F(TimerWheelTest, PastDeadlineIsDueAtOnce) {
  wheel_.SetNow(At(Seconds(10) + Microseconds(300)));
  wheel_.ArmAt(a_, At(Seconds(3)));
  wheel_.ArmAfter(b_, -Hours(1));
  wheel_.ArmAt(c_, At(Seconds(10) + Microseconds(200)));  // In the tick that is half over.
  wheel_.ArmAfter(d_, absl::ZeroDuration());
  wheel_.ArmAfter(e_, -absl::InfiniteDuration());
  EXPECT_LE(wheel_.NextDeadline(), wheel_.now());
  EXPECT_EQ(wheel_.FireDue(), 5);
}

TEST_F(TimerWheelTest, EarlierNowIsIgnored) {
  wheel_.SetNow(At(Seconds(10)));
  wheel_.SetNow(At(Seconds(9)));
  EXPECT_EQ(wheel_.now(), At(Seconds(10)));
  wheel_.ArmAfter(a_, Seconds(1));
  EXPECT_EQ(a_.deadline(), At(Seconds(11)));
}

TEST_F(TimerWheelTest, SetNowFiresNothing) {
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  wheel_.SetNow(At(Seconds(1)));
  EXPECT_TRUE(a_.armed());
  EXPECT_EQ(fired_, "");
}

TEST_F(TimerWheelTest, FiresInTheOrderOfTicksHoweverLongTheStall) {
  wheel_.ArmAt(e_, At(Hours(24 * 365)));
  wheel_.ArmAt(c_, At(Milliseconds(64)));
  wheel_.ArmAt(a_, At(Milliseconds(1)));
  wheel_.ArmAt(d_, At(Milliseconds(4096)));
  wheel_.ArmAt(b_, At(Milliseconds(63)));
  EXPECT_EQ(FireAt(Hours(24 * 366)), "abcde");
}

// Would take years, not milliseconds, at a step for each tick or even for each 64 of them.
TEST_F(TimerWheelTest, CenturiesPassInAFewSteps) {
  const absl::Duration centuries = Hours(24 * 365 * 290);
  wheel_.ArmAt(a_, At(centuries));
  EXPECT_EQ(FireAt(centuries - Milliseconds(1)), "");
  EXPECT_EQ(a_.deadline(), At(centuries));
  EXPECT_EQ(FireAt(centuries), "a");
}

TEST_F(TimerWheelTest, MoreThan32BitsOfTicksMakeNoDifference) {
  const absl::Duration far = Milliseconds((int64_t{1} << 32) + 7);
  wheel_.ArmAt(a_, At(far));
  wheel_.ArmAt(b_, At(Milliseconds(7)));
  EXPECT_EQ(FireAt(Milliseconds(7)), "b");
  wheel_.ArmAt(c_, At(far + Milliseconds(1)));
  EXPECT_EQ(FireAt(far - Milliseconds(1)), "");
  EXPECT_EQ(FireAt(far), "a");
  EXPECT_EQ(FireAt(far + Milliseconds(1)), "c");
}

TEST_F(TimerWheelTest, WheelMayStartLongAfterZero) {
  const MonotonicTime start = At(Hours(24 * 365 * 100) + Microseconds(1234));
  TimerWheel late(start);
  late.ArmAfter(a_, Milliseconds(100));
  late.SetNow(start + Milliseconds(99));
  EXPECT_EQ(late.FireDue(), 0);
  late.SetNow(start + Milliseconds(101));
  EXPECT_EQ(late.FireDue(), 1);
}

TEST_F(TimerWheelTest, AbsurdlyFarDeadlinesAreKept) {
  const auto last = MonotonicTime::FromNanoseconds(std::numeric_limits<int64_t>::max() - 1);
  wheel_.ArmAt(a_, last);
  EXPECT_TRUE(a_.armed());
  EXPECT_LT(last - a_.deadline(), Milliseconds(1));
  EXPECT_EQ(FireAt(Hours(24 * 365 * 292)), "");
  wheel_.SetNow(last);
  EXPECT_EQ(wheel_.FireDue(), 1);
}

TEST_F(TimerWheelTest, InfiniteFutureCancels) {
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  wheel_.ArmAt(a_, MonotonicTime::InfiniteFuture());
  EXPECT_FALSE(a_.armed());
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  wheel_.ArmAfter(a_, absl::InfiniteDuration());
  EXPECT_FALSE(a_.armed());
  EXPECT_EQ(FireAt(Seconds(1)), "");
}

TEST_F(TimerWheelTest, CancelledNeitherFiresNorWakes) {
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  wheel_.ArmAt(b_, At(Hours(5)));
  a_.Cancel();
  b_.Cancel();
  EXPECT_FALSE(a_.armed());
  EXPECT_EQ(wheel_.NextDeadline(), MonotonicTime::InfiniteFuture());
  EXPECT_EQ(FireAt(Hours(6)), "");
}

TEST_F(TimerWheelTest, CancelIsHarmlessWhenNotArmed) {
  a_.Cancel();
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  a_.Cancel();
  a_.Cancel();
  wheel_.ArmAt(a_, At(Milliseconds(7)));
  EXPECT_EQ(FireAt(Milliseconds(7)), "a");
  a_.Cancel();
}

TEST_F(TimerWheelTest, CancelledAndThenArmedForLaterItFires) {
  wheel_.ArmAt(a_, At(Hours(1)));
  a_.Cancel();
  wheel_.ArmAt(a_, At(Hours(2)));
  EXPECT_EQ(FireAt(Hours(2)), "a");
}

TEST_F(TimerWheelTest, DestroyedNeitherFiresNorWakes) {
  auto entry = std::make_unique<Probe>(fired_);
  wheel_.ArmAt(*entry, At(Milliseconds(5)));
  entry.reset();
  EXPECT_EQ(wheel_.NextDeadline(), MonotonicTime::InfiniteFuture());
  EXPECT_EQ(FireAt(Seconds(1)), "");
}

TEST_F(TimerWheelTest, EntryOutlivesItsWheel) {
  auto wheel = std::make_unique<TimerWheel>(MonotonicTime());
  wheel->ArmAt(a_, At(Milliseconds(5)));
  wheel.reset();
  EXPECT_FALSE(a_.armed());
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  EXPECT_EQ(FireAt(Milliseconds(5)), "a");
}

// From each of several distances to each: level 0 and above, sooner and later.
TEST_F(TimerWheelTest, RearmingReplaces) {
  const absl::Duration delays[] = {
      absl::ZeroDuration(), Milliseconds(3), Milliseconds(30), Milliseconds(90),
      Milliseconds(91),     Seconds(3),      Hours(3),         Hours(3000)};
  for (const absl::Duration from : delays) {
    for (const absl::Duration to : delays) {
      SCOPED_TRACE(absl::StrCat(absl::FormatDuration(from), " to ", absl::FormatDuration(to)));
      const absl::Duration start = wheel_.now() - MonotonicTime();
      wheel_.ArmAfter(a_, from);
      wheel_.ArmAfter(a_, to);
      EXPECT_EQ(a_.deadline(), At(start + to));
      if (to > absl::ZeroDuration()) {
        EXPECT_EQ(FireAt(start + to - Milliseconds(1)), "");
      }
      EXPECT_EQ(FireAt(start + to), "a");
      EXPECT_EQ(FireAt(start + std::max(from, to)), "");
    }
  }
}

TEST_F(TimerWheelTest, IdleTimeoutPutOffAtEachMessageFiresOnlyAfterTheLast) {
  for (int second = 0; second < 1000; ++second) {
    ASSERT_EQ(FireAt(Seconds(second)), "");
    wheel_.ArmAfter(a_, Seconds(60));
  }
  EXPECT_EQ(FireAt(Seconds(999 + 60) - Milliseconds(1)), "");
  EXPECT_EQ(FireAt(Seconds(999 + 60)), "a");
}

TEST_F(TimerWheelTest, PutOffFarItStillWakesInTimeForItsNeighbour) {
  wheel_.ArmAt(a_, At(Milliseconds(100)));
  wheel_.ArmAt(b_, At(Milliseconds(101)));
  wheel_.ArmAt(a_, At(Hours(1)));
  wheel_.ArmAt(a_, At(Milliseconds(102)));  // And back again.
  EXPECT_EQ(FireAt(Milliseconds(101)), "b");
  EXPECT_EQ(FireAt(Milliseconds(102)), "a");
}

TEST_F(TimerWheelTest, ZeroDelayInsideACallbackWaitsForTheNextFireDue) {
  a_.then = [this] { wheel_.ArmAfter(a_, absl::ZeroDuration()); };
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  EXPECT_EQ(FireAt(Milliseconds(5)), "a");
  EXPECT_LE(wheel_.NextDeadline(), wheel_.now());
  EXPECT_EQ(FireAt(Milliseconds(5)), "a");
  EXPECT_EQ(FireAt(Milliseconds(5)), "a");
}

TEST_F(TimerWheelTest, MissedDeadlineArmedInsideACallbackWaitsForTheNextFireDue) {
  a_.then = [this] { wheel_.ArmAt(b_, At(Milliseconds(7))); };
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  wheel_.ArmAt(c_, At(Milliseconds(9)));
  EXPECT_EQ(FireAt(Milliseconds(10)), "ac");
  EXPECT_EQ(FireAt(Milliseconds(10)), "b");
}

TEST_F(TimerWheelTest, InsideItsCallbackAnEntryIsNotArmed) {
  bool armed = true;
  a_.then = [&] { armed = a_.armed(); };
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  FireAt(Milliseconds(5));
  EXPECT_FALSE(armed);
}

TEST_F(TimerWheelTest, CancelInsideOwnCallbackIsHarmless) {
  a_.then = [this] { a_.Cancel(); };
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  wheel_.ArmAt(b_, At(Milliseconds(5)));
  EXPECT_EQ(FireAt(Milliseconds(5)).size(), 2u);
}

TEST_F(TimerWheelTest, CallbackCancelsOthersThatAreDueInTheSameFireDue) {
  // Whichever of a and b is first keeps the other from firing; c comes after both.
  a_.then = [this] { b_.Cancel(); };
  b_.then = [this] { a_.Cancel(); };
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  wheel_.ArmAt(b_, At(Milliseconds(5)));
  wheel_.ArmAt(c_, At(Milliseconds(6)));
  const string fired = FireAt(Milliseconds(6));
  EXPECT_TRUE(fired == "ac" || fired == "bc") << fired;
}

TEST_F(TimerWheelTest, CallbackPutsOffOthersThatAreDueInTheSameFireDue) {
  a_.then = [this] {
    wheel_.ArmAt(b_, At(Milliseconds(8)));
    wheel_.ArmAt(c_, At(Hours(1)));
    wheel_.ArmAfter(d_, absl::ZeroDuration());
  };
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  for (Probe* probe : {&b_, &c_, &d_}) wheel_.ArmAt(*probe, At(Milliseconds(6)));
  EXPECT_EQ(FireAt(Milliseconds(6)), "a");
  EXPECT_EQ(FireAt(Milliseconds(6)), "d");
  EXPECT_EQ(FireAt(Milliseconds(8)), "b");
  EXPECT_EQ(FireAt(Hours(1)), "c");
}

// The tick of one that is due but has not fired yet may lie in another block than now's.
TEST_F(TimerWheelTest, CallbackPutsOffOneThatWasDueLongAgo) {
  a_.then = [this] { wheel_.ArmAt(b_, At(Seconds(20))); };
  wheel_.ArmAt(a_, At(Milliseconds(5)));
  wheel_.ArmAt(b_, At(Milliseconds(200)));
  EXPECT_EQ(FireAt(Seconds(10)), "a");
  EXPECT_EQ(FireAt(Seconds(19)), "");
  EXPECT_EQ(FireAt(Seconds(20)), "b");
}

TEST_F(TimerWheelTest, CallbackDestroysOthersThatAreDueInTheSameFireDue) {
  std::vector<std::unique_ptr<Probe>> others;
  a_.then = [&] { others.clear(); };
  wheel_.ArmAt(a_, At(Milliseconds(4)));
  for (int delay_ms : {5, 5, 5, 6, 7, 700}) {
    others.push_back(std::make_unique<Probe>(fired_, 'o'));
    wheel_.ArmAt(*others.back(), At(Milliseconds(delay_ms)));
  }
  wheel_.ArmAt(b_, At(Milliseconds(6)));
  EXPECT_EQ(FireAt(Seconds(1)), "ab");
}

TEST_F(TimerWheelTest, CallbackDestroysItsOwnEntry) {
  auto entry = std::make_unique<Probe>(fired_);
  entry->then = [&entry] { entry.reset(); };
  wheel_.ArmAt(*entry, At(Milliseconds(5)));
  wheel_.ArmAt(a_, At(Milliseconds(6)));
  EXPECT_EQ(FireAt(Milliseconds(6)), "xa");
  EXPECT_EQ(entry, nullptr);
}

// Large enough for FireDue() to go from both ends.
TEST_F(TimerWheelTest, BurstKeepsTheOrderOfTicksAndDropsWhatItsCallbacksCancel) {
  std::vector<std::unique_ptr<Probe>> probes;
  for (int i = 0; i < 3000; ++i) {
    const int tick = i % 3;
    probes.push_back(std::make_unique<Probe>(fired_, static_cast<char>('0' + tick)));
    if (i % 2 != 0) probes[i - 1]->then = [&victim = *probes[i]] { victim.Cancel(); };
    if (i % 2 != 0) probes[i]->then = [&victim = *probes[i - 1]] { victim.Cancel(); };
    wheel_.ArmAt(*probes.back(), At(Seconds(1) + Milliseconds(tick)));
  }
  const string fired = FireAt(Seconds(2));
  EXPECT_EQ(fired.size(), 1500u);
  EXPECT_TRUE(std::is_sorted(fired.begin(), fired.end()));
}

TEST_F(TimerWheelTest, IdleLoopWakesAtMostOncePerLevelForOneTimer) {
  wheel_.SetNow(At(Seconds(1'234'567)));
  wheel_.FireDue();
  wheel_.ArmAfter(a_, Hours(1));
  EXPECT_LE(WakeUpsUntilFired(), 4);  // An hour of milliseconds has 4 digits to the base 64.
  EXPECT_EQ(wheel_.now(), At(Seconds(1'234'567) + Hours(1)));
  EXPECT_EQ(wheel_.NextDeadline(), MonotonicTime::InfiniteFuture());

  wheel_.ArmAfter(b_, Hours(24 * 365 * 100));
  EXPECT_LE(WakeUpsUntilFired(), 8);
}

TEST_F(TimerWheelTest, SilenceAfterManyMessagesWakesNoMoreThanOncePerLevel) {
  for (int i = 0; i < 100'000; ++i) {
    wheel_.SetNow(wheel_.now() + Milliseconds(1));
    wheel_.FireDue();
    wheel_.ArmAfter(a_, Seconds(60));
  }
  EXPECT_LE(WakeUpsUntilFired(), 4);
  EXPECT_EQ(wheel_.now(), At(Seconds(160)));
}

TEST_F(TimerWheelTest, TimeBeforeTheClocksZeroIsABug) {
  EXPECT_DEATH(TimerWheel(At(-Seconds(1))), "before the clock's zero");
}

TEST_F(TimerWheelTest, FireDueInsideACallbackIsABug) {
  a_.then = [this] { wheel_.FireDue(); };
  wheel_.ArmAfter(a_, absl::ZeroDuration());
  EXPECT_DEATH(wheel_.FireDue(), "inside OnTimer");
}

}  // namespace
}  // namespace millrace
