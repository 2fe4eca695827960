// SPDX-License-Identifier: Apache-2.0
#include "net/budget_share.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/limits.h"
#include "net/memory_budget.h"
#include "tests/net/budget_share_fixture.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

using absl::Milliseconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A budget of 100 MiB whose marks lie at 75 and 65 MiB, and loops that share it.
class BudgetShareTest : public ::testing::Test {
 protected:
  explicit BudgetShareTest(uint64_t report_bytes = 1)
      : budget_(MemoryBudget::Create({.limit_bytes = 100 * kMiB, .report_bytes = report_bytes})
                    .value()) {
    AddShare();
  }
  ~BudgetShareTest() override { holders_.clear(); }

  BudgetShare& AddShare() {
    shares_.push_back(std::make_unique<BudgetShare>(*loop_, budget_));
    return *shares_.back();
  }
  TestHolder& Add(BudgetShare& share, uint64_t bytes) {
    holders_.push_back(std::make_unique<TestHolder>(share, Name(), log_));
    holders_.back()->SetHeldBytes(bytes);
    return *holders_.back();
  }
  TestHolder& Add(uint64_t bytes) { return Add(*shares_.front(), bytes); }
  // The loops look once more.
  void LookAgain() { loop_.Advance(kBudgetLookAgain); }
  std::vector<std::string> TakeLog() { return std::exchange(log_, {}); }
  std::string Name() const { return std::string(1, static_cast<char>('a' + holders_.size() % 26)); }

  TestLoop loop_;
  const Ref<MemoryBudget> budget_;
  std::vector<std::string> log_;
  std::vector<std::unique_ptr<BudgetShare>> shares_;
  std::vector<std::unique_ptr<TestHolder>> holders_;
};

TEST_F(BudgetShareTest, BelowTheMarkNothingHappens) {
  Add(70 * kMiB);
  Add(5 * kMiB);
  loop_.Steps(3);
  EXPECT_EQ(budget_->total_bytes(), 75 * kMiB);
  EXPECT_THAT(log_, IsEmpty());
  EXPECT_FALSE(loop_->timers().NextDeadline() < MonotonicTime::InfiniteFuture()) << "nobody looks";
}

TEST_F(BudgetShareTest, AboveItTheLargestStops) {
  Add(10 * kMiB);
  Add(40 * kMiB);
  Add(26 * kMiB);
  EXPECT_THAT(log_, IsEmpty()) << "not from inside an update";
  loop_.Step();
  EXPECT_THAT(TakeLog(), ElementsAre("stop b"));
  LookAgain();
  EXPECT_THAT(log_, IsEmpty()) << "that is enough for now";
}

TEST_F(BudgetShareTest, TheFullerTheMoreStop) {
  for (int i = 0; i < 10; ++i) Add((10 - i) * kMiB);  // 55 together.
  TestHolder& grows = Add(20 * kMiB);
  loop_.Step();
  EXPECT_THAT(TakeLog(), IsEmpty());
  grows.SetHeldBytes(30 * kMiB);  // 85: two fifths of the way.
  loop_.Step();
  EXPECT_THAT(TakeLog(), ElementsAre("stop k", "stop a"));
  grows.SetHeldBytes(45 * kMiB);  // Full.
  LookAgain();
  EXPECT_EQ(budget_->stats().stops, 11u) << "all";
  EXPECT_EQ(budget_->stats().closes, 0u) << "at the limit it still fits";
}

