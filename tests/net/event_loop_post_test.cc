// SPDX-License-Identifier: Apache-2.0
//
// Posts and stops, from the loop's own thread and from others.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

// Starts `count` threads that each do `work(i)`, and waits for their end.
template <typename Work>
void InThreads(int count, Work work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
  for (std::thread& thread : threads) thread.join();
}

// A loop with the real clock that runs on a thread of its own until Join().
class RunningLoop {
 public:
  RunningLoop() {
    absl::Notification born;
    thread_ = std::thread([this, &born] {
      const std::unique_ptr<EventLoop> loop = EventLoop::Create().value();
      ref_ = loop->ref();
      counters_ = &loop->counters();
      born.Notify();
      loop->Run();
    });
    born.WaitForNotification();
  }
  ~RunningLoop() { Join(); }

  const LoopRef& ref() const { return ref_; }
  uint64_t turns() const { return counters_->turns.value(); }  // Not once it has been stopped.
  void Join() {
    ref_.Stop();
    if (thread_.joinable()) thread_.join();
  }
  // Waits until the loop has run what was posted before.
  void Flush() {
    absl::Notification done;
    ASSERT_TRUE(ref_.Post([&done] { done.Notify(); }));
    done.WaitForNotification();
  }

 private:
  LoopRef ref_;
  const LoopCounters* counters_ = nullptr;
  std::thread thread_;
};

class EventLoopPostTest : public ::testing::Test {
 protected:
  bool Post(
      char letter, std::function<void()> then = [] {}) {
    return loop_->ref().Post([this, letter, then] {
      story_ += letter;
      then();
    });
  }
  std::string Told() { return std::exchange(story_, ""); }

  std::string story_;
  TestLoop loop_;
};

// --- Posting ---

TEST_F(EventLoopPostTest, IsNeverRunInline) {
  Post('a', [this] {
    Post('b');
    EXPECT_EQ(Told(), "a");
  });
  EXPECT_EQ(Told(), "");
  loop_.Step();
  EXPECT_EQ(Told(), "") << "nor in the turn it was posted in";
  loop_.Step();
  EXPECT_EQ(Told(), "b");
}

TEST_F(EventLoopPostTest, LoopThatPostsToItselfForEverStillDoesTheRest) {
  std::function<void()> again = [&] { Post('p', again); };
  again();
  int fired = 0;
  Timer timer(loop_->timers(), [&] { ++fired; });
  timer.ArmEvery(absl::Milliseconds(1));
  for (int i = 0; i < 3; ++i) loop_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(fired, 3);
  EXPECT_EQ(Told(), "ppp");
}

TEST_F(EventLoopPostTest, WhatAClosureHoldsGoesWithItAndNotWithTheLastOfTheBatch) {
  loop_->ref().Post([this, end = absl::MakeCleanup([this] { story_ += "~"; })] { story_ += "a"; });
  Post('b');
  loop_.Step();
  EXPECT_EQ(Told(), "a~b");
}

TEST_F(EventLoopPostTest, OneTooManyIsRefusedUntilTheLoopHasTakenSome) {
  TestLoop loop({.posts_max = 2});
  int run = 0;
  const auto post = [&] { return loop->ref().Post([&run] { ++run; }); };
  EXPECT_TRUE(post());
  EXPECT_TRUE(post());
  EXPECT_FALSE(post());
  loop.Step();
  EXPECT_EQ(run, 2);
  EXPECT_TRUE(post());
  loop.Step();
  EXPECT_EQ(run, 3);
}

TEST_F(EventLoopPostTest, WhatMustNotBeLostIsTakenAllTheSameAndKeepsItsPlace) {
  TestLoop loop({.posts_max = 1});
  std::string order;
  EXPECT_TRUE(loop->ref().Post([&] { order += 'a'; }));
  EXPECT_TRUE(loop->ref().PostAlways([&] { order += 'b'; }));
  EXPECT_FALSE(loop->ref().Post([&] { order += 'c'; }));
  loop.Step();
  EXPECT_EQ(order, "ab");
}

TEST_F(EventLoopPostTest, EachThreadsPostsRunInItsOrder) {
  constexpr int kProducers = 4, kPosts = 2500;
  int next[kProducers] = {};
  bool in_order = true;
  RunningLoop loop;
  InThreads(kProducers, [&](int producer) {
    for (int i = 0; i < kPosts; ++i) {
      ASSERT_TRUE(loop.ref().Post([&, producer, i] { in_order &= next[producer]++ == i; }));
    }
  });
  loop.Join();
  EXPECT_TRUE(in_order);
  for (int count : next) EXPECT_EQ(count, kPosts);
}

