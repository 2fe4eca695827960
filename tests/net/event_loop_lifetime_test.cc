// SPDX-License-Identifier: Apache-2.0
//
// How a loop comes to be and ends, what it keeps and destroys for others, and what it takes for a
// caller's mistake.
#include <dirent.h>
#include <errno.h>
#include <signal.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "tests/support/fault_injection.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

// Writes its letter down when it dies, and then does what the test wants.
class Mortal : public Deferred {
 public:
  explicit Mortal(
      std::string& dead, char letter, std::function<void()> then = [] {})
      : dead_(dead), letter_(letter), then_(std::move(then)) {}
  ~Mortal() override {
    dead_ += letter_;
    then_();
  }

 private:
  std::string& dead_;
  const char letter_;
  const std::function<void()> then_;
};

class EventLoopLifetimeTest : public ::testing::Test {
 protected:
  std::unique_ptr<Mortal> NewMortal(
      char letter, std::function<void()> then = [] {}) {
    return std::make_unique<Mortal>(dead_, letter, std::move(then));
  }
  void Post(std::function<void()> work) { ASSERT_TRUE(loop_->ref().Post(work)); }

  std::string dead_;
  TestLoop test_loop_;
  EventLoop* const loop_ = &*test_loop_;
};

int OpenDescriptors() {
  int count = 0;
  DIR* const folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

// --- Making ---

TEST_F(EventLoopLifetimeTest, OutOfWhateverItNeedsIsAnErrorAndLeavesNothingBehind) {
  const int before = OpenDescriptors();
  for (const auto& [call, error] :
       {std::pair(Call::kEpollCreate1, EMFILE), std::pair(Call::kEventfd, ENFILE),
        std::pair(Call::kEpollCtl, ENOSPC), std::pair(Call::kEpollCtl, ENOMEM)}) {
    const ScopedFault fault(call, {.error = error, .times = 1});
    EXPECT_EQ(EventLoop::Create().status().code(), absl::ErrnoToStatusCode(error));
    EXPECT_TRUE(fault.spent());
    EXPECT_EQ(OpenDescriptors(), before);
  }
  EXPECT_TRUE(EventLoop::Create().ok());
}

TEST_F(EventLoopLifetimeTest, FailureOfItsPollerIsItsOwn) {
  const absl::Status broken = absl::UnimplementedError("no such poller here");
  const auto loop = EventLoop::Create(
      {.poller = [&]() -> absl::StatusOr<std::unique_ptr<Poller>> { return broken; }});
  EXPECT_EQ(loop.status(), broken);
}

// What becomes of SIGPIPE, which the fixture's loop has set already.
class SigpipeTest : public ::testing::Test {
 protected:
  using Effect = void (*)(int);

  SigpipeTest() : before_(signal(SIGPIPE, SIG_DFL)) {}
  ~SigpipeTest() override { signal(SIGPIPE, before_); }

  static Effect EffectAfterCreate(Effect effect) {
    signal(SIGPIPE, effect);
    EventLoop::Create().value();
    struct sigaction now;
    sigaction(SIGPIPE, nullptr, &now);
    return now.sa_handler;
  }

 private:
  const Effect before_;
};

TEST_F(SigpipeTest, KillsNoProcessThatHasALoop) { EXPECT_EQ(EffectAfterCreate(SIG_DFL), SIG_IGN); }

TEST_F(SigpipeTest, WhoHandlesItGoesOnToDoSo) {
  const Effect own = [](int) {};
  EXPECT_EQ(EffectAfterCreate(own), own);
}

// --- Ending ---

TEST_F(EventLoopLifetimeTest, ThousandLoopsComeAndGo) {
  const int before = OpenDescriptors();
  int turns = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::unique_ptr<EventLoop> loop = EventLoop::Create().value();
    loop->ref().Post([&] { ++turns; });
    loop->RunOnce(absl::ZeroDuration());
  }
  EXPECT_EQ(turns, 1000);
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(EventLoopLifetimeTest, LoopThatNeverRanDestroysItsPostsUnrun) {
  bool destroyed = false;
  loop_->ref().Post([end = absl::MakeCleanup([&] { destroyed = true; })] { FAIL(); });
  test_loop_.Destroy();
  EXPECT_TRUE(destroyed);
}

TEST_F(EventLoopLifetimeTest, PostsThatNeverRanDieBeforeWhatTheyWereFor) {
  Mortal& kept = loop_->Keep(NewMortal('k'));
  auto release = [this, &kept] {
    AssertOnLoop();
    loop_->Release(kept);
    dead_ += 'p';
  };
  loop_->ref().Post([end = absl::MakeCleanup(release)] { FAIL(); });
  test_loop_.Destroy();
  EXPECT_EQ(dead_, "pk");
}

TEST_F(EventLoopLifetimeTest, PostThatNeverRanMayHoldARegistration) {
  class Idle final : public IoHandler {
   public:
    explicit Idle(EventLoop& loop) : name_(loop.Name(*this)) {}
    void OnIo(Io) override {}

   private:
    Registration name_;
  };
  loop_->ref().Post([idle = std::make_unique<Idle>(*loop_)] { FAIL(); });
  test_loop_.Destroy();
}

TEST_F(EventLoopLifetimeTest, LoopMayBeDestroyedByAnotherThreadOnceItHasEnded) {
  loop_->Keep(NewMortal('k'));
  loop_->Stop();
  std::thread([this] { loop_->Run(); }).join();
  test_loop_.Destroy();
  EXPECT_EQ(dead_, "k");
}

TEST_F(EventLoopLifetimeTest, SeveralLoopsShareAThread) {
  TestLoop other;
  std::string order;
  other->ref().Post([&] { order += 'b'; });
  Post([&] {
    EXPECT_EQ(EventLoop::Current(), loop_);
    order += 'a';
    other.Step();
    order += 'c';
    EXPECT_EQ(EventLoop::Current(), loop_);
  });
  EXPECT_EQ(EventLoop::Current(), nullptr);
  test_loop_.Step();
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(EventLoop::Current(), nullptr);
}

// --- Destroying for others ---

TEST_F(EventLoopLifetimeTest, DeferredObjectOutlivesTheCallThatGaveItAway) {
  Post([this] {
    loop_->DestroyLater(NewMortal('a'));
    EXPECT_EQ(dead_, "");
  });
  Post([this] { EXPECT_EQ(dead_, "") << "and the rest of the turn"; });
  test_loop_.Step();
  EXPECT_EQ(dead_, "a");
}

TEST_F(EventLoopLifetimeTest, DeferredObjectsDieInTheOrderTheyWereGiven) {
  for (char letter : {'a', 'b', 'c'}) loop_->DestroyLater(NewMortal(letter));
  test_loop_.Step();
  EXPECT_EQ(dead_, "abc");
}

TEST_F(EventLoopLifetimeTest, ChainOfDeferredObjectsDiesWithTheLoop) {
  loop_->DestroyLater(NewMortal('a', [this] {
    loop_->DestroyLater(NewMortal('b', [this] { loop_->DestroyLater(NewMortal('c')); }));
  }));
  test_loop_.Destroy();
  EXPECT_EQ(dead_, "abc");
}

TEST_F(EventLoopLifetimeTest, KeptObjectsDieWithTheLoopTheYoungestFirst) {
  for (char letter : {'a', 'b', 'c'}) loop_->Keep(NewMortal(letter));
  test_loop_.Steps(3);
  EXPECT_EQ(dead_, "");
  test_loop_.Destroy();
  EXPECT_EQ(dead_, "cba");
}

TEST_F(EventLoopLifetimeTest, ReleasedObjectDiesAtTheEndOfTheTurn) {
  loop_->Keep(NewMortal('a'));
  Mortal& released = loop_->Keep(NewMortal('b'));
  loop_->Keep(NewMortal('c'));
  Post([&] {
    loop_->Release(released);
    loop_->Release(released);  // Twice is harmless within the turn.
    EXPECT_EQ(dead_, "");
  });
  test_loop_.Step();
  EXPECT_EQ(dead_, "b");
  test_loop_.Destroy();
  EXPECT_EQ(dead_, "bca");
}

TEST_F(EventLoopLifetimeTest, KeptObjectsMayReleaseEachOtherWhileTheLoopDies) {
  Mortal& oldest = loop_->Keep(NewMortal('a'));
  loop_->Keep(NewMortal('b'));
  loop_->Keep(NewMortal('c', [&] {
    loop_->Release(oldest);
    loop_->DestroyLater(NewMortal('d'));
  }));
  test_loop_.Destroy();
  EXPECT_EQ(dead_, "cadb");
}

TEST_F(EventLoopLifetimeTest, DyingLoopRefusesPostsOfWhatItDestroys) {
  bool accepted = true;
  loop_->Keep(NewMortal('a', [&] { accepted = loop_->ref().Post([] {}); }));
  test_loop_.Destroy();
  EXPECT_EQ(dead_, "a");
  EXPECT_FALSE(accepted);
}

// --- What a loop has one of ---

template <int kWhich>
class Shared final : public Deferred {
 public:
  explicit Shared(EventLoop& loop) : loop(loop) {}
  EventLoop& loop;
};

TEST_F(EventLoopLifetimeTest, EachLoopHasOneLocalOfAType) {
  TestLoop other;
  Shared<1>& local = loop_->Local<Shared<1>>();
  EXPECT_EQ(&local.loop, loop_);
  EXPECT_EQ(&local, &loop_->Local<Shared<1>>());
  EXPECT_NE(&local, &other->Local<Shared<1>>());
  EXPECT_NE(static_cast<Deferred*>(&local), &loop_->Local<Shared<2>>());
}

TEST_F(EventLoopLifetimeTest, LocalIsMadeAnewOnceReleased) {
  static int made;
  class Counted final : public Deferred {
   public:
    explicit Counted(EventLoop&) { ++made; }
  };
  made = 0;
  loop_->Release(loop_->Local<Counted>());
  loop_->Local<Counted>();
  loop_->Local<Counted>();
  EXPECT_EQ(made, 2);
}

std::string dead_locals;

class OlderLocal final : public Mortal {
 public:
  explicit OlderLocal(EventLoop&) : Mortal(dead_locals, 'o') {}
};

// Uses another one from its constructor to its destructor.
class YoungerLocal final : public Mortal {
 public:
  explicit YoungerLocal(EventLoop& loop) : Mortal(dead_locals, 'y') { loop.Local<OlderLocal>(); }
};

TEST_F(EventLoopLifetimeTest, LocalThatUsesAnotherDiesBeforeIt) {
  dead_locals = "";
  loop_->Local<YoungerLocal>();
  test_loop_.Destroy();
  EXPECT_EQ(dead_locals, "yo");
}

// Who keeps clients makes their memory when the first one connects.
TEST_F(EventLoopLifetimeTest, LocalOutlivesWhoAskedForItLateInLife) {
  dead_locals = "";
  loop_->Keep(std::make_unique<Mortal>(dead_locals, 'k'));
  loop_->Local<OlderLocal>();
  test_loop_.Destroy();
  EXPECT_EQ(dead_locals, "ko");
}

// --- A caller's mistakes ---

using EventLoopDeathTest = EventLoopLifetimeTest;

TEST_F(EventLoopDeathTest, LoopRunInsideItsOwnTurn) {
  Post([this] { test_loop_.Step(); });
  EXPECT_DEATH(test_loop_.Step(), "from inside its own turn");
}

TEST_F(EventLoopDeathTest, LoopRunInsideItsOwnTurnByWayOfAnother) {
  TestLoop other;
  other->ref().Post([this] { test_loop_.Step(); });
  Post([&other] { other.Step(); });
  EXPECT_DEATH(test_loop_.Step(), "from inside its own turn");
}

TEST_F(EventLoopDeathTest, LoopDestroyedInsideItsOwnTurn) {
  Post([this] { test_loop_.Destroy(); });
  EXPECT_DEATH(test_loop_.Step(), "from inside its own turn");
}

TEST_F(EventLoopDeathTest, LoopRunByTwoThreads) {
  test_loop_.Step();
  EXPECT_DEATH(std::thread([this] { test_loop_.Step(); }).join(), "a loop runs on one thread");
}

class Nobody final : public IoHandler {
  void OnIo(Io) override {}
};

TEST_F(EventLoopDeathTest, RegistrationOutlivesItsLoop) {
  Nobody nobody;
  EXPECT_DEATH(
      {
        const Registration registration = loop_->Name(nobody);
        test_loop_.Destroy();
      },
      "a Registration outlives its loop");
}

#ifndef NDEBUG
TEST_F(EventLoopDeathTest, LoopTouchedByAThreadThatIsNotItsOwn) {
  test_loop_.Step();
  Nobody nobody;
  EXPECT_DEATH(std::thread([&] { loop_->Name(nobody); }).join(), "not the loop's");
}

TEST_F(EventLoopDeathTest, InterestSetByAThreadThatIsNotTheLoops) {
  test_loop_.Step();
  Nobody nobody;
  Registration registration = loop_->Name(nobody);
  EXPECT_DEATH(std::thread([&] { registration.SetInterest(Io::kNone).IgnoreError(); }).join(),
               "not the loop's");
  EXPECT_DEATH(std::thread([&] { registration.CallAtEndOfTurn(); }).join(), "not the loop's");
}
#endif

}  // namespace
}  // namespace millrace
