// SPDX-License-Identifier: Apache-2.0
#include "net/rate_limit.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "base/ref.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/limits.h"

namespace millrace {
namespace {

using absl::Milliseconds;
using absl::Seconds;
using ::testing::HasSubstr;

constexpr size_t kMuch = size_t{1} << 20;

RateLimit Rate(double bytes_per_second, int64_t burst_bytes = 0) {
  return {.bytes_per_second = bytes_per_second, .burst_bytes = burst_bytes};
}

Ref<RateLimitGroup> Group(const RateLimit& read, const RateLimit& write = {}) {
  return RateLimitGroup::Create({.read = read, .write = write}).value();
}

class RateLimitTest : public ::testing::Test {
 protected:
  std::unique_ptr<RateLimiter> Limiter(const RateLimits& own, Ref<RateLimitGroup> group = {}) {
    return std::make_unique<RateLimiter>(own, std::move(group), counters_);
  }

  // Reads as much as `limiter` lets it, and returns that.
  size_t Read(RateLimiter& limiter, size_t wanted = kMuch) {
    size_t sum = 0;
    while (sum < wanted) {
      const size_t n = limiter.MayRead(wanted - sum, now_);
      if (n == 0) break;
      limiter.DidRead(n, now_);
      sum += n;
    }
    return sum;
  }
  // How long `limiter` is to wait.
  absl::Duration Pause(RateLimiter& limiter) { return limiter.ReadableAt(now_) - now_; }

