// SPDX-License-Identifier: Apache-2.0
#include "net/memory_budget.h"

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "base/memory_limit.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/limits.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

TEST(MemoryBudgetTest, IsHalfOfTheMemoryUnlessToldOtherwise) {
  const auto budget = MemoryBudget::Create().value();
  EXPECT_NEAR(budget->limit_bytes(), MemoryLimit() / 2, 100);
  EXPECT_LT(budget->resume_bytes(), budget->stop_bytes());
  EXPECT_LT(budget->stop_bytes(), budget->limit_bytes());
}

TEST(MemoryBudgetTest, MarksArePercents) {
  const auto budget =
      MemoryBudget::Create({.limit_bytes = 1999, .stop_percent = 50, .resume_percent = 10}).value();
  EXPECT_EQ(budget->limit_bytes(), 1999u);
  EXPECT_EQ(budget->stop_bytes(), 999u);
  EXPECT_EQ(budget->resume_bytes(), 199u);
}

TEST(MemoryBudgetTest, AnyLimitWillDo) {
  const uint64_t most = std::numeric_limits<int64_t>::max();
  for (uint64_t limit : {most, most + 1, 2 * most + 1}) {
    const auto budget = MemoryBudget::Create({.limit_bytes = limit}).value();
    EXPECT_EQ(budget->limit_bytes(), most) << "sums are signed";
    EXPECT_GT(budget->stop_bytes(), most / 100 * 74);
    EXPECT_LT(budget->stop_bytes(), most / 100 * 76);
  }
}

TEST(MemoryBudgetTest, HoldsNothingAtFirst) {
  const MemoryBudget::Stats stats = MemoryBudget::Create().value()->stats();
  EXPECT_EQ(stats.total_bytes, 0u);
  EXPECT_EQ(stats.peak_bytes, 0u);
  EXPECT_EQ(stats.stops + stats.resumes + stats.closes, 0u);
}

TEST(MemoryBudgetTest, BoundsAreChecked) {
  const std::pair<MemoryBudget::Options, std::string> bad[] = {
      {{.stop_percent = 0}, "stop_percent"},
      {{.stop_percent = 101}, "stop_percent"},
      {{.resume_percent = -1}, "resume_percent"},
      {{.stop_percent = 50, .resume_percent = 51}, "resume_percent"},
      {{.report_bytes = 0}, "report_bytes"},
  };
  for (const auto& [options, field] : bad) {
    EXPECT_THAT(MemoryBudget::Create(options).status().message(), HasSubstr(field));
  }
  EXPECT_TRUE(MemoryBudget::Create({.stop_percent = 100, .resume_percent = 100}).ok());
}

}  // namespace
}  // namespace millrace
