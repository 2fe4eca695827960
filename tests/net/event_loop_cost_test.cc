// SPDX-License-Identifier: Apache-2.0
//
// What a loop takes from the heap: nothing, once it is warm; and what a burst made it take, it
// gives back.
#include <sys/eventfd.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/limits.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

// Is ready in every turn, and has an end in every turn.
class Busy final : public IoHandler {
 public:
  explicit Busy(EventLoop& loop) : watch(loop.Watch(fd_.get(), Io::kRead, *this).value()) {}

  int heard = 0, ends = 0;

 private:
  void OnIo(Io) override {
    ++heard;
    watch.CallAtEndOfTurn();
  }
  void OnEndOfTurn() override { ++ends; }

  const UniqueFd fd_{eventfd(1, EFD_CLOEXEC)};

 public:
  Registration watch;
};

class EventLoopCostTest : public ::testing::Test {
 protected:
  // How often `work` allocates, the third time: some things a loop has two of, and takes turns.
  int64_t AllocationsOf(std::function<void()> work) {
    work();
    work();
    const int64_t before = Allocations();
    work();
    return Allocations() - before;
  }

  TestLoop loop_;
};

TEST_F(EventLoopCostTest, TurnAllocatesNothing) {
  Busy busy(*loop_);
  int fired = 0;
  Timer timer(loop_->timers(), [&] { ++fired; });
  timer.ArmEvery(absl::Milliseconds(1));
  EXPECT_EQ(AllocationsOf([&] { loop_.Advance(absl::Milliseconds(1)); }), 0);
  EXPECT_EQ(fired, 3);
  EXPECT_EQ(busy.heard, 3);
  EXPECT_EQ(busy.ends, 3);
}

TEST_F(EventLoopCostTest, PostOfTwoWordsAllocatesNothing) {
  int run = 0;
  EXPECT_EQ(
      AllocationsOf([&] {
        ASSERT_TRUE(loop_->ref().Post([this, &run] { run += loop_->now() > MonotonicTime(); }));
        loop_.Step();
      }),
      0);
  EXPECT_EQ(run, 3);
}

TEST_F(EventLoopCostTest, InterestThatComesAndGoesAllocatesNothing) {
  Busy busy(*loop_);
  EXPECT_EQ(AllocationsOf([&] {
              for (Io io : {Io::kNone, Io::kWrite, Io::kReadWrite, Io::kRead}) {
                ASSERT_TRUE(busy.watch.SetInterest(io).ok());
              }
            }),
            0);
}

TEST_F(EventLoopCostTest, WatchThatComesAndGoesAllocatesNothing) {
  Busy busy(*loop_);
  const UniqueFd fd(eventfd(1, EFD_CLOEXEC));
  EXPECT_EQ(AllocationsOf([&] {
              const Registration watch = loop_->Watch(fd.get(), Io::kRead, busy).value();
              const Registration name = loop_->Name(busy);
            }),
            0);
}

TEST_F(EventLoopCostTest, RoomForABurstOfPostsIsGivenBack) {
  const auto burst = [&](size_t posts) {
    for (size_t i = 0; i < posts; ++i) ASSERT_TRUE(loop_->ref().Post([] {}));
    loop_.Step();
  };
  const int64_t before = AllocatedBytes();
  for (int i = 0; i < 3; ++i) burst(4 * kPostsKeptMax);
  EXPECT_LE(AllocatedBytes() - before, int64_t{2 * kPostsKeptMax * sizeof(Closure)});
  EXPECT_EQ(AllocationsOf([&] { burst(kPostsKeptMax); }), 0) << "but not that for a usual one";
}

}  // namespace
}  // namespace millrace