  MonotonicTime now_ = MonotonicTime() + Seconds(1);
  RateLimitCounters counters_;
};

TEST_F(RateLimitTest, NoneIsNone) {
  auto limiter = Limiter({});
  EXPECT_EQ(limiter->MayRead(kMuch, now_), kMuch);
  EXPECT_EQ(limiter->MayWrite(std::numeric_limits<size_t>::max() / 2, now_),
            std::numeric_limits<size_t>::max() / 2);
  limiter->DidRead(kMuch, now_);
  EXPECT_EQ(limiter->MayRead(kMuch, now_), kMuch);
  EXPECT_EQ(limiter->ReadableAt(now_), now_);
  EXPECT_EQ(counters_.bytes_read.value(), kMuch);
  EXPECT_EQ(counters_.read_pauses.value(), 0u);
}

TEST_F(RateLimitTest, BurstGoesAtOnceAndThenTheRateCounts) {
  auto limiter = Limiter({.read = Rate(100'000, 20'000)});
  EXPECT_EQ(Read(*limiter), 20'000u);
  EXPECT_EQ(limiter->MayRead(kMuch, now_), 0u);
  now_ = now_ + Milliseconds(100);
  EXPECT_EQ(Read(*limiter), 10'000u);
}

TEST_F(RateLimitTest, NobodyIsWokenForAFewBytes) {
  auto limiter = Limiter({.read = Rate(40'960, 50'000)});
  Read(*limiter);
  EXPECT_EQ(Pause(*limiter), Milliseconds(100)) << "until a quantum is there";
  now_ = now_ + Milliseconds(99);
  EXPECT_EQ(limiter->MayRead(kMuch, now_), 0u);
  now_ = now_ + Milliseconds(1);
  EXPECT_EQ(limiter->MayRead(kMuch, now_), kRateQuantumBytes);
  EXPECT_EQ(limiter->ReadableAt(now_), now_);
}

TEST_F(RateLimitTest, FastOneWaitsForMore) {
  auto limiter = Limiter({.read = Rate(100e6)});
  EXPECT_EQ(Read(*limiter, 100 * kMuch), 10'000'000u) << "kRateBurstTime";
  EXPECT_EQ(Pause(*limiter), kRateQuantumTimeMin);
}

TEST_F(RateLimitTest, SlowOneWaitsForLess) {
  auto limiter = Limiter({.read = Rate(1000)});
  EXPECT_EQ(Read(*limiter), kRateQuantumBytes) << "its burst";
  EXPECT_EQ(Pause(*limiter), kRateQuantumTimeMax);
  auto slowest = Limiter({.read = Rate(1)});
  Read(*slowest);
  EXPECT_EQ(Pause(*slowest), Seconds(1)) << "no less than a byte";
}

TEST_F(RateLimitTest, ShortMessagesUseTheBurstOfASlowOneToo) {
  auto limiter = Limiter({.read = Rate(1000)});
  for (int i = 0; i < 39; ++i) {
    EXPECT_GE(limiter->MayRead(kMuch, now_), 100u) << i;
    limiter->DidRead(100, now_);
  }
}

TEST_F(RateLimitTest, BurstBelowTheQuantumIsAllThatIsWaitedFor) {
  auto limiter = Limiter({.read = Rate(1000, 10)});
  EXPECT_EQ(Read(*limiter), 10u);
  EXPECT_EQ(Pause(*limiter), Milliseconds(10));
}

TEST_F(RateLimitTest, ShortOutputWaitsForNoMoreThanItself) {
  auto limiter = Limiter({.write = Rate(1000, 5000)});
  limiter->DidWrite(5000, now_);
  EXPECT_EQ(limiter->MayWrite(10, now_), 0u);
  EXPECT_EQ(limiter->WritableAt(10, now_), now_ + Milliseconds(10));
  EXPECT_EQ(limiter->WritableAt(kMuch, now_), now_ + Milliseconds(100)) << "a quantum";
  now_ = now_ + Milliseconds(10);
  EXPECT_EQ(limiter->MayWrite(10, now_), 10u);
}

TEST_F(RateLimitTest, WhatWasReadTooMuchIsPaidOff) {
  auto limiter = Limiter({.read = Rate(100'000, 5000)});
  limiter->DidRead(105'000, now_);
  EXPECT_EQ(Pause(*limiter), Seconds(1) + absl::Microseconds(40'960));
}

TEST_F(RateLimitTest, DirectionsDoNotMindEachOther) {
  auto limiter = Limiter({.read = Rate(1000), .write = Rate(2000, 6000)});
  Read(*limiter);
  EXPECT_EQ(limiter->MayRead(1, now_), 0u);
  EXPECT_EQ(limiter->MayWrite(kMuch, now_), 6000u);
}

TEST_F(RateLimitTest, PauseCountsOnceHoweverOftenOneAsks) {
  auto limiter = Limiter({.read = Rate(1'000'000)});
  Read(*limiter);
  limiter->ReadableAt(now_);
  limiter->ReadableAt(now_);
  EXPECT_EQ(counters_.read_pauses.value(), 1u);
  now_ = limiter->ReadableAt(now_);
  Read(*limiter);
  limiter->ReadableAt(now_);
  EXPECT_EQ(counters_.read_pauses.value(), 2u);
  EXPECT_EQ(counters_.write_pauses.value(), 0u);
}

TEST_F(RateLimitTest, NeverMoreThanBurstAndRateInAnyTime) {
  Random random(5);
  for (int round = 0; round < 50; ++round) {
    const int64_t rate = 1 + random.Below(10'000'000), burst = 1 + random.Below(100'000);
    auto limiter = Limiter({.read = Rate(rate, burst)});
    const MonotonicTime start = now_;
    int64_t sum = 0;
    for (int i = 0; i < 200; ++i) {
      now_ = random.Below(2) == 0 ? std::max(now_, limiter->ReadableAt(now_))
                                  : now_ + absl::Microseconds(random.Below(2000));
      sum += Read(*limiter, 1 + random.Below(50'000));
      ASSERT_LE(sum, burst + rate * absl::ToDoubleSeconds(now_ - start) + 1);
    }
  }
}

// Connections that would read for ever, woken by timers as a loop's are: up to a millisecond late.
class RateLimitCrowdTest : public RateLimitTest {
 protected:
  struct Member {
    std::unique_ptr<RateLimiter> limiter;
    MonotonicTime wakes;
    int64_t bytes = 0;
  };

  void Join(int count, const RateLimits& own, const Ref<RateLimitGroup>& group) {
    for (int i = 0; i < count; ++i) members_.push_back({Limiter(own, group), now_, 0});
  }

  // Those of a tick wake in the worst order there is: always the same.
  void RunFor(absl::Duration time) {
    for (const MonotonicTime end = now_ + time; now_ < end; now_ = now_ + Milliseconds(1)) {
      for (Member& member : members_) {
        if (member.wakes > now_) continue;
        member.bytes += Read(*member.limiter, size_t{1} << 40);
        member.wakes = member.limiter->ReadableAt(now_);
      }
    }
  }

  int64_t Sum() const {
    return std::accumulate(members_.begin(), members_.end(), int64_t{0},
                           [](int64_t sum, const Member& each) { return sum + each.bytes; });
  }
  // What the best and the worst served are apart.
  int64_t Spread() const {
    const auto [least, most] =
        std::minmax_element(members_.begin(), members_.end(),
                            [](const Member& a, const Member& b) { return a.bytes < b.bytes; });
    return most->bytes - least->bytes;
  }

  std::vector<Member> members_;
};

TEST_F(RateLimitCrowdTest, EachRateIsReached) {
  for (const double rate : {100.0, 12'345.0, 1e6, 1e9, 20e9}) {
    members_.clear();
    Join(1, {.read = Rate(rate)}, {});
    RunFor(Seconds(5));
    Member& lone = members_.front();
    const double burst = Rate(rate).burst();
    EXPECT_LE(lone.bytes, burst + 5 * rate);
    EXPECT_GE(lone.bytes, 0.99 * 5 * rate);
  }
}

TEST_F(RateLimitCrowdTest, GroupReachesItsRateTogetherAndNoMore) {
  for (const double rate : {10'000.0, 1e6, 1e9}) {
    for (const int count : {1, 7, 100}) {
      members_.clear();
      const RateLimit limit = Rate(rate);
      const Ref<RateLimitGroup> group = Group(limit);
      Join(count, {}, group);
      RunFor(Seconds(2));
      EXPECT_LE(Sum(), limit.burst() + 2 * rate) << rate << " " << count;
      EXPECT_GE(Sum(), 0.99 * 2 * rate) << rate << " " << count;
      EXPECT_EQ(group->stats().bytes_read, static_cast<uint64_t>(Sum()));
      EXPECT_EQ(group->stats().bytes_written, 0u);
      EXPECT_GT(group->stats().read_pauses, 0u);
    }
  }
}

TEST_F(RateLimitCrowdTest, NobodyStarvesWhenManyWait) {
  const Ref<RateLimitGroup> group = Group(Rate(4096 * 1000, 4096 * 10));
  Join(500, {}, group);
  RunFor(Seconds(10));
  EXPECT_LE(Spread(), 11 * 4096) << "a quantum, and the burst, which the first may have got";
  EXPECT_GE(Sum() / 500, 4096 * 20);
}

TEST_F(RateLimitCrowdTest, OwnLimitsHoldInAGroup) {
  const Ref<RateLimitGroup> group = Group(Rate(1e6));
  Join(1, {.read = Rate(10'000, 4096)}, group);
  Join(1, {}, group);
  RunFor(Seconds(5));
  EXPECT_NEAR(members_[0].bytes, 50'000, 6'000);
  EXPECT_NEAR(members_[1].bytes, 4'950'000, 150'000) << "the rest is for who can use it";
}

TEST_F(RateLimitTest, NewcomerDoesNotOvertakeThoseWhoWait) {
  const Ref<RateLimitGroup> group = Group(Rate(4096 * 10, 4096));
  auto first = Limiter({}, group), second = Limiter({}, group), newcomer = Limiter({}, group);
  EXPECT_EQ(Read(*first), 4096u);
  EXPECT_EQ(Pause(*first), Milliseconds(100));
  EXPECT_EQ(Pause(*second), Milliseconds(200));
  now_ = now_ + Milliseconds(150);
  EXPECT_EQ(newcomer->MayRead(kMuch, now_), 0u);
  EXPECT_EQ(Pause(*newcomer), Milliseconds(150)) << "behind both";
  EXPECT_EQ(first->MayRead(kMuch, now_), 4096u) << "late, and still there";
  EXPECT_EQ(second->MayRead(kMuch, now_), 0u) << "not yet its turn";
}

TEST_F(RateLimitTest, AskingAgainKeepsThePlace) {
  const Ref<RateLimitGroup> group = Group(Rate(4096 * 10, 4096));
  auto one = Limiter({}, group);
  Read(*one);
  const MonotonicTime turn = one->ReadableAt(now_);
  EXPECT_EQ(one->ReadableAt(now_), turn);
  EXPECT_EQ(one->ReadableAt(now_ + Milliseconds(50)), turn);
  EXPECT_EQ(group->stats().read_pauses, 1u);
}

TEST_F(RateLimitTest, WhoLeavesTakesNothingAlong) {
  const Ref<RateLimitGroup> group = Group(Rate(4096 * 10, 4096));
  auto one = Limiter({}, group), other = Limiter({}, group);
  Read(*one);
  Pause(*one);
  one.reset();
  EXPECT_EQ(Pause(*other), Milliseconds(100)) << "as if nobody had waited";
}

TEST_F(RateLimitTest, WhoReadsLessThanItsTurnLeavesTheRestToOthers) {
  const Ref<RateLimitGroup> group = Group(Rate(4096 * 10, 4096));
  auto one = Limiter({}, group), other = Limiter({}, group);
  Read(*one);
  now_ = one->ReadableAt(now_);
  one->DidRead(96, now_);
  EXPECT_EQ(other->MayRead(4000, now_), 4000u);
}

TEST_F(RateLimitTest, GroupMayLimitOneDirectionAlone) {
  auto limiter = Limiter({}, Group({}, Rate(1000, 100)));
  EXPECT_EQ(Read(*limiter, 10 * kMuch), 10 * kMuch);
  EXPECT_EQ(limiter->MayWrite(100, now_), 100u);
  limiter->DidWrite(100, now_);
  EXPECT_EQ(limiter->WritableAt(50, now_), now_ + Milliseconds(50));
}

TEST_F(RateLimitTest, BoundsAreChecked) {
  const std::pair<RateLimit, std::string> bad[] = {
      {Rate(-1), "bytes_per_second"},
      {Rate(1e12), "bytes_per_second"},
      {Rate(1e-9), "bytes_per_second"},
      {Rate(std::numeric_limits<double>::quiet_NaN()), "bytes_per_second"},
      {Rate(std::numeric_limits<double>::infinity()), "bytes_per_second"},
      {Rate(1, -1), "burst_bytes"},
      {Rate(1, std::numeric_limits<int64_t>::max()), "burst_bytes"},
  };
  for (const auto& [limit, field] : bad) {
    EXPECT_THAT(RateLimits{.read = limit}.Check().message(), HasSubstr("read." + field));
    EXPECT_THAT(RateLimits{.write = limit}.Check().message(), HasSubstr("write." + field));
    EXPECT_FALSE(RateLimitGroup::Create({.write = limit}).ok());
  }
  EXPECT_TRUE(RateLimits().Check().ok());
  EXPECT_TRUE((RateLimits{.read = Rate(100e9), .write = Rate(0.001, 1)}).Check().ok());
}

// Each thread a loop, all at the same instants. Under TSan this is the test of what a group shares.
TEST(RateLimitGroupTest, MembersOnManyThreadsStayBelowItsRate) {
  constexpr int kThreads = 4, kMilliseconds = 1000;
  const RateLimit limit = Rate(10e6, 100'000);
  const Ref<RateLimitGroup> group = Group(limit);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([group] {
      RateLimitCounters counters;
      RateLimiter limiter({}, group, counters);
      for (int ms = 0; ms < kMilliseconds; ++ms) {
        const MonotonicTime now = MonotonicTime() + Milliseconds(ms);
        while (const size_t n = limiter.MayRead(kMuch, now)) limiter.DidRead(n, now);
        limiter.ReadableAt(now);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Threads that found the same bytes may each have read half of the burst, once.
  EXPECT_LE(group->stats().bytes_read, 10e6 + 100'000 + kThreads * 50'000);
  EXPECT_GT(group->stats().bytes_read, 1e6);
}

}  // namespace
}  // namespace millrace
