// SPDX-License-Identifier: Apache-2.0
//
// A turn: what happens in which order, how long the loop sleeps, and what time it is. The system is
// played by a ScriptedPoller. Real descriptors are in event_loop_watch_test.cc, threads in
// event_loop_post_test.cc, making, keeping and destroying in event_loop_lifetime_test.cc.
#include "net/event_loop.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/support/fault_injection.h"
#include "tests/support/scripted_poller.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

using absl::Hours;
using absl::InfiniteDuration;
using absl::Milliseconds;
using absl::Seconds;
using absl::ZeroDuration;

// Two descriptors that no system knows.
constexpr int kFd = 100, kOtherFd = 101;

// Watches a descriptor, and does what the test wants.
class Watcher final : public IoHandler {
 public:
  Watcher(TestLoop& loop, int fd, Io interest = Io::kRead)
      : registration(loop->Watch(fd, interest, *this).value()) {}

  std::function<void(Io)> on_io = [](Io) {};
  std::function<void()> on_end_of_turn = [] {};
  Registration registration;

 private:
  void OnIo(Io ready) override { on_io(ready); }
  void OnEndOfTurn() override { on_end_of_turn(); }
};

class EventLoopTest : public ::testing::Test {
 protected:
  // Dies telling it, and then does what the test wants.
  class Mortal final : public Deferred {
   public:
    Mortal(EventLoopTest& test, std::function<void()> then) : test_(test), then_(std::move(then)) {}
    ~Mortal() override {
      test_.Say("destroy");
      then_();
    }

   private:
    EventLoopTest& test_;
    const std::function<void()> then_;
  };

  void Say(absl::string_view word) { absl::StrAppend(&story_, story_.empty() ? "" : " ", word); }
  // What was said since the last time.
  std::string Told() { return std::exchange(story_, ""); }
  // What was said in one turn.
  std::string Turn() {
    loop_.Step();
    return Told();
  }

  bool Post(
      absl::string_view word, std::function<void()> then = [] {}) {
    return loop_->ref().Post([this, word, then] {
      Say(word);
      then();
    });
  }
  void DestroyLater(std::function<void()> then = [] {}) {
    loop_->DestroyLater(std::make_unique<Mortal>(*this, then));
  }
  // How long the loop would sleep now, if nobody limited it.
  absl::Duration Sleep() {
    loop_->RunOnce(InfiniteDuration());
    return poller_->last_wait();
  }

  ScriptedPoller* poller_ = nullptr;
  TestLoop loop_{{.poller = ScriptedPoller::Factory(poller_)}};
  FakeClock& clock_ = loop_.clock();

 private:
  std::string story_;
};

// --- The order within a turn ---

TEST_F(EventLoopTest, WaitsThenEventsTimersPostsEndsOfTurnThenDestroys) {
  Watcher watcher(loop_, kFd);
  watcher.on_io = [&](Io) { Say("event"); };
  watcher.on_end_of_turn = [&] { Say("end"); };
  Timer timer(loop_->timers(), [&] { Say("timer"); });

  DestroyLater();
  watcher.registration.CallAtEndOfTurn();
  Post("post");
  timer.Arm(Seconds(5));
  poller_->while_waiting = [&](absl::Duration) {
    Say("wait");
    poller_->SetReady(kFd, Io::kRead);
    clock_.Advance(Seconds(5));  // The clock is read after the wait: the timer is due.
  };
  EXPECT_EQ(Turn(), "wait event timer post end destroy");
  EXPECT_EQ(loop_->counters().turns.value(), 1u);
  EXPECT_EQ(loop_->counters().events.value(), 1u);
  EXPECT_EQ(loop_->counters().timers_fired.value(), 1u);
  EXPECT_EQ(loop_->counters().posts_run.value(), 1u);
}

TEST_F(EventLoopTest, WhatAPartCausesInLaterOnesHappensInTheSameTurn) {
  Watcher watcher(loop_, kFd);
  Timer timer(loop_->timers(), [&] {
    Say("timer");
    Post("post", [&] { watcher.registration.CallAtEndOfTurn(); });
  });
  watcher.on_io = [&](Io) {
    Say("event");
    timer.Arm(ZeroDuration());
  };
  watcher.on_end_of_turn = [&] {
    Say("end");
    DestroyLater();
  };
  poller_->SetReady(kFd, Io::kRead);
  EXPECT_EQ(Turn(), "event timer post end destroy");
}

TEST_F(EventLoopTest, PostFromAPostRunsInTheNextTurn) {
  Post("first", [&] { Post("second"); });
  EXPECT_EQ(Turn(), "first");
  EXPECT_EQ(Sleep(), ZeroDuration());
  EXPECT_EQ(Told(), "second");
}

