// SPDX-License-Identifier: Apache-2.0
#include "base/token_bucket.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <thread>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

MonotonicTime At(int64_t nanoseconds) { return MonotonicTime::FromNanoseconds(nanoseconds); }
MonotonicTime At(absl::Duration since_zero) { return MonotonicTime() + since_zero; }

TEST(TokenBucketTest, IsFullAtFirst) {
  TokenBucket bucket(10, 7);
  EXPECT_EQ(bucket.burst(), 7);
  for (int64_t now : {kMin, int64_t{-1}, int64_t{0}, int64_t{1}, kMax}) {
    EXPECT_EQ(bucket.Available(At(now)), 7) << now;
  }
  EXPECT_EQ(bucket.AvailableAt(7), At(kMin));
}

TEST(TokenBucketTest, TokensComeOneByOneAndToTheNanosecond) {
  TokenBucket bucket(1000, 5);
  bucket.Take(5, At(0));
  EXPECT_EQ(bucket.Available(At(0)), 0);
  EXPECT_EQ(bucket.Available(At(999'999)), 0);
  EXPECT_EQ(bucket.Available(At(1'000'000)), 1);
  EXPECT_EQ(bucket.Available(At(4'999'999)), 4);
  EXPECT_EQ(bucket.Available(At(5'000'000)), 5);
  EXPECT_EQ(bucket.Available(At(6'000'000)), 5) << "no more than the burst";
}

TEST(TokenBucketTest, TellsWhenSoManyWillBeThere) {
  TokenBucket bucket(1000, 5);
  bucket.Take(5, At(absl::Seconds(1)));
  EXPECT_EQ(bucket.AvailableAt(0), At(absl::Seconds(1)));
  EXPECT_EQ(bucket.AvailableAt(1), At(absl::Milliseconds(1001)));
  EXPECT_EQ(bucket.AvailableAt(5), At(absl::Milliseconds(1005)));
  EXPECT_EQ(bucket.AvailableAt(6), At(absl::Milliseconds(1005)))
      << "more than the burst never come";
  EXPECT_EQ(bucket.AvailableAt(kMax), At(absl::Milliseconds(1005)));
}

TEST(TokenBucketTest, DebtIsPaidOffFirst) {
  TokenBucket bucket(1000, 5);
  bucket.Take(105, At(0));
  EXPECT_EQ(bucket.Available(At(0)), -100);
  EXPECT_EQ(bucket.AvailableAt(1), At(absl::Milliseconds(101)));
  EXPECT_EQ(bucket.Available(At(absl::Milliseconds(101))), 1);
}

TEST(TokenBucketTest, FewerThanOneInASecondWillDo) {
  TokenBucket bucket(TokenRate::kPerSecondMin, 1);
  bucket.Take(1, At(0));
  EXPECT_EQ(bucket.Available(At(absl::Seconds(1000) - absl::Nanoseconds(1))), 0);
  EXPECT_EQ(bucket.AvailableAt(1), At(absl::Seconds(1000)));
}

TEST(TokenBucketTest, ManyInANanosecondWillDo) {
  TokenBucket bucket(TokenRate::kPerSecondMax, 1000);
  bucket.Take(1000, At(50));
  EXPECT_EQ(bucket.Available(At(51)), 100);
  EXPECT_EQ(bucket.AvailableAt(1), At(51));
  EXPECT_EQ(bucket.AvailableAt(101), At(52));
}

TEST(TokenBucketTest, AnInstantBeforeTheLastOneGivesNothingTwice) {
  TokenBucket bucket(1000, 5);
  bucket.Take(5, At(absl::Seconds(1)));
  EXPECT_EQ(bucket.Available(At(absl::Milliseconds(999))), -1);
  bucket.Take(0, At(absl::Milliseconds(999)));
  EXPECT_EQ(bucket.Available(At(absl::Milliseconds(1001))), 1);
}

TEST(TokenBucketTest, HoldsAtTheEdgesOfTime) {
  for (double per_second : {TokenRate::kPerSecondMin, 1.0, 1e9, TokenRate::kPerSecondMax}) {
    TokenBucket bucket(per_second, TokenRate::kBurstMax);
    bucket.Take(kMax, At(kMin));
    bucket.Take(kMax, At(kMin));
    EXPECT_EQ(bucket.Available(At(kMin)), kMin) << "a debt beyond counting";
    EXPECT_GE(bucket.AvailableAt(1), At(kMin));
    bucket.Take(kMax, At(kMax));
    bucket.Take(kMax, At(kMax));
    EXPECT_EQ(bucket.AvailableAt(1), MonotonicTime::InfiniteFuture());
    EXPECT_LT(bucket.Available(At(kMax)), 0);
  }
}

TEST(TokenBucketTest, HalfATokenIsNeverLost) {
  // A third of a nanosecond each: whatever rounds each step drifts by a third of the rate.
  TokenBucket bucket(3e9, 1000);
  int64_t taken = 0, now = 0;
  for (; now < 100'000; ++now) {
    while (bucket.Available(At(now)) > 0) {
      bucket.Take(1, At(now));
      ++taken;
    }
  }
  EXPECT_EQ(taken, 1000 + 3 * (now - 1));
}

TEST(TokenBucketDeathTest, RatesAndBurstsHaveBounds) {
  EXPECT_DEATH(TokenBucket(0, 1), "");
  EXPECT_DEATH(TokenBucket(2e11, 1), "");
  EXPECT_DEATH(TokenBucket(std::numeric_limits<double>::quiet_NaN(), 1), "");
  EXPECT_DEATH(TokenBucket(1, 0), "");
  EXPECT_DEATH(TokenBucket(1, TokenRate::kBurstMax + 1), "");
}

// What a bucket is, said slowly: whole tokens come at k / per_second, and those for which there is
// no room are lost.
class Model {
 public:
  Model(int64_t per_second, int64_t burst) : per_second_(per_second), burst_(burst), left_(burst) {}

  void AdvanceTo(int64_t now) {
    left_ = std::min(burst_, left_ + CountAt(now) - CountAt(now_));
    now_ = now;
  }
  void Take(int64_t n) { left_ -= n; }
  int64_t left() const { return left_; }

 private:
  int64_t CountAt(int64_t now) const {
    return static_cast<int64_t>(absl::int128(now) * per_second_ / 1'000'000'000);
  }

  const int64_t per_second_, burst_;
  int64_t left_, now_ = 0;
};

// Tokens in one run: few enough for the rate's 64 bits to place each at its nanosecond.
constexpr int64_t kTokensOfRunMax = 9'000'000'000;

class TokenBucketModelTest : public ::testing::TestWithParam<int64_t> {
 protected:
  int64_t per_second() const { return GetParam(); }
  // Of the order of a few tokens, mostly; sometimes of many.
  int64_t RandomStep() {
    const int64_t token = std::max<int64_t>(1'000'000'000 / per_second(), 1);
    return random_.Below(3 * token + 2) * (random_.Below(1000) == 0 ? 1000 : 1);
  }

  Random random_{17};
};

TEST_P(TokenBucketModelTest, AgreesAfterEachStep) {
  const int64_t burst = 1 + random_.Below(1000);
  TokenBucket bucket(per_second(), burst);
  SharedTokenBucket shared(per_second(), burst);
  Model model(per_second(), burst);
  const int64_t end = static_cast<int64_t>(
      std::min(absl::int128(kTokensOfRunMax) * 1'000'000'000 / per_second(), absl::int128(kMax)));
  int64_t now = 0;
  for (int i = 0; i < 200'000; ++i) {
    now += RandomStep();
    if (now >= end) break;
    model.AdvanceTo(now);
    ASSERT_EQ(bucket.Available(At(now)), model.left()) << "step " << i << " at " << now;
    ASSERT_EQ(shared.Available(At(now)), model.left()) << "step " << i << " at " << now;
    if (model.left() <= 0 && random_.Below(4) != 0) continue;
    const int64_t n = random_.Below(random_.Below(100) == 0 ? 2 * burst : 8);
    bucket.Take(n, At(now));
    shared.Take(n, At(now));
    model.Take(n);
  }
}

TEST_P(TokenBucketModelTest, TheInstantToldIsTheFirst) {
  const int64_t burst = 1000;
  for (int i = 0; i < 20'000; ++i) {
    TokenBucket bucket(per_second(), burst);
    SharedTokenBucket shared(per_second(), burst);
    const MonotonicTime now = At(random_.Below(int64_t{1} << (1 + random_.Below(53))));
    const int64_t debt = burst + random_.Below(1000), wanted = random_.Below(burst + 1);
    bucket.Take(debt, now);
    shared.Take(debt, now);
    const MonotonicTime then = bucket.AvailableAt(wanted);
    ASSERT_EQ(shared.AvailableAt(wanted, now), then);
    ASSERT_GE(bucket.Available(then), wanted);
    ASSERT_GE(shared.Available(then), wanted);
    if (bucket.Available(now) < wanted) {
      ASSERT_LT(bucket.Available(then - absl::Nanoseconds(1)), wanted) << then.nanoseconds();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Rates, TokenBucketModelTest,
                         ::testing::Values(1, 3, 999, 1'000'000, 1'234'567'891, 3'000'000'007,
                                           100'000'000'000));

TEST(SharedTokenBucketTest, WhoReservesStandsInLine) {
  SharedTokenBucket bucket(1000, 4);
  const MonotonicTime now = At(absl::Seconds(1));
  EXPECT_LE(bucket.Reserve(4, now), now) << "that was there";
  EXPECT_EQ(bucket.Reserve(4, now), now + absl::Milliseconds(4));
  EXPECT_EQ(bucket.Reserve(2, now), now + absl::Milliseconds(6));
  EXPECT_EQ(bucket.Available(now + absl::Milliseconds(6)), 0) << "that is theirs";
  EXPECT_EQ(bucket.Available(now + absl::Milliseconds(7)), 1);
}

TEST(SharedTokenBucketTest, WhatIsGivenBackIsThereForOthers) {
  SharedTokenBucket bucket(1000, 4);
  const MonotonicTime now = At(absl::Seconds(1));
  bucket.Reserve(4, now);
  bucket.GiveBack(3);
  EXPECT_EQ(bucket.Available(now), 3);
  bucket.GiveBack(3);
  EXPECT_EQ(bucket.Available(now), 4) << "never more than the burst";
}

// The count of tokens passes 2^64 after 5.8 years at this rate.
TEST(SharedTokenBucketTest, TheCountMayWrapRound) {
  for (int64_t wraps : {1, 2, 40}) {
    SharedTokenBucket bucket(TokenRate::kPerSecondMax, 1000);
    const auto wrap = static_cast<int64_t>(absl::int128(wraps) * (absl::int128(1) << 64) / 100);
    bucket.Take(3000, At(wrap - 10));
    EXPECT_EQ(bucket.Available(At(wrap - 10)), -2000);
    EXPECT_EQ(bucket.Available(At(wrap + 10)), 0);
    EXPECT_EQ(bucket.AvailableAt(0, At(wrap - 10)), At(wrap + 10));
    EXPECT_EQ(bucket.Available(At(wrap + 20)), 1000);
    EXPECT_EQ(bucket.Available(At(wrap) + absl::Hours(24 * 365 * 4)), 1000) << "four idle years";
  }
}

TEST(SharedTokenBucketTest, HoldsAtTheEdgesOfTime) {
  for (double per_second : {TokenRate::kPerSecondMin, 1e9, TokenRate::kPerSecondMax}) {
    SharedTokenBucket bucket(per_second, TokenRate::kBurstMax);
    EXPECT_EQ(bucket.Available(At(kMin)), TokenRate::kBurstMax);
    for (int64_t now : {kMin, int64_t{0}, kMax}) {
      bucket.Take(kMax, At(now));
      bucket.Take(kMax, At(now));
      EXPECT_LT(bucket.Available(At(now)), 0) << "debt is bounded, and does not turn round";
      EXPECT_GT(bucket.AvailableAt(0, At(now)), At(kMin));
    }
    EXPECT_EQ(bucket.AvailableAt(0, At(kMax)), MonotonicTime::InfiniteFuture());
  }
}

TEST(SharedTokenBucketTest, ThreadsGetEachPlaceInTheLineOnce) {
  constexpr int kThreads = 4, kEach = 10'000;
  SharedTokenBucket bucket(1000, 1);
  bucket.Take(1, At(0));
  std::vector<std::vector<MonotonicTime>> places(kThreads);
  std::vector<std::thread> threads;
  for (std::vector<MonotonicTime>& own : places) {
    threads.emplace_back([&own, &bucket] {
      for (int i = 0; i < kEach; ++i) own.push_back(bucket.Reserve(1, At(0)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<MonotonicTime> all;
  for (const std::vector<MonotonicTime>& own : places) {
    EXPECT_TRUE(std::is_sorted(own.begin(), own.end()));
    all.insert(own.begin(), own.end());
  }
  EXPECT_EQ(all.size(), size_t{kThreads * kEach});
  EXPECT_EQ(*all.begin(), At(absl::Milliseconds(1)));
  EXPECT_EQ(*all.rbegin(), At(absl::Milliseconds(kThreads * kEach)));
}

}  // namespace
}  // namespace millrace
