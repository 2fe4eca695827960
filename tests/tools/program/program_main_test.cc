// SPDX-License-Identifier: Apache-2.0
#include "tools/program/program_main.h"

#include <cstdlib>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tools/program/flag_set.h"

namespace millrace {
namespace {

using ::testing::ExitedWithCode;

// Ends a process of its own with what main() would return.
[[noreturn]] void Main(const char* argument, const absl::Status& status) {
  char program[] = "demo";
  char* argv[] = {program, const_cast<char*>(argument), nullptr};
  int count = 1;
  FlagSet flags("demo", "Shows how it ends.");
  flags.AddInt("count", count, 1, 9, "how many");
  std::exit(ProgramMain(2, argv, flags, [&] {
    if (count != 7) return absl::InternalError("the flags were not read before it ran");
    return status;
  }));
}

TEST(ProgramMainDeathTest, ARunThatSucceedsIsZero) {
  EXPECT_EXIT(Main("--count=7", absl::OkStatus()), ExitedWithCode(0), "^$");
}

TEST(ProgramMainDeathTest, ARunThatFailsSaysWhy) {
  EXPECT_EXIT(Main("--count=7", absl::UnavailableError("nobody there")), ExitedWithCode(1),
              "demo: nobody there");
}

TEST(ProgramMainDeathTest, AWrongCommandLineDoesNotRun) {
  EXPECT_EXIT(Main("--count=x", absl::OkStatus()), ExitedWithCode(1), "demo: --count=x");
}

TEST(ProgramMainDeathTest, HelpDoesNotRun) {
  EXPECT_EXIT(Main("--help", absl::UnavailableError("nobody there")), ExitedWithCode(0), "^$");
}

}  // namespace
}  // namespace millrace