TEST_F(EventLoopTest, TimerArmedByATimerFiresInTheNextTurn) {
  Timer second(loop_->timers(), [&] { Say("second"); });
  Timer first(loop_->timers(), [&] {
    Say("first");
    second.Arm(ZeroDuration());
  });
  first.Arm(ZeroDuration());
  EXPECT_EQ(Turn(), "first");
  EXPECT_EQ(Sleep(), ZeroDuration());
  EXPECT_EQ(Told(), "second");
}

TEST_F(EventLoopTest, EndOfTurnAskedForByAnEndOfTurnComesInTheNextTurn) {
  Watcher first(loop_, kFd), second(loop_, kOtherFd);
  first.on_end_of_turn = [&] {
    Say("first");
    second.registration.CallAtEndOfTurn();
  };
  second.on_end_of_turn = [&] { Say("second"); };
  first.registration.CallAtEndOfTurn();
  EXPECT_EQ(Turn(), "first");
  EXPECT_EQ(Sleep(), ZeroDuration());
  EXPECT_EQ(Told(), "second");
  EXPECT_EQ(Sleep(), InfiniteDuration());
}

TEST_F(EventLoopTest, WhatADestructorDefersIsDestroyedInTheNextTurn) {
  DestroyLater([this] { DestroyLater(); });
  EXPECT_EQ(Turn(), "destroy");
  EXPECT_EQ(Sleep(), ZeroDuration());
  EXPECT_EQ(Told(), "destroy");
}

TEST_F(EventLoopTest, DestructorsMayPostAndArm) {
  Timer timer(loop_->timers(), [&] { Say("timer"); });
  DestroyLater([&] {
    timer.Arm(ZeroDuration());
    Post("post");
  });
  EXPECT_EQ(Turn(), "destroy");
  EXPECT_EQ(Turn(), "timer post");
}

TEST_F(EventLoopTest, EndsOfTurnComeInTheOrderOfTheirAskingAndAsOftenAsAskedFor) {
  Watcher a(loop_, kFd), b(loop_, kOtherFd);
  a.on_end_of_turn = [&] { Say("a"); };
  b.on_end_of_turn = [&] { Say("b"); };
  b.registration.CallAtEndOfTurn();
  a.registration.CallAtEndOfTurn();
  b.registration.CallAtEndOfTurn();
  EXPECT_EQ(Turn(), "b a b");
  EXPECT_EQ(Turn(), "");
}

TEST_F(EventLoopTest, EndOfTurnOfWhoIsGoneByThenIsSkipped) {
  Watcher first(loop_, kFd), second(loop_, kOtherFd);
  first.on_end_of_turn = [&] {
    Say("first");
    second.registration = Registration();
  };
  second.on_end_of_turn = [&] { FAIL(); };
  first.registration.CallAtEndOfTurn();
  second.registration.CallAtEndOfTurn();
  EXPECT_EQ(Turn(), "first");
}

// --- A batch of events ---

TEST_F(EventLoopTest, RegistrationEndedEarlierInTheBatchHearsNothing) {
  Watcher first(loop_, kFd), second(loop_, kOtherFd);
  first.on_io = [&](Io) { second.registration = Registration(); };
  second.on_io = [&](Io) { FAIL(); };
  poller_->SetReady(kFd, Io::kRead);
  poller_->SetReady(kOtherFd, Io::kRead);
  Turn();
  EXPECT_EQ(loop_->counters().events.value(), 2u);
  EXPECT_EQ(loop_->counters().stale_events.value(), 1u);
}

TEST_F(EventLoopTest, NumberUsedAgainWithinTheBatchDoesNotInheritTheEvent) {
  Watcher first(loop_, kFd), second(loop_, kOtherFd);
  std::unique_ptr<Watcher> heir;
  first.on_io = [&](Io) {
    second.registration.EndBeforeClose();
    poller_->Remove(kOtherFd);  // As close() does.
    heir = std::make_unique<Watcher>(loop_, kOtherFd);
    heir->on_io = [&](Io) { Say("heir"); };
  };
  second.on_io = [&](Io) { FAIL(); };
  poller_->SetReady(kFd, Io::kRead);
  poller_->SetReady(kOtherFd, Io::kRead);
  EXPECT_EQ(Turn(), "");
  EXPECT_EQ(loop_->counters().stale_events.value(), 1u);
  poller_->SetReady(kOtherFd, Io::kRead);
  EXPECT_EQ(Turn(), "heir");
}

