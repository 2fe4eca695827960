// SPDX-License-Identifier: Apache-2.0
//
// A watchdog that is stepped by hand, with a clock that is set by hand, and loops that are held up
// for as long as it takes. At the end the real one.
#include "net/stall_watchdog.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/connection_limits.h"
#include "net/connection_table.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/tcp_connection.h"
#include "tests/support/fake_clock.h"
#include "tests/support/peer.h"
#include "tests/support/scripted_poller.h"
#include "tests/support/socket_pair.h"
#include "tests/support/stalling_loop.h"
#include "tests/support/test_loop.h"

namespace millrace {

// Not in an unnamed namespace, for its name is looked for.
class SlowHandler final : public ConnectionHandler {
 public:
  explicit SlowHandler(StallingLoop& loop) : loop_(loop) {}
  void OnData(TcpConnection&, Buffer& input) override {
    input.Clear();
    loop_.HoldUp();
  }

 private:
  StallingLoop& loop_;
};

namespace {

constexpr absl::Duration kThreshold = absl::Milliseconds(100);
constexpr absl::Duration kPeriod = absl::Milliseconds(25);

class StallWatchdogTest : public ::testing::Test {
 protected:
  // Its loop sleeps or is held up. While it goes from one to the other, time stands still.
  StallWatchdogTest() { Make({}); }

  void Make(StallWatchdog::Options options) {
    options.threshold = kThreshold;
    options.clock = &clock_;
    // Its thread answers, or is known not to.
    if (options.answer_timeout == kStallAnswerTimeout) options.answer_timeout = absl::Seconds(30);
    options.on_report = [this](const StallReport& report) {
      reports_.push_back(report);
      if (on_report_) on_report_(report);
    };
    watchdog_ = StallWatchdog::Create(std::move(options)).value();
    watchdog_->Watch(loop_.ref());
    watchdog_->CheckNow();
  }
  // Time passes, during which the watchdog does its work.
  void Watch(absl::Duration time) {
    for (; time > absl::ZeroDuration(); time -= kPeriod) {
      clock_.Advance(kPeriod);
      watchdog_->CheckNow();
    }
  }
  // Time passes, and nobody looks.
  void Skip(absl::Duration time) {
    clock_.Advance(time);
    watchdog_->CheckNow();
  }
  // Holds the loop up for so long as the watchdog can see it.
  void StallFor(absl::Duration time) {
    loop_.Stall();
    watchdog_->CheckNow();
    Watch(time);
    loop_.Release();
    watchdog_->CheckNow();
  }
  std::vector<StallReport> Told() { return std::exchange(reports_, {}); }
  const StallCounters& counters() { return watchdog_->counters(); }

