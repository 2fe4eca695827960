// SPDX-License-Identifier: Apache-2.0
#include "net/loop_ref.h"

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/hash/hash_testing.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"

namespace millrace {
namespace {

class LoopRefTest : public ::testing::Test {
 protected:
  // Whether a closure given to `ref` was refused, and destroyed unrun before Post() returned.
  static bool Refuses(const LoopRef& ref) {
    bool destroyed = false;
    const bool accepted =
        ref.Post([end = absl::MakeCleanup([&destroyed] { destroyed = true; })] { FAIL(); });
    return !accepted && destroyed;
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
};

TEST_F(LoopRefTest, DefaultOneNamesNoLoop) {
  const LoopRef none;
  EXPECT_TRUE(Refuses(none));
  EXPECT_FALSE(none.PostAlways([] { FAIL(); }));
  none.Stop();
  EXPECT_EQ(none, LoopRef());
  EXPECT_NE(none, loop_->ref());
}

TEST_F(LoopRefTest, CopiesNameTheSameLoop) {
  const LoopRef ref = loop_->ref();
  LoopRef copy = ref;
  EXPECT_EQ(copy, ref);
  LoopRef assigned;
  assigned = copy;
  EXPECT_EQ(assigned, ref);
  assigned = *&assigned;
  EXPECT_EQ(assigned, ref);
  EXPECT_TRUE(assigned.Post([] {}));
}

TEST_F(LoopRefTest, MovedOneNamesNoLoop) {
  LoopRef ref = loop_->ref();
  const LoopRef moved = std::move(ref);
  EXPECT_EQ(moved, loop_->ref());
  EXPECT_EQ(ref, LoopRef());
  EXPECT_TRUE(Refuses(ref));
}

TEST_F(LoopRefTest, TellsLoopsApart) {
  const std::unique_ptr<EventLoop> other = EventLoop::Create().value();
  EXPECT_NE(loop_->ref(), other->ref());
  EXPECT_TRUE(absl::VerifyTypeImplementsAbslHashCorrectly(
      {LoopRef(), loop_->ref(), other->ref(), LoopRef(loop_->ref())}));
}

TEST_F(LoopRefTest, IsHarmlessOnceTheLoopIsGone) {
  const LoopRef ref = loop_->ref();
  loop_.reset();
  EXPECT_TRUE(Refuses(ref));
  EXPECT_FALSE(ref.PostAlways([] { FAIL(); }));
  ref.Stop();
  const LoopRef copy = ref;
  EXPECT_TRUE(Refuses(copy));
}

TEST_F(LoopRefTest, ClosureMayHoldARefToItsOwnLoop) {
  LoopRef ref = loop_->ref();
  EXPECT_TRUE(ref.Post([ref] { FAIL(); }));
  loop_.reset();  // Breaks the ring: a leak otherwise.
  EXPECT_TRUE(Refuses(ref));
}

TEST_F(LoopRefTest, RefusedClosureMayHoldTheLastOtherRef) {
  LoopRef ref = loop_->ref();
  loop_.reset();
  LoopRef copy = ref;
  EXPECT_FALSE(ref.Post([copy = std::move(copy)] { FAIL(); }));
}

// Under the sanitizers this is the test of what a ref promises.
TEST_F(LoopRefTest, OtherThreadsUseItWhileTheLoopDies) {
  for (int round = 0; round < 50; ++round) {
    loop_ = EventLoop::Create().value();
    std::atomic<int> accepted{0}, destroyed{0}, at_work{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&, ref = loop_->ref()] {
        ++at_work;
        while (ref.Post([end = absl::MakeCleanup([&destroyed] { ++destroyed; })] { FAIL(); })) {
          ++accepted;
        }
        ref.Stop();
      });
    }
    while (at_work < 3) std::this_thread::yield();
    loop_.reset();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(destroyed, accepted + 3) << "each but once, also those refused";
  }
}

// Whoever asks a loop to stop may have it gone before the call has returned.
TEST_F(LoopRefTest, LoopMayDieOfTheStopThatIsStillUnderWay) {
  for (int round = 0; round < 200; ++round) {
    loop_ = EventLoop::Create().value();
    std::thread stopper([ref = loop_->ref()] { ref.Stop(); });
    loop_->Run();
    loop_.reset();
    stopper.join();
  }
}

}  // namespace
}  // namespace millrace