TEST_F(BudgetShareTest, AboveTheLimitTheLargestAreClosedUntilItFits) {
  Add(30 * kMiB);
  Add(35 * kMiB);
  Add(20 * kMiB);
  TestHolder& fourth = Add(50 * kMiB);
  loop_.Step();
  EXPECT_TRUE(fourth.closed());
  EXPECT_EQ(TakeLog().front(), "close d");
  EXPECT_EQ(budget_->stats().closes, 1u);
  EXPECT_EQ(budget_->total_bytes(), 85 * kMiB);
  EXPECT_EQ(fourth.why().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(fourth.why().message(), HasSubstr("52428800"));
}

TEST_F(BudgetShareTest, OfEqualsTheOldestGoesFirst) {
  for (int i = 0; i < 5; ++i) Add(25 * kMiB);
  loop_.Step();
  EXPECT_THAT(TakeLog(), ElementsAre("close a", "stop b", "stop c", "stop d", "stop e"));
}

TEST_F(BudgetShareTest, WhatAClosedOneSaysCountsForNothing) {
  TestHolder& holder = Add(101 * kMiB);
  loop_.Step();
  ASSERT_TRUE(holder.closed());
  EXPECT_EQ(shares_[0]->held_bytes(), 0);
  holder.SetHeldBytes(200 * kMiB);
  LookAgain();
  EXPECT_EQ(budget_->total_bytes(), 0u);
  EXPECT_EQ(budget_->stats().closes, 1u);
}

TEST_F(BudgetShareTest, NearTheLimitReadsGetShorter) {
  TestReader reader;
  shares_.front()->Add(reader);
  Add(70 * kMiB);
  EXPECT_EQ(reader.bytes, kReceiveBufferBytes);
  Add(20 * kMiB);
  EXPECT_EQ(reader.bytes, 10 * kMiB / kEventsPerTurnMax) << "at once, in mid-turn";
  Add(20 * kMiB);
  EXPECT_EQ(reader.bytes, kBudgetReadBytesMin);
  TestReader late;
  shares_.front()->Add(late);
  EXPECT_EQ(late.bytes, kBudgetReadBytesMin);
  loop_.Step();
  EXPECT_THAT(TakeLog(), Contains("close a")) << "and it fits again";
  EXPECT_EQ(reader.bytes, kReceiveBufferBytes);
}

TEST_F(BudgetShareTest, ReadingGoesOnBelowTheSecondMark) {
  Add(30 * kMiB);
  TestHolder& other = Add(20 * kMiB);
  TestHolder& full = Add(50 * kMiB);
  loop_.Step();
  EXPECT_THAT(TakeLog(), ElementsAre("stop c", "stop a", "stop b"));
  full.SetHeldBytes(26 * kMiB);
  LookAgain();
  EXPECT_THAT(TakeLog(), IsEmpty()) << "still above the first mark";
  other.SetHeldBytes(9 * kMiB);
  LookAgain();
  EXPECT_THAT(TakeLog(), ElementsAre("resume b", "resume a", "resume c"));
  EXPECT_EQ(budget_->stats().resumes, 3u);
}

TEST_F(BudgetShareTest, BetweenTheMarksOneAtATime) {
  Add(30 * kMiB);
  TestHolder& other = Add(20 * kMiB);
  Add(50 * kMiB);
  loop_.Step();
  TakeLog();
  other.SetHeldBytes(0);  // 80 are left; and none of this one, so there is no reason to hold it.
  LookAgain();
  EXPECT_THAT(TakeLog(), ElementsAre("resume b"));
  holders_[2]->SetHeldBytes(40 * kMiB);  // 70.
  LookAgain();
  EXPECT_THAT(TakeLog(), ElementsAre("resume a")) << "the smallest";
  LookAgain();
  EXPECT_THAT(TakeLog(), ElementsAre("resume c"));
  EXPECT_FALSE(loop_->timers().NextDeadline() < MonotonicTime::InfiniteFuture()) << "all is over";
}

TEST_F(BudgetShareTest, CrowdGoesOnBitByBit) {
  for (int i = 0; i < 400; ++i) Add(kMiB / 4);
  loop_.Step();
  EXPECT_EQ(budget_->stats().stops, 400u);
  for (auto& holder : holders_) holder->SetHeldBytes(kBudgetHolderBytes);
  LookAgain();
  EXPECT_EQ(budget_->stats().resumes, static_cast<uint64_t>(kBudgetResumesPerLook));
  LookAgain();
  EXPECT_EQ(budget_->stats().resumes, 400u);
}

TEST_F(BudgetShareTest, WhoHoldsLittleIsLeftAlone) {
  TestHolder& small = Add(kBudgetHolderBytes - 1);
  shares_[0]->Count(200 * kMiB);
  loop_.Step();
  LookAgain();
  EXPECT_FALSE(small.stopped() || small.closed());
  EXPECT_EQ(budget_->stats().peak_bytes, 200 * kMiB + kBudgetHolderBytes - 1);
  shares_[0]->Count(-static_cast<int64_t>(200 * kMiB));
}

TEST_F(BudgetShareTest, LargestOfAllLoopsGoes) {
  BudgetShare& second = AddShare();
  Add(10 * kMiB);
  Add(12 * kMiB);
  TestHolder& hog = Add(second, 80 * kMiB);
  loop_.Steps(2);
  EXPECT_TRUE(hog.closed());
  EXPECT_EQ(budget_->stats().closes, 1u) << "the first loop has looked too, and kept its own";
}

TEST_F(BudgetShareTest, NobodyGoesWhileAnotherLoopHasALargerOne) {
  for (int share = 0; share < 3; ++share) {
    if (share > 0) AddShare();
    for (int i = 0; i < 2; ++i) Add(*shares_.back(), 15 * kMiB);
  }
  Add(10 * kMiB + 100 * kKiB);
  TestHolder& hog = Add(AddShare(), 40 * kMiB);  // Its loop is the last to look.
  loop_.Step();
  EXPECT_TRUE(hog.closed());
  EXPECT_EQ(budget_->stats().closes, 1u);
  LookAgain();
  EXPECT_EQ(budget_->stats().closes, 2u) << "a hundred KiB were still too much";
  LookAgain();
  EXPECT_EQ(budget_->stats().closes, 2u);
}

TEST_F(BudgetShareTest, OfManyLoopsOneClosesTheOneThatIsTooMuch) {
  Add(26 * kMiB);
  for (int i = 0; i < 3; ++i) Add(AddShare(), 26 * kMiB);
  loop_.Step();
  LookAgain();
  EXPECT_EQ(budget_->stats().closes, 1u);
}

TEST_F(BudgetShareTest, LoopThatStallsDoesNotKeepOthersFromHelping) {
  TestLoop stalled;  // Takes no turn.
  BudgetShare share(*stalled, budget_);
  TestHolder hog(share, "hog", log_);
  hog.SetHeldBytes(90 * kMiB);
  Add(9 * kMiB);
  TestHolder& other = Add(12 * kMiB);
  for (int i = 0; i < 8; ++i) LookAgain();
  EXPECT_FALSE(other.closed()) << "the hog is to go, not this";
  for (int i = 0; i < 8; ++i) LookAgain();
  EXPECT_TRUE(other.closed());
  EXPECT_LE(budget_->total_bytes(), budget_->limit_bytes());
  EXPECT_EQ(budget_->stats().closes, 1u) << "no more than it takes";
}

TEST_F(BudgetShareTest, SilentLoopHearsOfIt) {
  BudgetShare& second = AddShare();
  TestHolder& silent = Add(second, 70 * kMiB);
  loop_.Step();
  Add(6 * kMiB);  // On the first loop.
  loop_.Steps(2);
  EXPECT_TRUE(silent.stopped());
}

TEST_F(BudgetShareTest, ShareMadeAfterwardsJoinsIn) {
  Add(90 * kMiB);
  loop_.Step();
  BudgetShare& late = AddShare();
  TestHolder& holder = Add(late, 15 * kMiB);
  loop_.Steps(2);
  EXPECT_FALSE(holder.closed());
  EXPECT_TRUE(holders_[0]->closed());
}

TEST_F(BudgetShareTest, HoldersMayVanishInTheMiddleOfIt) {
  for (int i = 0; i < 6; ++i) Add(20 * kMiB);
  holders_[0]->then = [this] {
    holders_[1].reset();
    holders_[0].reset();
  };
  holders_[2]->then = [this] {
    holders_[3].reset();
    Add(20 * kMiB);
  };
  loop_.Step();
  LookAgain();
  EXPECT_LE(budget_->total_bytes(), 100 * kMiB);
  EXPECT_EQ(shares_[0]->held_bytes(), static_cast<int64_t>(budget_->total_bytes()));
}

TEST_F(BudgetShareTest, DestroyingAStoppedOneEndsTheLooking) {
  Add(80 * kMiB);
  loop_.Step();
  EXPECT_THAT(TakeLog(), ElementsAre("stop a"));
  holders_.clear();
  LookAgain();
  EXPECT_EQ(budget_->total_bytes(), 0u);
  EXPECT_FALSE(loop_->timers().NextDeadline() < MonotonicTime::InfiniteFuture());
}

TEST_F(BudgetShareTest, ShareThatLeavesTakesItsBytesAlong) {
  AddShare().Count(50 * kMiB);
  EXPECT_EQ(budget_->total_bytes(), 50 * kMiB);
  shares_.pop_back();
  EXPECT_EQ(budget_->total_bytes(), 0u);
}

TEST_F(BudgetShareTest, UpdatesAllocateNothing) {
  TestHolder& holder = Add(0);
  const int64_t before = Allocations();
  for (uint64_t bytes = 1; bytes < 64 * kMiB; bytes = bytes * 3 / 2 + 1) holder.SetHeldBytes(bytes);
  for (uint64_t bytes = 64 * kMiB; bytes > 0; bytes /= 2) holder.SetHeldBytes(bytes);
  EXPECT_EQ(Allocations(), before);
}

class CoarseBudgetShareTest : public BudgetShareTest {
 protected:
  CoarseBudgetShareTest() : BudgetShareTest(kBudgetReportBytes) {}
};

TEST_F(CoarseBudgetShareTest, IsNeverOffByMoreThanWhatAReportMayHide) {
  TestHolder& holder = Add(0);
  Random random(3);
  for (int i = 0; i < 10'000; ++i) {
    holder.SetHeldBytes(random.Below(kMiB));
    const int64_t off = shares_[0]->held_bytes() - static_cast<int64_t>(budget_->total_bytes());
    ASSERT_LT(std::abs(off), static_cast<int64_t>(kBudgetReportBytes));
  }
}

TEST_F(CoarseBudgetShareTest, IsExactWhereItMatters) {
  Add(80 * kMiB);
  loop_.Step();
  Add(1000);
  EXPECT_EQ(budget_->total_bytes(), 80 * kMiB);
  LookAgain();
  EXPECT_EQ(budget_->total_bytes(), 80 * kMiB + 1000);
}

// Each thread a loop, whose holders grow and shrink. Under TSan this is the test of what is shared.
TEST(BudgetShareThreadsTest, TheSumIsRightInTheEnd) {
  const Ref<MemoryBudget> budget = MemoryBudget::Create({.limit_bytes = 8 * kMiB}).value();
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      AssertOnLoop();
      TestLoop loop;
      std::vector<std::string> log;
      BudgetShare share(*loop, budget);
      std::vector<std::unique_ptr<TestHolder>> holders;
      Random random(i);
      for (int step = 0; step < 2000; ++step) {
        if (holders.size() < 20) holders.push_back(std::make_unique<TestHolder>(share, "", log));
        auto& holder = holders[random.Below(holders.size())];
        holder->SetHeldBytes(random.Below(kMiB));
        if (holder->closed()) std::swap(holder, holders.back()), holders.pop_back();
        loop.Advance(kBudgetLookAgain);
      }
      holders.clear();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget->total_bytes(), 0u);
  EXPECT_GT(budget->stats().peak_bytes, budget->limit_bytes());
}

}  // namespace
}  // namespace millrace