  FakeClock clock_;
  std::vector<StallReport> reports_;
  std::function<void(const StallReport&)> on_report_;
  StallingLoop loop_;
  std::unique_ptr<StallWatchdog> watchdog_;
};

// --- What is a stall ---

TEST_F(StallWatchdogTest, TurnBelowTheThresholdIsNone) {
  StallFor(kThreshold - kPeriod);
  EXPECT_TRUE(Told().empty());
  EXPECT_EQ(counters().stalls.value(), 0u);
}

TEST_F(StallWatchdogTest, TurnThatReachesItIsReportedAndSoIsItsEnd) {
  StallFor(kThreshold);
  const std::vector<StallReport> told = Told();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_FALSE(told[0].over);
  EXPECT_EQ(told[0].loop, "mill");
  EXPECT_EQ(told[0].lasted, kThreshold);
  EXPECT_EQ(told[0].thread, loop_.pulse().thread());
  EXPECT_EQ(told[0].doing, "a post");
  EXPECT_EQ(told[0].no_answer, "");
  const std::string stack = absl::StrJoin(told[0].stack, "\n");
  EXPECT_TRUE(absl::StrContains(stack, "millrace::StallingLoop::HoldUp()")) << stack;
  EXPECT_TRUE(told[1].over);
  EXPECT_EQ(told[1].lasted, kThreshold);
  EXPECT_EQ(counters().stalls.value(), 1u);
  EXPECT_EQ(counters().reports.value(), 1u);
}

TEST_F(StallWatchdogTest, EndTellsHowLongItWasAndWhatMayHaveEscaped) {
  clock_.Advance(absl::Milliseconds(7));  // It may have begun at any time of these,
  loop_.Stall();
  watchdog_->CheckNow();
  Watch(absl::Seconds(3));
  clock_.Advance(absl::Milliseconds(5));  // and ended at any of those.
  loop_.Release();
  watchdog_->CheckNow();
  const StallReport report = Told().back();
  EXPECT_TRUE(report.over);
  EXPECT_EQ(report.lasted, absl::Seconds(3));
  EXPECT_EQ(report.at_most, absl::Milliseconds(3012));
}

TEST_F(StallWatchdogTest, LoopThatSleepsIsNoStall) {
  ScriptedPoller* poller;
  TestLoop sleeper({.poller = ScriptedPoller::Factory(poller)});
  watchdog_->Watch(sleeper->ref());
  poller->while_waiting = [this](absl::Duration) { Watch(absl::Seconds(1)); };
  sleeper.Steps(3);
  EXPECT_EQ(counters().stalls.value(), 0u);
}

TEST_F(StallWatchdogTest, LoopThatNobodyRunsIsNoStall) {
  TestLoop idle;
  watchdog_->Watch(idle->ref());
  idle.Step();
  Watch(absl::Seconds(1));
  EXPECT_EQ(counters().stalls.value(), 0u);
}

TEST_F(StallWatchdogTest, ManyTurnsAreNoLongOne) {
  for (int i = 0; i < 100; ++i) {
    loop_.Stall();
    watchdog_->CheckNow();
    Watch(kThreshold - kPeriod);
    loop_.LetGo();  // And into the next, without a check between.
  }
  EXPECT_EQ(counters().stalls.value(), 0u);
}

TEST_F(StallWatchdogTest, TimeInWhichTheWatchdogDidNotRunIsNoStall) {
  loop_.Stall();
  watchdog_->CheckNow();
  clock_.Advance(absl::Hours(1));  // SIGSTOP, a debugger, a machine put to sleep.
  watchdog_->CheckNow();
  EXPECT_EQ(counters().stalls.value(), 0u);
  EXPECT_EQ(counters().late_checks.value(), 1u);
  Watch(kThreshold - kPeriod);  // The hour counts as one period.
  EXPECT_EQ(Told().at(0).lasted, kThreshold);
}

TEST_F(StallWatchdogTest, CheckThatIsALittleLateCountsInFull) {
  loop_.Stall();
  watchdog_->CheckNow();
  clock_.Advance(2 * kPeriod);
  watchdog_->CheckNow();
  clock_.Advance(2 * kPeriod);
  watchdog_->CheckNow();
  EXPECT_EQ(counters().stalls.value(), 1u);
  EXPECT_EQ(counters().late_checks.value(), 0u);
}

TEST_F(StallWatchdogTest, TimeThatItTookItselfToReportIsNotHeldAgainstIt) {
  on_report_ = [this](const StallReport&) { clock_.Advance(absl::Seconds(10)); };
  loop_.Stall();
  watchdog_->CheckNow();
  Watch(kThreshold + kPeriod);
  EXPECT_EQ(counters().late_checks.value(), 0u);
}

// --- Reports ---

TEST_F(StallWatchdogTest, ReportNamesTheHandlerAndThePeer) {
  auto [ours, theirs] = TcpPair();
  const SocketAddress address = ours.PeerAddress().value();
  ConnectionCounters connection_counters;
  Peer peer(std::move(theirs));
  peer.Send("grain");
  loop_.Stall([&, ours = std::make_shared<Socket>(std::move(ours))](EventLoop& loop) {
    auto table = std::make_unique<ConnectionTable>(loop, ConnectionLimits(), connection_counters);
    loop.Keep(std::move(table)).Open(std::move(*ours), address, nullptr, [this] {
      return std::make_unique<SlowHandler>(loop_);
    });
  });
  watchdog_->CheckNow();
  Watch(kThreshold);
  const StallReport report = Told().at(0);
  EXPECT_EQ(report.doing, "an event for millrace::SlowHandler, peer " + absl::StrCat(address));
  const std::string stack = absl::StrJoin(report.stack, "\n");
  EXPECT_TRUE(absl::StrContains(stack, "SlowHandler::OnData()")) << stack;
  loop_.End();
}

TEST_F(StallWatchdogTest, ThreadThatDoesNotAnswerIsReportedWithoutAStack) {
  Make({.answer_timeout = absl::Milliseconds(1)});
  loop_.Stall([this](EventLoop&) {
    sigset_t set;
    sigfillset(&set);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    loop_.HoldUp();
  });
  watchdog_->CheckNow();
  Watch(kThreshold);
  const StallReport report = Told().at(0);
  EXPECT_TRUE(report.stack.empty());
  EXPECT_TRUE(absl::StrContains(report.no_answer, "does not answer")) << report.no_answer;
  EXPECT_EQ(counters().unanswered.value(), 1u);
}

TEST_F(StallWatchdogTest, ReportsOfALoopAreRareAndTheNextOneTellsWhatWasLeftOut) {
  StallFor(kThreshold);
  ASSERT_EQ(Told().size(), 2u);
  StallFor(absl::Milliseconds(300));
  StallFor(absl::Milliseconds(200));
  EXPECT_TRUE(Told().empty());
  EXPECT_EQ(counters().suppressed.value(), 2u);
  Skip(absl::Minutes(1));
  StallFor(kThreshold);
  const StallReport report = Told().at(0);
  EXPECT_EQ(report.suppressed, 2u);
  EXPECT_EQ(report.longest_suppressed, absl::Milliseconds(300));
  Skip(absl::Minutes(1));
  StallFor(kThreshold);
  EXPECT_EQ(Told().at(0).suppressed, 0u);
  EXPECT_EQ(counters().stalls.value(), 5u);
}

TEST_F(StallWatchdogTest, TurnThatDoesNotEndAtAllIsReportedEachMinute) {
  loop_.Stall();
  watchdog_->CheckNow();
  Watch(absl::Minutes(2));
  const std::vector<StallReport> told = Told();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[1].lasted, kThreshold + absl::Minutes(1));
  EXPECT_EQ(counters().stalls.value(), 1u);
}

TEST_F(StallWatchdogTest, EachLoopHasReportsOfItsOwn) {
  StallingLoop other("other");
  watchdog_->Watch(other.ref());
  loop_.Stall();
  other.Stall();
  watchdog_->CheckNow();
  Watch(kThreshold);
  const std::vector<StallReport> told = Told();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].loop, "mill");
  EXPECT_EQ(told[1].loop, "other");
}

