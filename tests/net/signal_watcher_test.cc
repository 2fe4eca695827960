// SPDX-License-Identifier: Apache-2.0
//
// Signals are sent to the process itself, and are harmless here: where nobody watches them, they
// are counted by a handler.
#include "net/signal_watcher.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "tests/support/fault_injection.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

std::atomic<int> unwatched{0};

class SignalWatcherTest : public ::testing::Test {
 protected:
  SignalWatcherTest() {
    unwatched = 0;
    for (int number : {SIGUSR1, SIGUSR2, SIGHUP}) signal(number, [](int) { ++unwatched; });
  }
  ~SignalWatcherTest() override {
    for (int number : {SIGUSR1, SIGUSR2, SIGHUP}) {
      EXPECT_FALSE(IsBlocked(number)) << "left blocked: " << number;
      signal(number, SIG_DFL);
    }
  }

  // Writes `name` and the signal down when it hears one, and then does what the test wants.
  std::unique_ptr<SignalWatcher> Watch(
      std::string name, std::initializer_list<int> signals, std::function<void()> then = [] {}) {
    return SignalWatcher::Create(*loop_, signals,
                                 [this, name, then](int number) {
                                   absl::StrAppend(&story_, name, NameOf(number), " ");
                                   then();
                                 })
        .value();
  }
  absl::Status TryToWatch(TestLoop& loop, std::initializer_list<int> signals) {
    return SignalWatcher::Create(*loop, signals, [](int) {}).status();
  }
  // What was heard in one turn.
  std::string Turn() {
    loop_.Step();
    return std::exchange(story_, "");
  }

  static void Send(int number) { EXPECT_EQ(kill(getpid(), number), 0); }
  static bool IsBlocked(int number) {
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    return sigismember(&blocked, number) == 1;
  }
  static std::string NameOf(int number) { return number == SIGUSR1 ? "1" : "2"; }

  TestLoop loop_;
  std::string story_;
};

// --- Hearing ---

TEST_F(SignalWatcherTest, HearsItsSignalInATurnAndNotBefore) {
  const auto watcher = Watch("a", {SIGUSR1});
  EXPECT_EQ(Turn(), "");
  Send(SIGUSR1);
  EXPECT_EQ(story_, "");
  EXPECT_EQ(Turn(), "a1 ");
  EXPECT_EQ(Turn(), "");
  EXPECT_EQ(unwatched, 0);
}

TEST_F(SignalWatcherTest, SignalToTheLoopsThreadAloneIsHeardToo) {
  const auto watcher = Watch("a", {SIGUSR1});
  raise(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 ");
}

TEST_F(SignalWatcherTest, OneMayWatchSeveralSignals) {
  const auto watcher = Watch("a", {SIGUSR1, SIGUSR2});
  Send(SIGUSR2);
  EXPECT_EQ(Turn(), "a2 ");
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 ");
}

TEST_F(SignalWatcherTest, SeveralMayWatchOneSignalAndHearItInTheOrderOfTheirMaking) {
  const auto a = Watch("a", {SIGUSR1}), b = Watch("b", {SIGUSR2}), c = Watch("c", {SIGUSR1});
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 c1 ");
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 c1 ") << "and the next time again";
  EXPECT_EQ(b->heard(), 0);
}

TEST_F(SignalWatcherTest, OneSignalATurnSoThatOthersAreServedInBetween) {
  const auto watcher = Watch("a", {SIGUSR1, SIGUSR2});
  Send(SIGUSR1);
  Send(SIGUSR2);
  EXPECT_EQ(Turn(), "a1 ");
  EXPECT_EQ(Turn(), "a2 ");
  EXPECT_EQ(Turn(), "");
}

TEST_F(SignalWatcherTest, BurstIsJoined) {
  const auto watcher = Watch("a", {SIGUSR1});
  for (int i = 0; i < 100; ++i) Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 ");
  EXPECT_EQ(Turn(), "");
  EXPECT_EQ(watcher->heard(), 1);
}

TEST_F(SignalWatcherTest, RealTimeSignalsAreNotJoined) {
  const auto watcher = Watch("a", {SIGRTMIN + 3});
  for (int i = 0; i < 3; ++i) Send(SIGRTMIN + 3);
  loop_.Steps(5);
  EXPECT_EQ(watcher->heard(), 3);
}

TEST_F(SignalWatcherTest, EachOfASeriesIsCounted) {
  const auto watcher = Watch("a", {SIGUSR1});
  const auto other = Watch("b", {SIGUSR1, SIGUSR2});
  for (int i = 1; i <= 50; ++i) {
    Send(SIGUSR1);
    Turn();
    EXPECT_EQ(watcher->heard(), i);
  }
  EXPECT_EQ(other->heard(), 50);
}

TEST_F(SignalWatcherTest, OneOfNothingHearsNothing) {
  const auto watcher = Watch("a", {});
  Send(SIGUSR1);
  EXPECT_EQ(unwatched, 1);
  EXPECT_EQ(Turn(), "");
}

TEST_F(SignalWatcherTest, StopsALoopThatSleeps) {
  const auto loop = EventLoop::Create().value();
  const auto watcher = SignalWatcher::Create(*loop, {SIGUSR1}, [&](int) { loop->Stop(); }).value();
  std::thread sender([] { Send(SIGUSR1); });
  loop->Run();
  sender.join();
  EXPECT_EQ(watcher->heard(), 1);
}

TEST_F(SignalWatcherTest, ThreadsMadeLaterLeaveTheSignalToTheLoop) {
  const auto watcher = Watch("a", {SIGUSR1});
  std::thread([] {
    EXPECT_TRUE(IsBlocked(SIGUSR1));
    Send(SIGUSR1);
  }).join();
  EXPECT_EQ(Turn(), "a1 ");
  EXPECT_EQ(unwatched, 0);
}

// --- Ending, from wherever ---

TEST_F(SignalWatcherTest, MayBeDestroyedInItsOwnCallback) {
  std::unique_ptr<SignalWatcher> first, second;
  first = Watch("a", {SIGUSR1}, [&] { first.reset(); });
  second = Watch("b", {SIGUSR1});
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 b1 ");
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "b1 ");
}

