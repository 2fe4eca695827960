// SPDX-License-Identifier: Apache-2.0
#include "net/mailbox.h"

#include <errno.h>
#include <poll.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/ref.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

Ref<Mailbox> MakeMailbox(size_t posts_max = 1000) { return Mailbox::Create(posts_max).value(); }

// The test plays the loop, unless it says otherwise.
class MailboxTest : public ::testing::Test {
 protected:
  bool Post(char letter) {
    return mailbox_->Post([this, letter] { read_ += letter; });
  }
  // What comes now, in order.
  std::string Take() {
    std::vector<Closure> posts;
    mailbox_->TakeAll(posts);
    return Read(posts);
  }
  std::string Close() {
    std::vector<Closure> posts;
    mailbox_->Close(posts);
    return Read(posts);
  }

  Ref<Mailbox> mailbox_ = MakeMailbox();
  ScopedFault rings_{Call::kWrite, {.fd = mailbox_->wakeup().fd()}};
  std::string read_;

 private:
  std::string Read(std::vector<Closure>& posts) {
    for (Closure& post : posts) std::move(post)();
    return std::exchange(read_, "");
  }
};

// --- Taking ---

TEST_F(MailboxTest, HandsOutEachPostOnceAndInOrder) {
  EXPECT_EQ(Take(), "");
  Post('a');
  Post('b');
  Post('c');
  EXPECT_EQ(Take(), "abc");
  EXPECT_EQ(Take(), "");
  Post('d');
  EXPECT_EQ(Take(), "d");
}

TEST_F(MailboxTest, OneWithoutRoomRefusesUntilItIsEmptied) {
  mailbox_ = MakeMailbox(2);
  EXPECT_TRUE(Post('a'));
  EXPECT_TRUE(Post('b'));
  EXPECT_FALSE(Post('c'));
  EXPECT_EQ(Take(), "ab");
  EXPECT_TRUE(Post('d'));
  EXPECT_EQ(Take(), "d");
}

TEST_F(MailboxTest, WhatMustNotBeLostIsTakenByAFullOneAndByNoClosedOne) {
  mailbox_ = MakeMailbox(1);
  const auto post_always = [this](char letter) {
    return mailbox_->PostAlways([this, letter] { read_ += letter; });
  };
  EXPECT_TRUE(Post('a'));
  EXPECT_TRUE(post_always('b'));
  EXPECT_TRUE(post_always('c'));
  EXPECT_FALSE(Post('d'));
  EXPECT_EQ(Close(), "abc");
  EXPECT_FALSE(post_always('e'));
}

TEST_F(MailboxTest, OneWithAClockTellsWhenTheFirstOfABurstCame) {
  FakeClock clock;
  mailbox_ = Mailbox::Create(/*posts_max=*/1000, "mill", &clock).value();
  std::vector<Closure> posts;
  for (int burst = 0; burst < 2; ++burst) {
    clock.Advance(absl::Seconds(1));
    const MonotonicTime first = clock.Now();
    Post('a');
    clock.Advance(absl::Seconds(1));
    Post('b');
    mailbox_->TakeAll(posts);
    EXPECT_EQ(mailbox_->first_taken(), first);
    posts.clear();
  }
}

TEST_F(MailboxTest, ClosingHandsOutTheLastPostsAndRefusesMore) {
  Post('a');
  Post('b');
  EXPECT_EQ(Close(), "ab");
  EXPECT_FALSE(Post('c'));
  EXPECT_EQ(Take(), "");
  EXPECT_EQ(Close(), "");
}

TEST_F(MailboxTest, RequestToStopRefusesNothingYet) {
  EXPECT_FALSE(mailbox_->stop_requested());
  mailbox_->RequestStop();
  EXPECT_TRUE(mailbox_->stop_requested());
  EXPECT_TRUE(Post('a'));
  EXPECT_EQ(Close(), "a");
  mailbox_->RequestStop();
  EXPECT_TRUE(mailbox_->stop_requested());
}

TEST_F(MailboxTest, RefusedClosureIsDestroyedUnrunBeforePostReturns) {
  Close();
  bool destroyed = false;
  EXPECT_FALSE(mailbox_->Post([end = absl::MakeCleanup([&] { destroyed = true; })] { FAIL(); }));
  EXPECT_TRUE(destroyed);
}