TEST_F(StallWatchdogTest, LoopThatIsWatchedTwiceIsReportedOnce) {
  watchdog_->Watch(loop_.ref());
  watchdog_->Watch(LoopRef());  // Names none.
  StallFor(kThreshold);
  EXPECT_EQ(counters().stalls.value(), 1u);
}

TEST(StallReportTest, IsTextForPeople) {
  StallReport report = {.loop = "worker0",
                        .lasted = absl::Microseconds(112'345),
                        .thread = 4242,
                        .doing = "an event for Shop, peer 127.0.0.1:1",
                        .stack = {"nanosleep", "Shop::OnData()"},
                        .no_answer = "",
                        .suppressed = 2,
                        .longest_suppressed = absl::Milliseconds(150)};
  EXPECT_EQ(report.ToString(),
            "loop worker0 stalls: its turn lasts for 112ms already, on thread 4242\n"
            "  in an event for Shop, peer 127.0.0.1:1\n"
            "    nanosleep\n"
            "    Shop::OnData()\n"
            "  unreported since the last report: 2 stalls, the longest of 150ms");
  report = {.loop = "worker0",
            .over = true,
            .lasted = absl::Seconds(2),
            .at_most = absl::Milliseconds(2050)};
  EXPECT_EQ(report.ToString(), "loop worker0 goes on: that turn lasted 2s to 2.05s");
}

// --- Coming and going ---

TEST_F(StallWatchdogTest, LoopThatIsDestroyedWhileItIsReportedOn) {
  on_report_ = [this](const StallReport& report) {
    if (!report.over) loop_.End();
  };
  loop_.Stall();
  watchdog_->CheckNow();
  Watch(kThreshold);
  watchdog_->CheckNow();
  const std::vector<StallReport> told = Told();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_TRUE(told[1].over);
}

TEST_F(StallWatchdogTest, LoopThatHasEndedIsForgotten) {
  loop_.End();
  Watch(absl::Seconds(1));
  watchdog_->Watch(loop_.ref());  // Again, which is no use.
  Watch(absl::Seconds(1));
  EXPECT_EQ(counters().stalls.value(), 0u);
}

TEST_F(StallWatchdogTest, TwoWatchdogsReportTheSameStall) {
  const std::unique_ptr<StallWatchdog> first = std::move(watchdog_);
  Make({});
  loop_.Stall();
  for (int i = 0; i < 5; ++i) {
    first->CheckNow();
    watchdog_->CheckNow();
    clock_.Advance(kPeriod);
  }
  EXPECT_EQ(Told().size(), 2u);
}

// --- With a thread of its own, and real time ---

TEST(RunningStallWatchdogTest, ReportsAStallAndItsEnd) {
  StallingLoop loop;
  absl::Notification stalls, goes_on;
  std::string stack;
  const auto watchdog = StallWatchdog::Start({.threshold = kStallThresholdMin,
                                              .answer_timeout = absl::Seconds(30),
                                              .on_report =
                                                  [&](const StallReport& report) {
                                                    if (report.over) return goes_on.Notify();
                                                    stack = absl::StrJoin(report.stack, "\n");
                                                    stalls.Notify();
                                                  }})
                            .value();
  watchdog->Watch(loop.ref());
  loop.Stall();
  stalls.WaitForNotification();
  EXPECT_TRUE(absl::StrContains(stack, "HoldUp()")) << stack;
  loop.LetGo();
  goes_on.WaitForNotification();
}

TEST(RunningStallWatchdogTest, WithoutACallbackItIsAWarningInTheLog) {
  StallingLoop loop;
  testing::internal::CaptureStderr();
  {
    const auto watchdog = StallWatchdog::Start({.threshold = kStallThresholdMin}).value();
    watchdog->Watch(loop.ref());
    loop.Stall();
    while (watchdog->counters().reports.value() == 0) std::this_thread::yield();
  }
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(absl::StrContains(log, "loop mill stalls: its turn lasts for")) << log;
}

// Loops come and go beside it, are stopped while they are looked at, and stall now and then.
TEST(RunningStallWatchdogTest, ThousandOfThemComeAndGo) {
  StallingLoop lasting("lasting");
  for (int i = 0; i < 1000; ++i) {
    std::atomic<int> reports{0};
    const auto watchdog =
        StallWatchdog::Start(
            {.threshold = kStallThresholdMin, .on_report = [&](const StallReport&) { ++reports; }})
            .value();
    watchdog->Watch(lasting.ref());
    if (i % 20 == 0) {
      const auto pool = EventLoopThreadPool::Start({.threads = 2}).value();
      for (size_t j = 0; j < pool->size(); ++j) watchdog->Watch(pool->loop(j));
      pool->Next().Post([] {});
    }
    if (i % 50 == 0) {
      lasting.Stall();
      while (reports == 0) std::this_thread::yield();
      lasting.Release();
    }
  }
}

// --- Options ---

TEST(StallWatchdogOptionsTest, OutOfBoundsIsRefused) {
  const auto code_of = [](StallWatchdog::Options options) {
    return StallWatchdog::Start(std::move(options)).status().code();
  };
  const auto wrong = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code_of({.threshold = kStallThresholdMin - absl::Nanoseconds(1)}), wrong);
  EXPECT_EQ(code_of({.threshold = absl::InfiniteDuration()}), wrong);
  EXPECT_EQ(code_of({.report_interval = -absl::Seconds(1)}), wrong);
  EXPECT_EQ(code_of({.answer_timeout = -absl::Seconds(1)}), wrong);
  EXPECT_EQ(code_of({.signal_number = SIGTERM}), wrong);
  EXPECT_EQ(code_of({.threshold = kStallThresholdMin}), absl::StatusCode::kOk);
}

}  // namespace
}  // namespace millrace
