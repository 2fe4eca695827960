// SPDX-License-Identifier: Apache-2.0
#include "tools/program/process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(ProcessTest, TheLimitIsRaisedToWhatIsAllowed) {
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  const int64_t raised = RaiseDescriptorLimit();
  EXPECT_EQ(static_cast<rlim_t>(raised), limit.rlim_max);
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

TEST(ProcessTest, TooLowALimitIsAnErrorThatSaysWhatForAndHowMuch) {
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max = 200;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_TRUE(ReserveDescriptors(200, "150 connections").ok());
  const absl::Status status = ReserveDescriptors(201, "150 connections");
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(std::string(status.message()),
              testing::StartsWith("150 connections need 201 open files, and the limit is 200"));
}

// Else the next socket would be stdout, and what is printed go to a peer.
TEST(ProcessTest, MissingStandardDescriptorsAreOccupied) {
  const auto start_without_them = [] {
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    OccupyStandardDescriptors();
    const bool occupied = fcntl(STDIN_FILENO, F_GETFD) >= 0 && fcntl(STDOUT_FILENO, F_GETFD) >= 0;
    _exit(occupied ? 0 : 1);
  };
  EXPECT_EXIT(start_without_them(), testing::ExitedWithCode(0), "");
}

TEST(ProcessTest, AnErrorIsOneLineWithTheProgramInFront) {
  testing::internal::CaptureStderr();
  PrintError("mill", absl::InvalidArgumentError("no grain"));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "mill: no grain\n");
}

}  // namespace
}  // namespace millrace
