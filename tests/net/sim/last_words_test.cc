// SPDX-License-Identifier: Apache-2.0
#include "net/sim/last_words.h"

#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(LastWordsDeathTest, AreSaidByAProcessThatDies) {
  LastWords words;
  words.Set("seed 17 failed\n");
  EXPECT_DEATH(std::abort(), "seed 17 failed");
}

TEST(LastWordsDeathTest, TheNewestAreTheLast) {
  LastWords words;
  words.Set("seed 17 failed\n");
  words.Set("seed 18 failed\n");
  EXPECT_DEATH(std::abort(), testing::Not(testing::HasSubstr("seed 17")));
}

TEST(LastWordsDeathTest, NothingIsSaidOnceTheyAreGone) {
  { LastWords().Set("seed 17 failed\n"); }
  EXPECT_DEATH(
      {
        LastWords words;
        std::abort();
      },
      testing::Not(testing::HasSubstr("seed")));
}

}  // namespace
}  // namespace millrace
