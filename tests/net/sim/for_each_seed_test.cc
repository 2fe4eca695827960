// SPDX-License-Identifier: Apache-2.0
#include "net/sim/for_each_seed.h"

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <vector>

#include "absl/log/check.h"
#include "gtest/gtest.h"
#include "net/sim/simulation.h"

namespace millrace {
namespace {

// The seeds that ForEachSeed() ran of five.
std::vector<uint64_t> SeedsOfFive() {
  std::vector<uint64_t> seeds;
  ForEachSeed(5, [&](uint64_t seed) { seeds.push_back(seed); });
  return seeds;
}

class ForEachSeedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    unsetenv("MILLRACE_SEED");
    unsetenv("MILLRACE_SEEDS");
    unsetenv("MILLRACE_TRACE");
  }
  void TearDown() override { SetUp(); }
};

TEST_F(ForEachSeedTest, RunsThemInOrder) {
  EXPECT_EQ(SeedsOfFive(), (std::vector<uint64_t>{1, 2, 3, 4, 5}));
}

TEST_F(ForEachSeedTest, TheEnvironmentNamesOneSeed) {
  setenv("MILLRACE_SEED", "4711", 1);
  EXPECT_EQ(SeedsOfFive(), (std::vector<uint64_t>{4711}));
}

TEST_F(ForEachSeedTest, TheEnvironmentSaysHowMany) {
  setenv("MILLRACE_SEEDS", "2", 1);
  EXPECT_EQ(SeedsOfFive(), (std::vector<uint64_t>{1, 2}));
}

TEST_F(ForEachSeedTest, TheEnvironmentTurnsOnTheTrace) {
  EXPECT_FALSE(RoughWorld(1).trace);
  setenv("MILLRACE_TRACE", "1", 1);
  EXPECT_TRUE(RoughWorld(1).trace);
  EXPECT_TRUE(HarmlessWorld(1).trace);
}

TEST_F(ForEachSeedTest, ASeedIsAlwaysTheSameWorld) {
  for (uint64_t seed = 1; seed < 100; ++seed) {
    EXPECT_EQ(RoughWorld(seed).seed, seed);
    EXPECT_EQ(RoughWorld(seed).workers, RoughWorld(seed).workers);
    EXPECT_EQ(RoughWorld(seed).faults.ToString(), RoughWorld(seed).faults.ToString());
    EXPECT_EQ(HarmlessWorld(seed).faults.reset, 0);
  }
  EXPECT_NE(RoughWorld(1).faults.ToString(), RoughWorld(2).faults.ToString());
}

// Exits with the last seed that ran, and has said on stderr what GoogleTest was told. In a process
// of its own, whose test may fail.
void FailFromTheThirdOn() {
  setenv("TEST_TARGET", "//tests:x_test", 1);
  uint64_t last = 0;
  ForEachSeed(5, [&](uint64_t seed) { EXPECT_LT(last = seed, 3u); });
  const auto& result = *::testing::UnitTest::GetInstance()->current_test_info()->result();
  for (int i = 0; i < result.total_part_count(); ++i) {
    std::cerr << result.GetTestPartResult(i).message();
  }
  std::_Exit(static_cast<int>(last));
}

TEST_F(ForEachSeedTest, AFailureIsTheLastSeedAndTellsHowToSeeItAgain) {
  EXPECT_EXIT(FailFromTheThirdOn(), ::testing::ExitedWithCode(3),
              "seed 3 failed; to see it again: tools/bazel test //tests:x_test --test_output=all "
              "--test_filter=ForEachSeedTest.AFailureIsTheLastSeedAndTellsHowToSeeItAgain "
              "--test_env=MILLRACE_SEED=3 --test_env=MILLRACE_TRACE=1");
}

TEST_F(ForEachSeedTest, ADeathTellsTheSeedToo) {
  EXPECT_DEATH(ForEachSeed(5, [](uint64_t seed) { CHECK_NE(seed, 2u); }),
               "seed 2 failed; to see it again: ");
}

}  // namespace
}  // namespace millrace