// Each waits for the one before, so the loop falls asleep again and again.
TEST_F(EventLoopPostTest, SleepingLoopIsAlwaysWoken) {
  RunningLoop loop;
  InThreads(2, [&](int) {
    for (int i = 0; i < 1000; ++i) loop.Flush();
  });
}

// Else the first post to a sleeping loop would be the end of its sleep for ever.
TEST_F(EventLoopPostTest, LoopThatWasWokenFallsAsleepAgain) {
  constexpr uint64_t kPosts = 1000;
  RunningLoop loop;
  for (uint64_t i = 0; i < kPosts; ++i) loop.Flush();
  EXPECT_LE(loop.turns(), 2 * kPosts + 2) << "one for each post, one for a bell that rang late";
}

TEST_F(EventLoopPostTest, TwoLoopsPostToEachOther) {
  RunningLoop ping, pong;
  absl::Notification done;
  std::function<void(int)> play = [&](int left) {
    if (left == 0) return done.Notify();
    // A copy: the game may be over before the call is.
    const LoopRef to = left % 2 == 0 ? ping.ref() : pong.ref();
    EXPECT_TRUE(to.Post([&play, left] { play(left - 1); }));
  };
  play(1001);
  done.WaitForNotification();
}

// --- Stopping ---

TEST_F(EventLoopPostTest, StopBeforeRunEndsItAtOnceButForWhatWasPosted) {
  Post('a');
  loop_->Stop();
  Post('b');
  loop_->Run();
  EXPECT_EQ(Told(), "ab");
  EXPECT_EQ(loop_->counters().turns.value(), 0u);
}

TEST_F(EventLoopPostTest, StopEndsTheLoopAfterTheTurn) {
  struct Mortal : Deferred {
    explicit Mortal(std::string& story) : story(story) {}
    ~Mortal() override { story += '~'; }
    std::string& story;
  };
  Timer timer(loop_->timers(), [this] { loop_->Stop(); });
  timer.Arm(absl::ZeroDuration());
  Post('a', [this] { loop_->DestroyLater(std::make_unique<Mortal>(story_)); });
  Post('b');
  loop_->Run();
  EXPECT_EQ(Told(), "ab~");
}

TEST_F(EventLoopPostTest, StoppedFromAPost) {
  Post('a', [this] { loop_->Stop(); });
  Post('b');
  loop_->Run();
  EXPECT_EQ(Told(), "ab");
}

TEST_F(EventLoopPostTest, LoopThatHasEndedStaysSo) {
  loop_->Stop();
  EXPECT_FALSE(loop_->RunOnce(absl::InfiniteDuration()));
  EXPECT_FALSE(Post('a'));
  bool fired = false;
  Timer timer(loop_->timers(), [&] { fired = true; });
  timer.Arm(absl::ZeroDuration());
  EXPECT_FALSE(loop_->RunOnce(absl::InfiniteDuration()));
  loop_->Run();
  loop_->Stop();
  EXPECT_FALSE(fired);
  EXPECT_EQ(Told(), "");
}

TEST_F(EventLoopPostTest, RunOnceSaysWhetherThereIsMoreToCome) {
  EXPECT_TRUE(loop_->RunOnce(absl::ZeroDuration()));
  Post('a', [this] { loop_->Stop(); });
  EXPECT_FALSE(loop_->RunOnce(absl::ZeroDuration()));
}

TEST_F(EventLoopPostTest, PostsFromTheLastPostsAreRefused) {
  bool accepted = true;
  loop_->Stop();
  Post('a', [&] { accepted = Post('b'); });
  loop_->Run();
  EXPECT_EQ(Told(), "a");
  EXPECT_FALSE(accepted);
}

// Else what a connection was given to send by the very last post would stay in its queue.
TEST_F(EventLoopPostTest, LastPostsStillHaveTheirEndOfTurn) {
  class Sender final : public IoHandler {
   public:
    explicit Sender(EventLoop& loop) : registration(loop.Name(*this)) {}
    Registration registration;
    bool flushed = false;

   private:
    void OnIo(Io) override {}
    void OnEndOfTurn() override { flushed = true; }
  } sender(*loop_);
  loop_->Stop();
  Post('a', [&] { sender.registration.CallAtEndOfTurn(); });
  loop_->Run();
  EXPECT_TRUE(sender.flushed);
}

