// SPDX-License-Identifier: Apache-2.0
//
// Asking a loop's thread what it does, while it is stuck, asleep, deaf or gone.
#include "net/stall_probe.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <typeinfo>
#include <vector>

#include "absl/base/config.h"
#include "absl/debugging/symbolize.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "tests/support/stalling_loop.h"

namespace millrace {
namespace {

// Long enough for a machine that has other things to do; nobody waits for it to pass.
constexpr absl::Duration kPatience = absl::Seconds(30);
// For a thread that will not answer.
constexpr absl::Duration kImpatience = absl::Milliseconds(1);

class StallProbeTest : public ::testing::Test {
 protected:
  absl::StatusOr<StallAnswer> Ask(absl::Duration timeout = kPatience) {
    return probe_.Ask(loop_.pulse(), timeout);
  }
  // The names of the calls, the innermost first.
  static std::string Names(const StallAnswer& answer) {
    std::string names;
    for (int i = 0; i < answer.stack_size; ++i) {
      char name[1024];
      const bool known = absl::Symbolize(answer.stack[i], name, sizeof(name));
      absl::StrAppend(&names, known ? name : "?", "\n");
    }
    return names;
  }
  static void BlockSignal(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, kSignal);
    pthread_sigmask(how, &set, nullptr);
  }

  static inline const int kSignal = SIGRTMIN + 5;
  const StallProbe probe_ = StallProbe::Create(kSignal).value();
  std::atomic<bool> computing_{false}, stop_{false};  // The loop looks at them, so it goes first.
  StallingLoop loop_;
};

TEST_F(StallProbeTest, StalledThreadTellsItsStackAndItsTurn) {
  loop_.Stall();
  const absl::StatusOr<StallAnswer> answer = Ask();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->turn.beat, loop_.pulse().beat());
  EXPECT_EQ(answer->turn.part, TurnPart::kPosts);
  const std::string names = Names(*answer);
  EXPECT_TRUE(absl::StrContains(names, "StallingLoop::HoldUp()")) << names;
  EXPECT_TRUE(absl::StrContains(names, "EventLoop::RunPosts()")) << names;
  EXPECT_FALSE(absl::StrContains(names, "stall_probe")) << names;
}

TEST_F(StallProbeTest, WhoeverWasCalledIsTold) {
  class Slow final : public IoHandler {
   public:
    Slow(EventLoop& loop, StallingLoop& stalling) : name(loop.Name(*this)), stalling(stalling) {}
    void OnIo(Io) override {}
    void OnEndOfTurn() override { stalling.HoldUp(); }
    Registration name;
    StallingLoop& stalling;
  };
  loop_.Stall([this](EventLoop& loop) {
    loop.Keep(std::make_unique<Slow>(loop, loop_)).name.CallAtEndOfTurn();
  });
  const absl::StatusOr<StallAnswer> answer = Ask();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->turn.part, TurnPart::kEndsOfTurn);
  ASSERT_NE(answer->turn.who.type, nullptr);
  EXPECT_EQ(*answer->turn.who.type, typeid(Slow));
}

// ThreadSanitizer holds signals back until the next system call.
#ifndef ABSL_HAVE_THREAD_SANITIZER
TEST_F(StallProbeTest, ThreadThatComputesAnswersToo) {
  loop_.ref().Post([this] {
    computing_ = true;
    while (!stop_) {
    }
  });
  while (!computing_) std::this_thread::yield();
  const absl::StatusOr<StallAnswer> answer = Ask();
  stop_ = true;
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(absl::StrContains(Names(*answer), "EventLoop::RunPosts()")) << Names(*answer);
}
#endif

TEST_F(StallProbeTest, DeepStackIsCutAtItsOuterEnd) {
  std::function<int(int)> dig = [&](int depth) {
    if (depth > 0) return dig(depth - 1) + 1;
    loop_.HoldUp();
    return 0;
  };
  loop_.Stall([&](EventLoop&) { dig(1000); });
  const absl::StatusOr<StallAnswer> answer = Ask();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->stack_size, kStallFramesMax);
  EXPECT_TRUE(absl::StrContains(Names(*answer), "HoldUp"));
  loop_.Release();  // While `dig` is there.
}

