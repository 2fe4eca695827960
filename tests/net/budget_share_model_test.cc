// SPDX-License-Identifier: Apache-2.0
//
// Random holders in several shares of one budget: whatever happens, each sweep has to end with what
// the budget promises.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "gtest/gtest.h"
#include "net/budget_share.h"
#include "net/limits.h"
#include "net/memory_budget.h"
#include "tests/net/budget_share_fixture.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

class BudgetShareModelTest : public ::testing::TestWithParam<int> {
 protected:
  static constexpr uint64_t kReportBytes = 1000;

  struct Member {
    std::unique_ptr<TestHolder> holder;
    int share;
    uint64_t bytes;  // Before a sweep.
  };

  BudgetShareModelTest() {
    AssertOnLoop();
    for (int i = 0; i < GetParam(); ++i) {
      shares_.push_back(std::make_unique<BudgetShare>(*loop_, budget_));
    }
  }
  ~BudgetShareModelTest() override { members_.clear(); }

  // Small ones are commonest; each size has its turn.
  uint64_t RandomBytes() { return random_.Below(uint64_t{1} << (1 + random_.Below(24))); }

  void ActAtRandom() {
    AssertOnLoop();
    if (members_.size() < 200 && random_.Below(3) != 0) {
      const int share = static_cast<int>(random_.Below(shares_.size()));
      members_.push_back({std::make_unique<TestHolder>(*shares_[share], "", log_), share, 0});
    }
    if (members_.empty()) return;
    const size_t i = random_.Below(members_.size());
    if (members_[i].holder->closed() || random_.Below(10) == 0) {
      std::swap(members_[i], members_.back());
      members_.pop_back();
    } else {
      members_[i].holder->SetHeldBytes(RandomBytes());
    }
  }

  // As many looks as it takes at most.
  void Sweep() {
    for (Member& member : members_) member.bytes = member.holder->held_bytes();
    for (int i = 0; i < 8; ++i) loop_.Advance(kBudgetLookAgain);
  }

  void CheckSum() {
    AssertOnLoop();
    uint64_t sum = 0;
    for (const Member& member : members_) {
      if (!member.holder->closed()) sum += member.holder->held_bytes();
    }
    const uint64_t error = shares_.size() * kReportBytes;
    ASSERT_NEAR(budget_->total_bytes(), sum, error);
    ASSERT_LE(sum, budget_->limit_bytes() + error);
  }
  // Of those of one share, or of all, the largest were closed. Between shares up to a class.
  void CheckLargestWereClosed(int share, int tolerance) {
    uint64_t least_closed = std::numeric_limits<uint64_t>::max(), most_left = 0;
    for (const Member& member : members_) {
      if (member.bytes == 0 || (share >= 0 && member.share != share)) continue;
      if (member.holder->closed()) {
        least_closed = std::min(least_closed, member.bytes);
      } else {
        most_left = std::max(most_left, member.bytes);
      }
    }
    ASSERT_GE(least_closed, most_left / tolerance);
    ASSERT_GE(least_closed, uint64_t{kBudgetHolderBytes});
  }
  void CheckStopped() {
    int stopped = 0;
    uint64_t stopped_bytes = 0, all_bytes = 0;
    for (const Member& member : members_) {
      const TestHolder& holder = *member.holder;
      if (holder.closed()) continue;
      const uint64_t bytes = holder.held_bytes();
      if (bytes >= kBudgetHolderBytes) all_bytes += bytes;
      if (!holder.stopped()) continue;
      ++stopped;
      stopped_bytes += bytes;
      ASSERT_GE(bytes, uint64_t{kBudgetHolderBytes}) << "no reason to stop it";
    }
    const uint64_t total = budget_->total_bytes();
    if (total <= budget_->resume_bytes()) {
      ASSERT_EQ(stopped, 0);
    }
    if (total <= budget_->stop_bytes()) return;
    const double pressure =
        1.0 * (total - budget_->stop_bytes()) / (budget_->limit_bytes() - budget_->stop_bytes());
    ASSERT_GT(stopped, 0);
    // Each share may lack what its next holder would be too much by.
    ASSERT_GE(stopped_bytes + shares_.size() * (uint64_t{1} << 24), all_bytes * pressure);
  }

  TestLoop loop_;
  const Ref<MemoryBudget> budget_ =
      MemoryBudget::Create({.limit_bytes = 64 * kMiB, .report_bytes = kReportBytes}).value();
  Random random_{static_cast<uint64_t>(GetParam())};
  std::vector<std::string> log_;
  std::vector<std::unique_ptr<BudgetShare>> shares_;
  std::vector<Member> members_;
};

TEST_P(BudgetShareModelTest, EachSweepKeepsThePromises) {
  int above = 0;
  for (int round = 0; round < 1000; ++round) {
    for (int i = random_.Below(40); i > 0; --i) ActAtRandom();
    const uint64_t closes = budget_->stats().closes;
    Sweep();
    above += budget_->stats().closes > closes;
    CheckSum();
    CheckLargestWereClosed(-1, 2);
    for (int share = 0; share < GetParam(); ++share) CheckLargestWereClosed(share, 1);
    CheckStopped();
    if (HasFatalFailure()) FAIL() << "round " << round;
  }
  EXPECT_GT(above, 100) << "too tame";
}

INSTANTIATE_TEST_SUITE_P(Shares, BudgetShareModelTest, ::testing::Values(1, 2, 3, 8));

}  // namespace
}  // namespace millrace