TEST_F(EventLoopPostTest, StopFromAnotherThreadWakesTheLoop) {
  for (int round = 0; round < 200; ++round) {
    RunningLoop loop;
    if (round % 2 == 0) loop.Flush();
    loop.Join();
    EXPECT_FALSE(loop.ref().Post([] { FAIL(); }));
  }
}

TEST_F(EventLoopPostTest, StopRacingWithProducersLosesNothingThatWasAccepted) {
  for (int round = 0; round < 20; ++round) {
    int run = 0;  // Written by the loop only.
    std::atomic<int> accepted{0}, destroyed{0}, offered{0}, at_work{0};
    RunningLoop loop;
    std::thread stopper([&] {
      while (at_work < 4) std::this_thread::yield();
      loop.ref().Stop();
    });
    InThreads(4, [&](int) {
      ++at_work;
      bool ok;
      do {
        ok = loop.ref().Post([&run, end = absl::MakeCleanup([&] { ++destroyed; })] { ++run; });
        accepted += ok;
        ++offered;
      } while (ok);
    });
    stopper.join();
    loop.Join();
    EXPECT_EQ(run, accepted);
    EXPECT_EQ(destroyed, offered);
  }
}

// By then Stop() may not have returned yet. The loop is kept awake, so that nothing but the request
// itself tells it to end.
TEST_F(EventLoopPostTest, LoopMayBeDestroyedAsSoonAsRunHasReturned) {
  for (int round = 0; round < 50; ++round) {
    std::unique_ptr<EventLoop> loop = EventLoop::Create().value();
    std::thread stopper([loop = loop.get()] { loop->Stop(); });
    while (loop->RunOnce(absl::ZeroDuration())) {
    }
    loop.reset();
    stopper.join();
  }
}

TEST_F(EventLoopPostTest, LoopMayBeDestroyedByThePostThatIsStillUnderWay) {
  for (int round = 0; round < 50; ++round) {
    std::unique_ptr<EventLoop> loop = EventLoop::Create().value();
    std::thread poster([loop = loop.get()] { loop->ref().Post([loop] { loop->Stop(); }); });
    while (loop->RunOnce(absl::ZeroDuration())) {
    }
    loop.reset();
    poster.join();
  }
}

TEST_F(EventLoopPostTest, SeveralThreadsMayStopIt) {
  RunningLoop loop;
  InThreads(4, [&](int) {
    for (int i = 0; i < 100; ++i) loop.ref().Stop();
  });
}

// --- Posting to somebody ---

class Person final : public IoHandler {
 public:
  explicit Person(EventLoop& loop) : name(loop.Name(*this)) {}
  void OnIo(Io) override {}
  Registration name;
  int greeted = 0;
};

void Greet(IoHandler& person) { ++static_cast<Person&>(person).greeted; }

TEST_F(EventLoopPostTest, PostToFindsWhoIsNamed) {
  Person anna(*loop_), bert(*loop_);
  EXPECT_TRUE(PostTo(loop_->ref(), anna.name.token(), Greet));
  EXPECT_EQ(anna.greeted, 0);
  loop_.Step();
  EXPECT_EQ(anna.greeted, 1);
  EXPECT_EQ(bert.greeted, 0);
}

TEST_F(EventLoopPostTest, PostToSomebodyGoneIsDroppedAlsoIfTheSlotIsTaken) {
  auto anna = std::make_unique<Person>(*loop_);
  const Token token = anna->name.token();
  EXPECT_TRUE(PostTo(loop_->ref(), token, Greet));
  anna.reset();
  Person heir(*loop_);
  EXPECT_EQ(heir.name.token().slot, token.slot);
  loop_.Step();
  EXPECT_EQ(heir.greeted, 0);
}

TEST_F(EventLoopPostTest, PostToSomebodyWhomAnEarlierPostEndsIsDropped) {
  auto anna = std::make_unique<Person>(*loop_);
  const Token token = anna->name.token();
  Post('a', [&] { anna.reset(); });
  PostTo(loop_->ref(), token, [](IoHandler&) { FAIL(); });
  loop_.Step();
  EXPECT_EQ(Told(), "a");
}

TEST_F(EventLoopPostTest, PostToALoopThatIsGoneIsRefused) {
  LoopRef ref;
  Token token;
  {
    TestLoop loop;
    Person anna(*loop);
    ref = loop->ref();
    token = anna.name.token();
  }
  EXPECT_FALSE(PostTo(ref, token, [](IoHandler&) { FAIL(); }));
}

}  // namespace
}  // namespace millrace