TEST_F(StallProbeTest, SystemCallsAndErrnoGoOnAsIfNothingHadHappened) {
  int error = 0;
  loop_.Stall([&](EventLoop&) {
    errno = ENOTTY;
    loop_.HoldUp();  // Checks that its system call went on.
    error = errno;
  });
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Ask().ok());
  loop_.Release();
  EXPECT_EQ(error, ENOTTY);
}

TEST_F(StallProbeTest, LoopAroundTheOneThatRunsIsAsked) {
  loop_.Stall([this](EventLoop&) {
    const auto inner = EventLoop::Create({.name = "inner"}).value();
    inner->ref().Post([this] { loop_.HoldUp(); });
    inner->RunOnce(absl::ZeroDuration());
  });
  const absl::StatusOr<StallAnswer> answer = Ask();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->turn.beat, loop_.pulse().beat());
}

TEST_F(StallProbeTest, ThreadThatBlocksTheSignalIsGivenUpAndToldOf) {
  loop_.Stall([this](EventLoop&) {
    BlockSignal(SIG_BLOCK);
    loop_.HoldUp();
    BlockSignal(SIG_UNBLOCK);
  });
  const absl::Status status = Ask(kImpatience).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(status.message(), "it blocks signal")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "sleeping")) << status;
}

TEST_F(StallProbeTest, AnswerThatComesTooLateIsDroppedAndTheNextOneIsRight) {
  loop_.Stall([this](EventLoop&) {
    BlockSignal(SIG_BLOCK);
    loop_.HoldUp();
    BlockSignal(SIG_UNBLOCK);  // Here come those that nobody waits for.
  });
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(Ask(kImpatience).ok());
  loop_.Release();
  loop_.Stall();
  const absl::StatusOr<StallAnswer> answer = Ask();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->turn.beat, loop_.pulse().beat());
}

TEST_F(StallProbeTest, SignalThatNobodySentForIsHarmless) {
  loop_.Flush();
  const pid_t thread = loop_.pulse().thread();
  for (int i = 0; i < 100; ++i) syscall(SYS_tgkill, getpid(), thread, kSignal);
  raise(kSignal);  // On a thread without a loop.
  loop_.Flush();
}

TEST_F(StallProbeTest, LoopThatIsGoneCannotBeAsked) {
  loop_.Flush();
  loop_.End();
  EXPECT_FALSE(Ask(kImpatience).ok());
}

TEST_F(StallProbeTest, LoopThatNeverRanCannotBeAsked) {
  const auto loop = EventLoop::Create().value();
  EXPECT_FALSE(probe_.Ask(*loop->ref().pulse(), kPatience).ok());
}

TEST_F(StallProbeTest, SeveralMayAskAtOnce) {
  StallingLoop other("other");
  loop_.Stall();
  other.Stall();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const LoopPulse& pulse = i % 2 == 0 ? loop_.pulse() : other.pulse();
      for (int j = 0; j < 20; ++j) EXPECT_TRUE(probe_.Ask(pulse, kPatience).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// --- The signal ---

TEST_F(StallProbeTest, SignalsThatMeanSomethingAreRefused) {
  for (int number : {0, -1, SIGTERM, SIGUSR1, SIGRTMIN - 1, SIGRTMAX + 1}) {
    EXPECT_EQ(StallProbe::Create(number).status().code(), absl::StatusCode::kInvalidArgument)
        << number;
  }
}

TEST_F(StallProbeTest, SignalOfSomebodyElseIsRefusedAndLeftToHim) {
  const int number = SIGRTMIN + 6;
  ASSERT_NE(signal(number, [](int) {}), SIG_ERR);
  EXPECT_EQ(StallProbe::Create(number).status().code(), absl::StatusCode::kFailedPrecondition);
  signal(number, SIG_DFL);
  EXPECT_TRUE(StallProbe::Create(number).ok());
  EXPECT_TRUE(StallProbe::Create(number).ok()) << "our own is no obstacle";
}

}  // namespace
}  // namespace millrace
