// SPDX-License-Identifier: Apache-2.0
//
// TestHolder is a connection as a BudgetShare sees one: it writes to a log what is done to it, and
// fails the test if that is out of order. One thread.
//
//   TestHolder holder(share, "a", log);
//   holder.SetHeldBytes(80 * kMiB);
//   loop.Step();                          // log: "stop a".

#ifndef MILLRACE_TESTS_NET_BUDGET_SHARE_FIXTURE_H_
#define MILLRACE_TESTS_NET_BUDGET_SHARE_FIXTURE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/thread_role.h"
#include "gtest/gtest.h"
#include "net/budget_share.h"

namespace millrace {

inline constexpr uint64_t kKiB = 1024, kMiB = 1024 * kKiB;

// A connection, as the budget sees one: writes to a log what is done to it.
class TestHolder final : public BudgetHolder {
 public:
  TestHolder(BudgetShare& share, std::string name, std::vector<std::string>& log) LOOP_ONLY
      : BudgetHolder(share),
        name_(std::move(name)),
        log_(log) {}

  bool stopped() const { return stopped_; }
  bool closed() const { return closed_; }
  const absl::Status& why() const { return why_; }
  // Runs once, at the end of the next call.
  std::function<void()> then = [] {};

 private:
  void StopReadingForBudget() override LOOP_ONLY {
    ASSERT_FALSE(stopped_ || closed_) << name_;
    stopped_ = true;
    Log("stop ");
  }
  void ReadAgainAfterBudget() override LOOP_ONLY {
    ASSERT_TRUE(stopped_ && !closed_) << name_;
    stopped_ = false;
    Log("resume ");
  }
  void CloseForBudget(const absl::Status& why) override LOOP_ONLY {
    ASSERT_FALSE(closed_) << name_;
    closed_ = true;
    why_ = why;
    Log("close ");
  }
  void Log(const char* what) {
    log_.push_back(what + name_);
    std::exchange(then, [] {})();
  }

  const std::string name_;
  std::vector<std::string>& log_;
  bool stopped_ = false, closed_ = false;
  absl::Status why_;
};

struct TestReader final : BudgetReader {
  void SetReadBytesMax(size_t max) override LOOP_ONLY { bytes = max; }

  size_t bytes = 0;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_NET_BUDGET_SHARE_FIXTURE_H_