TEST_F(EventLoopTest, InterestNarrowedWithinTheBatchHoldsAtOnce) {
  Watcher first(loop_, kFd), second(loop_, kOtherFd, Io::kReadWrite);
  Io heard = Io::kNone;
  second.on_io = [&](Io ready) { heard = ready; };
  first.on_io = [&](Io) { EXPECT_TRUE(second.registration.SetInterest(Io::kWrite).ok()); };
  poller_->SetReady(kFd, Io::kRead);
  poller_->SetReady(kOtherFd, Io::kReadWrite);
  Turn();
  EXPECT_EQ(heard, Io::kWrite);
}

TEST_F(EventLoopTest, WhoWantsNothingAnyMoreIsLeftAloneWithinTheBatch) {
  Watcher first(loop_, kFd), second(loop_, kOtherFd);
  first.on_io = [&](Io) { EXPECT_TRUE(second.registration.SetInterest(Io::kNone).ok()); };
  second.on_io = [&](Io) { FAIL(); };
  poller_->SetReady(kFd, Io::kRead);
  poller_->SetReady(kOtherFd, Io::kReadWrite);
  Turn();
  EXPECT_EQ(poller_->InterestOf(kOtherFd), Io::kNone);
  EXPECT_EQ(loop_->counters().stale_events.value(), 0u) << "its owner is there all the same";
}

TEST_F(EventLoopTest, HandlerHearsNoMoreThanItWaitsFor) {
  Watcher watcher(loop_, kFd, Io::kWrite);
  Io heard = Io::kNone;
  watcher.on_io = [&](Io ready) { heard = ready; };
  poller_->SetReady(kFd, Io::kReadWrite);  // As a hang-up is told.
  Turn();
  EXPECT_EQ(heard, Io::kWrite);
}

// --- How long it sleeps ---

TEST_F(EventLoopTest, IdleLoopSleepsForEver) {
  EXPECT_EQ(Sleep(), InfiniteDuration());
  EXPECT_EQ(Sleep(), InfiniteDuration());
}

TEST_F(EventLoopTest, SleepsNoLongerThanItIsTold) {
  loop_->RunOnce(Seconds(3));
  EXPECT_EQ(poller_->last_wait(), Seconds(3));
  Timer timer(loop_->timers(), [] {});
  timer.Arm(Milliseconds(20));
  loop_->RunOnce(Milliseconds(5));
  EXPECT_EQ(poller_->last_wait(), Milliseconds(5));
  loop_->RunOnce(Seconds(-1));
  EXPECT_LE(poller_->last_wait(), ZeroDuration());
}

TEST_F(EventLoopTest, SleepsUntilTheFirstTimerIsDue) {
  Timer later(loop_->timers(), [] {}), sooner(loop_->timers(), [] {});
  later.Arm(Milliseconds(20));
  sooner.Arm(Milliseconds(5));
  EXPECT_EQ(Sleep(), Milliseconds(5));
  sooner.Cancel();
  EXPECT_EQ(Sleep(), Milliseconds(20));
  later.Cancel();
  EXPECT_EQ(Sleep(), InfiniteDuration());
}

TEST_F(EventLoopTest, TimerThatIsOverdueIsNotWaitedFor) {
  Timer timer(loop_->timers(), [&] { Say("timer"); });
  timer.Arm(Milliseconds(20));
  clock_.Advance(Seconds(20));
  EXPECT_EQ(Sleep(), ZeroDuration());
  EXPECT_EQ(Told(), "timer");
}

TEST_F(EventLoopTest, TimeThatATurnTookIsNotSleptAgain) {
  Timer timer(loop_->timers(), [] {});
  timer.Arm(Milliseconds(20));
  Post("long work", [&] { clock_.Advance(Milliseconds(15)); });
  Turn();
  EXPECT_EQ(Sleep(), Milliseconds(5));
}

// Time passes only while the loop sleeps, and just as long as it meant to.
TEST_F(EventLoopTest, LoopWithAFarTimerDoesNotTick) {
  bool fired = false;
  Timer timer(loop_->timers(), [&] { fired = true; });
  timer.Arm(Hours(24 * 30));
  const MonotonicTime due = timer.deadline();
  poller_->while_waiting = [&](absl::Duration max_wait) { clock_.Advance(max_wait); };
  while (!fired && clock_.Now() <= due) loop_->RunOnce(InfiniteDuration());
  EXPECT_TRUE(fired);
  EXPECT_EQ(clock_.Now(), due);
  EXPECT_LE(poller_->waits().size(), 9u) << "once, and at most once for each level of the wheel";
}

TEST_F(EventLoopTest, DoesNotSleepWhileAnythingIsLeftToDo) {
  Post("post");
  EXPECT_EQ(Sleep(), ZeroDuration());
  DestroyLater();
  EXPECT_EQ(Sleep(), ZeroDuration());
  Watcher watcher(loop_, kFd);
  watcher.registration.CallAtEndOfTurn();
  EXPECT_EQ(Sleep(), ZeroDuration());
  EXPECT_EQ(Sleep(), InfiniteDuration());
}