TEST_F(MailboxTest, RefusedClosureMayPostFromItsDestructor) {
  mailbox_ = MakeMailbox(1);
  Post('a');
  bool accepted = true;
  mailbox_->Post([end = absl::MakeCleanup([&] { accepted = Post('b'); })] { FAIL(); });
  EXPECT_FALSE(accepted);
}

TEST_F(MailboxTest, ClosuresMayHoldWhatOnlyMoves) {
  auto number = std::make_unique<int>(7);
  int* const address = number.get();
  int* seen = nullptr;
  mailbox_->Post([&seen, number = std::move(number)] { seen = number.get(); });
  Take();
  EXPECT_EQ(seen, address);
}

TEST_F(MailboxTest, PostsThatNobodyTookDieWithTheLastReference) {
  bool destroyed = false;
  mailbox_->Post([end = absl::MakeCleanup([&] { destroyed = true; })] { FAIL(); });
  Ref<Mailbox>(mailbox_.get()) = Ref<Mailbox>();
  EXPECT_FALSE(destroyed);
  mailbox_ = Ref<Mailbox>();
  EXPECT_TRUE(destroyed);
}

TEST_F(MailboxTest, OutOfDescriptorsIsAnError) {
  const ScopedFault fault(Call::kEventfd, {.error = ENFILE});
  EXPECT_EQ(Mailbox::Create(1).status(), absl::ErrnoToStatus(ENFILE, "eventfd"));
}

// --- Ringing ---

TEST_F(MailboxTest, BurstRingsASleepingLoopOnce) {
  ASSERT_TRUE(mailbox_->PrepareToSleep());
  for (int i = 0; i < 1000; ++i) Post('a');
  EXPECT_EQ(rings_.hits(), 1);
}

TEST_F(MailboxTest, LoopThatIsAwakeIsNotRung) {
  for (int i = 0; i < 1000; ++i) Post('a');
  EXPECT_EQ(rings_.hits(), 0);
  ASSERT_FALSE(mailbox_->PrepareToSleep());
  mailbox_->Awake();
  Take();
  Post('b');
  mailbox_->RequestStop();
  EXPECT_EQ(rings_.hits(), 0);
}

TEST_F(MailboxTest, RequestToStopRingsToo) {
  ASSERT_TRUE(mailbox_->PrepareToSleep());
  mailbox_->RequestStop();
  mailbox_->RequestStop();
  EXPECT_EQ(rings_.hits(), 1);
}

TEST_F(MailboxTest, NobodySleepsOverMailOrAStop) {
  EXPECT_TRUE(mailbox_->PrepareToSleep());
  Post('a');
  EXPECT_FALSE(mailbox_->PrepareToSleep());
  Take();
  EXPECT_TRUE(mailbox_->PrepareToSleep());
  mailbox_->RequestStop();
  EXPECT_FALSE(mailbox_->PrepareToSleep());
}

// Found by injecting errors into every write: a loop that was not woken once was never woken again.
TEST_F(MailboxTest, AfterABellThatFailedWhoComesNextRings) {
  ASSERT_TRUE(mailbox_->PrepareToSleep());
  {
    const ScopedFault fault(Call::kWrite, {.error = EIO, .fd = mailbox_->wakeup().fd()});
    Post('a');
    Post('b');
    EXPECT_EQ(fault.hits(), 2);
  }
  Post('c');
  EXPECT_EQ(rings_.hits(), 1);
  Post('d');
  EXPECT_EQ(rings_.hits(), 1);
  mailbox_->Awake();
  EXPECT_EQ(Take(), "abcd");
}

TEST_F(MailboxTest, RefusedPostDoesNotRing) {
  Close();
  ASSERT_TRUE(mailbox_->PrepareToSleep());
  Post('a');
  EXPECT_EQ(rings_.hits(), 0);
}

// --- Threads ---

// Takes what comes, asleep in between as a loop would be, until it is told to stop.
class Sleeper {
 public:
  explicit Sleeper(Mailbox& mailbox) : mailbox_(mailbox), thread_([this] { Work(); }) {}
  ~Sleeper() {
    mailbox_.RequestStop();
    thread_.join();
  }

