// SPDX-License-Identifier: Apache-2.0
#include "net/connection_extras.h"

#include <memory>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "gtest/gtest.h"
#include "net/limits.h"
#include "net/rate_limit.h"

namespace millrace {
namespace {

TEST(ConnectionExtrasTest, AtItsEndAConnectionGivesBackItsPlaceInALine) {
  AssertOnLoop();
  const MonotonicTime now = MonotonicTime() + absl::Seconds(1);
  const RateLimit rate = {.bytes_per_second = 1000, .burst_bytes = 1000};
  const Ref<RateLimitGroup> group = RateLimitGroup::Create({.read = rate}).value();
  RateLimitCounters counters;
  ConnectionExtras first, second;
  first.pace = std::make_unique<ConnectionPace>(RateLimits(), group, counters);
  second.pace = std::make_unique<ConnectionPace>(RateLimits(), group, counters);
  first.pace->limiter.DidRead(1000, now);
  EXPECT_EQ(first.pace->limiter.ReadableAt(now), now + kRateQuantumTimeMax);
  first.EndShared();
  EXPECT_EQ(second.pace->limiter.ReadableAt(now), now + kRateQuantumTimeMax);
}

}  // namespace
}  // namespace millrace