TEST_F(SignalWatcherTest, CallbackOutlivesTheWatcherThatItDestroys) {
  std::unique_ptr<SignalWatcher> watcher;
  watcher = Watch("a", {SIGUSR1}, [&watcher, word = std::string(100, 'x')] {
    watcher.reset();
    EXPECT_EQ(word, std::string(100, 'x'));
  });
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 ");
}

TEST_F(SignalWatcherTest, DestroyedByAnEarlierOneHearsNothing) {
  std::unique_ptr<SignalWatcher> first, second;
  first = Watch("a", {SIGUSR1}, [&] { second.reset(); });
  second = Watch("b", {SIGUSR1});
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 ");
}

TEST_F(SignalWatcherTest, DestroyedByALaterOneHasHeardIt) {
  std::unique_ptr<SignalWatcher> first, second, third;
  first = Watch("a", {SIGUSR1});
  second = Watch("b", {SIGUSR1}, [&] { first.reset(); });
  third = Watch("c", {SIGUSR1});
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 b1 c1 ");
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "b1 c1 ");
}

TEST_F(SignalWatcherTest, CallbackMayDestroyAll) {
  std::vector<std::unique_ptr<SignalWatcher>> all;
  for (const char* name : {"a", "b", "c"}) {
    all.push_back(Watch(name, {SIGUSR1}, [&all] { all.clear(); }));
  }
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 ");
  Send(SIGUSR1);
  EXPECT_EQ(unwatched, 1);
}

TEST_F(SignalWatcherTest, OneMadeInACallbackHearsTheNextSignal) {
  std::unique_ptr<SignalWatcher> child;
  const auto parent = Watch("a", {SIGUSR1}, [&] {
    if (child == nullptr) child = Watch("b", {SIGUSR1});
  });
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 ");
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 b1 ");
}

TEST_F(SignalWatcherTest, CallbackMayReplaceItsWatcher) {
  std::unique_ptr<SignalWatcher> watcher;
  watcher = Watch("a", {SIGUSR1}, [&] { watcher = Watch("b", {SIGUSR1}); });
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 ");
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "b1 ");
  EXPECT_EQ(unwatched, 0);
}

// --- What becomes of the signal ---

TEST_F(SignalWatcherTest, LastWatcherGivesTheSignalItsOldEffectBack) {
  auto first = Watch("a", {SIGUSR1, SIGUSR2}), second = Watch("b", {SIGUSR1});
  first.reset();
  Send(SIGUSR2);
  EXPECT_EQ(unwatched, 1) << "its own alone";
  Send(SIGUSR1);
  EXPECT_EQ(unwatched, 1) << "the second one watches this";
  EXPECT_EQ(Turn(), "b1 ");
  second.reset();
  Send(SIGUSR1);
  EXPECT_EQ(unwatched, 2);
}

TEST_F(SignalWatcherTest, WhatWaitsUnreadIsDroppedWithTheLastWatcher) {
  auto watcher = Watch("a", {SIGUSR1});
  Send(SIGUSR1);
  watcher.reset();
  EXPECT_EQ(unwatched, 0);
  EXPECT_EQ(Turn(), "");
}

TEST_F(SignalWatcherTest, SignalThatWasBlockedBeforeIsSoAfterwards) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &one, nullptr);
  auto first = Watch("a", {SIGUSR1}), second = Watch("b", {SIGUSR1});
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 b1 ");
  first.reset();
  second.reset();
  EXPECT_TRUE(IsBlocked(SIGUSR1));
  pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
  EXPECT_EQ(unwatched, 0);
}

using SignalWatcherDeathTest = SignalWatcherTest;

TEST_F(SignalWatcherDeathTest, SignalThatEndedTheProcessBeforeDoesSoAfterwards) {
  signal(SIGUSR1, SIG_DFL);
  EXPECT_EXIT(
      {
        Watch("a", {SIGUSR1}).reset();
        Send(SIGUSR1);
      },
      ::testing::KilledBySignal(SIGUSR1), "");
}

