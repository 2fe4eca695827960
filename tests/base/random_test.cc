// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

std::vector<uint64_t> FirstFive(Random random) {
  std::vector<uint64_t> numbers;
  for (int i = 0; i < 5; ++i) numbers.push_back(random.Next());
  return numbers;
}

// From a second implementation of the two published definitions, itself checked against the
// published outputs of SplitMix64 for seed 1234567 and of xoshiro256** for state 1, 2, 3, 4.
TEST(RandomTest, GivesTheNumbersOfItsDefinition) {
  EXPECT_EQ(FirstFive(Random(0)),
            (std::vector<uint64_t>{0x99ec5f36cb75f2b4, 0xbf6e1f784956452a, 0x1a5f849d4933e6e0,
                                   0x6aa594f1262d2d2c, 0xbba5ad4a1f842e59}));
  EXPECT_EQ(FirstFive(Random(42)),
            (std::vector<uint64_t>{0x15780b2e0c2ec716, 0x6104d9866d113a7e, 0xae17533239e499a1,
                                   0xecb8ad4703b360a1, 0xfde6dc7fe2ec5e64}));
}

TEST(RandomTest, SameSeedSameNumbers) {
  EXPECT_EQ(FirstFive(Random(7)), FirstFive(Random(7)));
  EXPECT_NE(FirstFive(Random(7)), FirstFive(Random(8)));
}

TEST(RandomTest, EntropyDiffersEachTime) {
  EXPECT_NE(FirstFive(Random::FromEntropy()), FirstFive(Random::FromEntropy()));
}

TEST(RandomTest, BelowReachesEveryNumberBelowAndNoOther) {
  Random random(1);
  std::vector<int> times(7);
  for (int i = 0; i < 7000; ++i) {
    const uint64_t number = random.Below(7);
    ASSERT_LT(number, 7u);
    ++times[number];
  }
  for (int n : times) EXPECT_NEAR(n, 1000, 150);  // About 5 standard deviations.
}

TEST(RandomTest, BelowOneIsZero) {
  Random random(1);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(random.Below(1), 0u);
}

// 2^64 numbers do not fall evenly on 3 * 2^62: taken modulo that, half of them would hit its lowest
// third; scaled down to it and not drawn again, half of them would hit the multiples of three.
TEST(RandomTest, BelowPrefersNoNumber) {
  constexpr uint64_t kThird = uint64_t{1} << 62;
  Random random(1);
  std::vector<int> thirds(3), remainders(3);
  for (int i = 0; i < 9000; ++i) {
    const uint64_t number = random.Below(3 * kThird);
    ++thirds[number / kThird];
    ++remainders[number % 3];
  }
  for (int n : thirds) EXPECT_NEAR(n, 3000, 225);  // About 5 standard deviations.
  for (int n : remainders) EXPECT_NEAR(n, 3000, 225);
}

TEST(RandomTest, BelowTheGreatestNumber) {
  Random random(1);
  for (int i = 0; i < 100; ++i) EXPECT_LT(random.Below(UINT64_MAX), UINT64_MAX);
}

TEST(RandomTest, UnitFillsZeroToOne) {
  Random random(1);
  double sum = 0, least = 1, most = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double unit = random.Unit();
    ASSERT_GE(unit, 0);
    ASSERT_LT(unit, 1);
    sum += unit;
    least = std::min(least, unit);
    most = std::max(most, unit);
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.015);
  EXPECT_LT(least, 0.01);
  EXPECT_GT(most, 0.99);
}

TEST(RandomTest, JitterFillsItsRange) {
  Random random(1);
  absl::Duration least = absl::InfiniteDuration(), most;
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration jittered = random.Jitter(absl::Seconds(10), 0.2);
    least = std::min(least, jittered);
    most = std::max(most, jittered);
  }
  EXPECT_GE(least, absl::Seconds(8));
  EXPECT_LT(least, absl::Seconds(8.1));
  EXPECT_LE(most, absl::Seconds(12));
  EXPECT_GT(most, absl::Seconds(11.9));
}

TEST(RandomTest, NoJitterChangesNothing) {
  Random random(1);
  EXPECT_EQ(random.Jitter(absl::Milliseconds(1500), 0), absl::Milliseconds(1500));
}

TEST(RandomTest, WholeJitterIsNeverNegative) {
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration jittered = random.Jitter(absl::Seconds(1), 1);
    EXPECT_GE(jittered, absl::ZeroDuration());
    EXPECT_LE(jittered, absl::Seconds(2));
  }
}

TEST(RandomTest, InfiniteStaysInfinite) {
  Random random(1);
  EXPECT_EQ(random.Jitter(absl::InfiniteDuration(), 0.5), absl::InfiniteDuration());
}

#ifndef NDEBUG
TEST(RandomDeathTest, NothingIsBelowZero) {
  Random random(1);
  EXPECT_DEATH(random.Below(0), "");
}

TEST(RandomDeathTest, JitterIsAFraction) {
  Random random(1);
  EXPECT_DEATH(random.Jitter(absl::Seconds(1), 1.5), "1.5");
}
#endif

}  // namespace
}  // namespace millrace
