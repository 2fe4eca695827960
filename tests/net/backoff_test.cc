// SPDX-License-Identifier: Apache-2.0
#include "net/backoff.h"

#include "absl/time/time.h"
#include "base/random.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(BackoffTest, GrowsUpToItsBound) {
  Backoff backoff({.initial = absl::Milliseconds(100), .max = absl::Seconds(1), .jitter = 0},
                  Random(1));
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(100));
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(200));
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(400));
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(800));
  EXPECT_EQ(backoff.Next(), absl::Seconds(1));
  EXPECT_EQ(backoff.Next(), absl::Seconds(1));
}

TEST(BackoffTest, ResetStartsAnew) {
  Backoff backoff({.initial = absl::Milliseconds(100), .jitter = 0}, Random(1));
  backoff.Next();
  backoff.Next();
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(100));
}

TEST(BackoffTest, JitterSpreadsAroundTheLength) {
  Random seeds(7);
  absl::Duration least = absl::InfiniteDuration(), most;
  for (int i = 0; i < 1000; ++i) {
    Backoff backoff({.initial = absl::Seconds(1), .jitter = 0.2}, Random(seeds.Next()));
    const absl::Duration wait = backoff.Next();
    least = std::min(least, wait);
    most = std::max(most, wait);
  }
  EXPECT_GE(least, absl::Milliseconds(800));
  EXPECT_LE(most, absl::Milliseconds(1200));
  EXPECT_LT(least, absl::Milliseconds(850));
  EXPECT_GT(most, absl::Milliseconds(1150));
}

TEST(BackoffTest, SameSeedSameWaits) {
  Backoff a({}, Random(3)), b({}, Random(3));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(a.Next(), b.Next());
}

}  // namespace
}  // namespace millrace
