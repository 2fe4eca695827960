// SPDX-License-Identifier: Apache-2.0
#include "base/status_macros.h"

#include <map>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

absl::Status Fail() { return absl::DataLossError("lost"); }
absl::StatusOr<int> Three() { return 3; }
absl::StatusOr<int> NoNumber() { return Fail(); }
absl::StatusOr<std::unique_ptr<int>> OnlyMoved() { return std::make_unique<int>(3); }

template <typename K, typename V>
absl::StatusOr<std::map<K, V>> OneEntry() {
  return std::map<K, V>{{1, 2}};
}

TEST(ReturnIfErrorTest, OkGoesOn) {
  int evaluated = 0;
  auto call = [&]() -> absl::Status {
    MILLRACE_RETURN_IF_ERROR((++evaluated, absl::OkStatus()));
    return absl::AbortedError("went on");
  };
  EXPECT_EQ(call(), absl::AbortedError("went on"));
  EXPECT_EQ(evaluated, 1);
}

TEST(ReturnIfErrorTest, ErrorIsReturned) {
  auto call = []() -> absl::Status {
    MILLRACE_RETURN_IF_ERROR(Fail());
    return absl::OkStatus();
  };
  EXPECT_EQ(call(), Fail());
}

TEST(ReturnIfErrorTest, ErrorIsReturnedAsStatusOr) {
  auto call = []() -> absl::StatusOr<int> {
    MILLRACE_RETURN_IF_ERROR(Fail());
    return 1;
  };
  EXPECT_EQ(call().status(), Fail());
}

TEST(ReturnIfErrorTest, IsOneStatement) {
  auto call = [](bool fails) -> absl::Status {
    if (fails)
      MILLRACE_RETURN_IF_ERROR(Fail());
    else
      return absl::AbortedError("else");
    return absl::OkStatus();
  };
  EXPECT_EQ(call(true), Fail());
  EXPECT_EQ(call(false), absl::AbortedError("else"));
}

TEST(AssignOrReturnTest, ValueIsAssigned) {
  auto call = []() -> absl::StatusOr<int> {
    int there = 0;
    MILLRACE_ASSIGN_OR_RETURN(there, Three());
    MILLRACE_ASSIGN_OR_RETURN(const int declared, Three());
    return there * 10 + declared;
  };
  EXPECT_EQ(call().value(), 33);
}

TEST(AssignOrReturnTest, ErrorIsReturnedAndNothingAssigned) {
  int there = 7;
  auto call = [&]() -> absl::Status {
    MILLRACE_ASSIGN_OR_RETURN(there, NoNumber());
    return absl::OkStatus();
  };
  EXPECT_EQ(call(), Fail());
  EXPECT_EQ(there, 7);
}

TEST(AssignOrReturnTest, ValueIsMoved) {
  auto call = []() -> absl::StatusOr<int> {
    MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<int> number, OnlyMoved());
    return *number;
  };
  EXPECT_EQ(call().value(), 3);
}

TEST(AssignOrReturnTest, LeavesAVariableItReadsAsItWas) {
  const absl::StatusOr<int> three = Three();
  auto call = [&]() -> absl::Status {
    MILLRACE_ASSIGN_OR_RETURN(auto copy, three);
    return copy == 3 ? absl::OkStatus() : absl::AbortedError("not 3");
  };
  EXPECT_EQ(call(), absl::OkStatus());
  EXPECT_EQ(three.value(), 3);
}

TEST(AssignOrReturnTest, ExpressionMayHaveCommas) {
  auto call = []() -> absl::StatusOr<int> {
    MILLRACE_ASSIGN_OR_RETURN(auto entries, OneEntry<int, int>());
    return entries.at(1);
  };
  EXPECT_EQ(call().value(), 2);
}

}  // namespace
}  // namespace millrace