TEST_F(SignalWatcherDeathTest, WatcherOutlivesItsLoop) {
  EXPECT_DEATH(
      {
        const auto watcher = Watch("a", {SIGUSR1});
        loop_.Destroy();
      },
      "a SignalWatcher outlives its loop");
}

// --- Whose it is ---

TEST_F(SignalWatcherTest, SecondLoopIsRefused) {
  TestLoop other;
  auto watcher = Watch("a", {SIGUSR1});
  const absl::Status status = TryToWatch(other, {SIGUSR2, SIGUSR1});
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), absl::StrCat(SIGUSR1))) << status;
  Send(SIGUSR2);
  EXPECT_EQ(unwatched, 1) << "nor does it get the one that was free";
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 ");
  watcher.reset();
  EXPECT_TRUE(TryToWatch(other, {SIGUSR2, SIGUSR1}).ok());
}

TEST_F(SignalWatcherTest, LoopsMayWatchDifferentSignals) {
  TestLoop other;
  int heard = 0;
  const auto theirs = SignalWatcher::Create(*other, {SIGUSR2}, [&](int) { ++heard; }).value();
  const auto ours = Watch("a", {SIGUSR1});
  Send(SIGUSR1);
  Send(SIGUSR2);
  EXPECT_EQ(Turn(), "a1 ");
  EXPECT_EQ(Turn(), "");
  other.Steps(2);
  EXPECT_EQ(heard, 1);
}

TEST_F(SignalWatcherTest, NextLoopMayWatchWhatADeadOneDid) {
  for (int i = 0; i < 3; ++i) {
    TestLoop loop;
    int heard = 0;
    const auto watcher = SignalWatcher::Create(*loop, {SIGUSR1}, [&](int) { ++heard; }).value();
    Send(SIGUSR1);
    loop.Step();
    EXPECT_EQ(heard, 1);
  }
}

TEST_F(SignalWatcherTest, WhatCannotBeWatchedIsRefusedWhole) {
  for (int number : {SIGKILL, SIGSTOP, 0, -1, 10'000}) {
    const absl::Status status = TryToWatch(loop_, {SIGUSR1, number});
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), absl::StrCat(number))) << status;
  }
  Send(SIGUSR1);
  EXPECT_EQ(unwatched, 1);
}

// --- When the kernel fails us ---

class SignalWatcherFaultTest : public SignalWatcherTest,
                               public ::testing::WithParamInterface<Call> {};

INSTANTIATE_TEST_SUITE_P(Calls, SignalWatcherFaultTest,
                         ::testing::Values(Call::kSignalfd, Call::kEpollCtl));

TEST_P(SignalWatcherFaultTest, FirstWatchThatFailsLeavesTheSignalAsItWas) {
  {
    const ScopedFault fault(GetParam(), {.error = ENOMEM, .times = 1});
    EXPECT_TRUE(absl::IsResourceExhausted(TryToWatch(loop_, {SIGUSR1})));
    EXPECT_TRUE(fault.spent());
  }
  EXPECT_FALSE(IsBlocked(SIGUSR1));
  Send(SIGUSR1);
  EXPECT_EQ(unwatched, 1);
  EXPECT_EQ(Turn(), "");
  TestLoop other;
  EXPECT_TRUE(TryToWatch(other, {SIGUSR1}).ok()) << "it is free for another loop";
}

TEST_P(SignalWatcherFaultTest, WatchMayBeTriedAgain) {
  {
    const ScopedFault fault(GetParam(), {.error = ENOMEM, .times = 1});
    EXPECT_FALSE(TryToWatch(loop_, {SIGUSR1}).ok());
  }
  const auto watcher = Watch("a", {SIGUSR1});
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 ");
}

TEST_F(SignalWatcherTest, LaterWatchThatFailsLeavesTheEarlierOnesAlone) {
  const auto watcher = Watch("a", {SIGUSR1});
  {
    const ScopedFault fault(Call::kSignalfd, {.error = ENOMEM, .times = 1});
    EXPECT_FALSE(TryToWatch(loop_, {SIGUSR1, SIGUSR2}).ok());
    EXPECT_TRUE(fault.spent());
  }
  EXPECT_FALSE(IsBlocked(SIGUSR2));
  Send(SIGUSR2);
  EXPECT_EQ(unwatched, 1);
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 ");
}

TEST_F(SignalWatcherTest, InterruptedReadIsMadeAgain) {
  const auto watcher = Watch("a", {SIGUSR1});
  const ScopedFault fault(Call::kRead, {.error = EINTR, .times = 2});
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "a1 ");
  EXPECT_TRUE(fault.spent());
}

TEST_F(SignalWatcherTest, ReadThatFailsIsTriedAgainInTheNextTurn) {
  const auto watcher = Watch("a", {SIGUSR1});
  const ScopedFault fault(Call::kRead, {.error = ENOMEM, .times = 1});
  Send(SIGUSR1);
  EXPECT_EQ(Turn(), "");
  EXPECT_EQ(Turn(), "a1 ");
}

}  // namespace
}  // namespace millrace