 private:
  void Work() {
    while (!mailbox_.stop_requested()) {
      if (mailbox_.PrepareToSleep()) WaitForBell();
      mailbox_.Awake();
      mailbox_.wakeup().Drain();
      std::vector<Closure> posts;
      mailbox_.TakeAll(posts);
      for (Closure& post : posts) std::move(post)();
    }
  }
  void WaitForBell() {
    pollfd polled = {.fd = mailbox_.wakeup().fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&polled, 1, -1), 1);
  }

  Mailbox& mailbox_;
  std::thread thread_;
};

// Starts `count` threads that each do `work(i)`, and waits for their end.
template <typename Work>
void InThreads(int count, Work work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
  for (std::thread& thread : threads) thread.join();
}

// A wake-up that is lost hangs the next three: each post waits for an earlier one to have been run.
TEST_F(MailboxTest, NoWakeUpIsLost) {
  Sleeper sleeper(*mailbox_);
  InThreads(3, [this](int) {
    for (int i = 0; i < 1000; ++i) {
      absl::Notification run;
      ASSERT_TRUE(mailbox_->Post([&run] { run.Notify(); }));
      run.WaitForNotification();
    }
  });
}

// Posts twice in a row and goes on as soon as both have been run: so that one comes while the loop
// takes the other, or falls asleep, and there is nobody who would wake it later.
void PostInPairs(Mailbox& mailbox) {
  std::atomic<int> run{0};
  for (int round = 1; round <= 10'000; ++round) {
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(mailbox.Post([&run] { ++run; }));
    for (int spins = 1; run < 2 * round; ++spins) {
      if (spins % 100 == 0) std::this_thread::yield();
    }
  }
}

TEST_F(MailboxTest, NoWakeUpIsLostWhileItFallsAsleep) {
  Sleeper sleeper(*mailbox_);
  PostInPairs(*mailbox_);
}

TEST_F(MailboxTest, NoPostIsOverlookedWhileItTakesOthers) {
  std::thread loop([this] {
    while (!mailbox_->stop_requested()) {
      if (Take().empty()) std::this_thread::yield();
    }
  });
  PostInPairs(*mailbox_);
  mailbox_->RequestStop();
  loop.join();
}

TEST_F(MailboxTest, StopIsHeardHoweverSoonItComes) {
  for (int i = 0; i < 500; ++i) {
    const Ref<Mailbox> mailbox = MakeMailbox();
    Sleeper sleeper(*mailbox);
  }
}

TEST_F(MailboxTest, EachProducersPostsStayInOrder) {
  constexpr int kProducers = 4, kPosts = 2500;
  mailbox_ = MakeMailbox(kProducers * kPosts);
  int next[kProducers] = {};
  bool in_order = true;
  {
    Sleeper sleeper(*mailbox_);
    InThreads(kProducers, [&](int producer) {
      for (int i = 0; i < kPosts; ++i) {
        mailbox_->Post([&, producer, i] { in_order &= next[producer]++ == i; });
      }
    });
    absl::Notification done;
    mailbox_->Post([&done] { done.Notify(); });
    done.WaitForNotification();
  }
  EXPECT_TRUE(in_order);
  for (int count : next) EXPECT_EQ(count, kPosts);
}

TEST_F(MailboxTest, ClosingWhileOthersPostLosesNothingItAccepted) {
  for (int round = 0; round < 50; ++round) {
    const Ref<Mailbox> mailbox = MakeMailbox(1'000'000);
    std::atomic<int> accepted{0}, at_work{0};
    std::thread loop([&] {
      while (at_work < 3) std::this_thread::yield();
      std::vector<Closure> posts;
      mailbox->Close(posts);
      for (Closure& post : posts) std::move(post)();
    });
    int run = 0;
    InThreads(3, [&](int) {
      ++at_work;
      while (mailbox->Post([&run] { ++run; })) ++accepted;
    });
    loop.join();
    EXPECT_EQ(run, accepted);
  }
}

TEST_F(MailboxTest, WhoeverDropsTheLastReferenceFreesIt) {
  std::atomic<int> destroyed{0};
  std::vector<Ref<Mailbox>> owners(4, mailbox_);
  mailbox_ = Ref<Mailbox>();
  InThreads(4, [&](int thread) {
    owners[thread]->Post([end = absl::MakeCleanup([&] { ++destroyed; })] { FAIL(); });
    owners[thread] = Ref<Mailbox>();
  });
  EXPECT_EQ(destroyed, 4);
}

}  // namespace
}  // namespace millrace