TEST_F(EventLoopTest, PostThatComesDuringTheWaitIsRunInThatTurn) {
  poller_->while_waiting = [&](absl::Duration) { Post("post"); };
  EXPECT_EQ(Turn(), "post");
}

// It is asleep only inside the wait: there, and only there, posting rings.
TEST_F(EventLoopTest, BurstOfPostsCostsASleepingLoopOneWrite) {
  const ScopedFault rings(Call::kWrite);
  poller_->while_waiting = [&](absl::Duration) {
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(loop_->ref().Post([] {}));
  };
  loop_->RunOnce(InfiniteDuration());
  EXPECT_EQ(loop_->counters().posts_run.value(), 1000u);
  EXPECT_EQ(rings.hits(), 1);
}

TEST_F(EventLoopTest, PostsToALoopThatIsAwakeCostNoSystemCall) {
  const ScopedFault rings(Call::kWrite);
  Watcher watcher(loop_, kFd);
  watcher.on_io = [&](Io) {
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(loop_->ref().Post([] {}));
  };
  poller_->SetReady(kFd, Io::kRead);
  Turn();
  EXPECT_EQ(loop_->counters().posts_run.value(), 1000u);
  EXPECT_EQ(rings.hits(), 0);
}

// --- What time it is ---

TEST_F(EventLoopTest, TimeStandsStillWithinATurn) {
  const MonotonicTime start = loop_->now();
  poller_->while_waiting = [&](absl::Duration) { clock_.Advance(Seconds(1)); };
  Watcher watcher(loop_, kFd);
  watcher.on_io = [&](Io) {
    EXPECT_EQ(loop_->now(), start + Seconds(1));
    clock_.Advance(Seconds(10));
    Post("post", [&] { EXPECT_EQ(loop_->now(), start + Seconds(1)); });
  };
  poller_->SetReady(kFd, Io::kRead);
  EXPECT_EQ(Turn(), "post");
  Turn();
  EXPECT_EQ(loop_->now(), start + Seconds(12));
}

// Nothing else is looked at: neither the date of the machine, whoever sets it, nor the time that
// really passes.
TEST(EventLoopClockTest, TimersKnowNoClockButTheGivenOne) {
  TestLoop loop;
  bool fired = false;
  Timer timer(loop->timers(), [&] { fired = true; });
  timer.Arm(Milliseconds(1));
  loop->RunOnce(Milliseconds(2));
  loop->RunOnce(Milliseconds(2));
  EXPECT_FALSE(fired);
  loop.Advance(Milliseconds(1));
  EXPECT_TRUE(fired);
}

TEST(EventLoopClockTest, ClockThatGoesBackMovesNothingBack) {
  class BrokenClock final : public Clock {
   public:
    MonotonicTime Now() const override { return now; }
    MonotonicTime now = MonotonicTime() + Hours(100);
  } clock;
  auto loop = EventLoop::Create({.clock = &clock}).value();
  bool fired = false;
  Timer timer(loop->timers(), [&] { fired = true; });
  timer.Arm(Milliseconds(1));
  clock.now = MonotonicTime();
  loop->RunOnce(ZeroDuration());
  EXPECT_EQ(loop->now(), MonotonicTime() + Hours(100));
  EXPECT_FALSE(fired);
  clock.now = MonotonicTime() + Hours(100) + Milliseconds(1);
  loop->RunOnce(ZeroDuration());
  EXPECT_TRUE(fired);
}

// --- Waiting that fails ---

TEST_F(EventLoopTest, TurnWhoseWaitFailedIsATurnAllTheSame) {
  Timer timer(loop_->timers(), [&] { Say("timer"); });
  timer.Arm(ZeroDuration());
  Post("post");
  poller_->FailNextWait(absl::ResourceExhaustedError("no memory"));
  EXPECT_EQ(Turn(), "timer post");
  EXPECT_EQ(loop_->counters().wait_errors.value(), 1u);
  EXPECT_EQ(loop_->counters().events.value(), 0u);
  Post("later");
  EXPECT_EQ(Turn(), "later");
  EXPECT_EQ(loop_->counters().wait_errors.value(), 1u);
}

TEST_F(EventLoopTest, EventsBehindAFailedWaitAreNotLost) {
  Watcher watcher(loop_, kFd);
  watcher.on_io = [&](Io) { Say("event"); };
  poller_->SetReady(kFd, Io::kRead);
  poller_->FailNextWait(absl::ResourceExhaustedError("no memory"));
  EXPECT_EQ(Turn(), "");
  EXPECT_EQ(Turn(), "event");
}

}  // namespace
}  // namespace millrace
