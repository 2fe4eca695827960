// SPDX-License-Identifier: Apache-2.0
//
// A TokenBucket limits a rate: tokens come in at it and wait up to a burst, and whoever does
// something takes as many as it costs. It keeps one number (the token with whose arrival it will be
// full again), so nothing has to run while tokens come in. A member of what it limits; loop-only,
// or whatever its owner is. SharedTokenBucket is the same for many threads, without a lock.
//
//   TokenBucket accepts(100, 10);                     // A hundred a second, ten at once.
//   if (accepts.Available(now) < 1) return timer_.ArmAt(accepts.AvailableAt(1));
//   accepts.Take(1, now);
//
// Tokens come one by one, the k-th at k / per_second on the clock, rounded up to a nanosecond. So
// counting is exact: no rounding adds up, however often and in whatever steps they are taken.

#ifndef MILLRACE_BASE_TOKEN_BUCKET_H_
#define MILLRACE_BASE_TOKEN_BUCKET_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "absl/numeric/int128.h"
#include "base/monotonic_time.h"

namespace millrace {

// How fast tokens come, and how many wait: what both kinds of bucket count by. Immutable.
class TokenRate {
 public:
  static constexpr double kPerSecondMin = 0.001;
  static constexpr double kPerSecondMax = 1e11;           // 100 GB/s, if tokens are bytes.
  static constexpr int64_t kBurstMax = int64_t{1} << 60;  // So that a debt always fits beside it.

  // Requires: both lie in these bounds, and the burst is 1 at least.
  TokenRate(double per_second, int64_t burst);

  int64_t burst() const { return burst_; }

  // Tokens that have come since the clock's zero; negative before it. There are more than 2^63 in
  // three years of the fastest rate, hence 128 bits.
  absl::int128 CountAt(MonotonicTime now) const {
    return (absl::int128(now.nanoseconds()) * absl::int128(scale_)) >> shift_;
  }
  // The first instant by which so many have come. Saturates at both ends of time.
  MonotonicTime TimeOf(absl::int128 count) const;

 private:
  int64_t burst_;
  uint64_t scale_;  // Tokens in a nanosecond, times 2^shift_, rounded up in the 64th bit.
  int shift_;
};

class TokenBucket {
 public:
  // Full at first. Requires: see TokenRate.
  TokenBucket(double per_second, int64_t burst) : rate_(per_second, burst) {}

  int64_t burst() const { return rate_.burst(); }

  // What may be taken; below zero while there is a debt to be paid off.
  int64_t Available(MonotonicTime now) const {
    const absl::int128 left =
        rate_.burst() - std::max<absl::int128>(full_at_ - rate_.CountAt(now), 0);
    return static_cast<int64_t>(std::max<absl::int128>(left, std::numeric_limits<int64_t>::min()));
  }
  // Takes them whether they are there or not, for who learns only afterwards what something cost.
  // Requires: n >= 0.
  void Take(int64_t n, MonotonicTime now) { full_at_ = std::max(full_at_, rate_.CountAt(now)) + n; }
  // When Available() reaches `n`, or the burst if that is less; past if it has.
  MonotonicTime AvailableAt(int64_t n) const {
    return rate_.TimeOf(full_at_ - rate_.burst() + std::min(n, rate_.burst()));
  }

 private:
  TokenRate rate_;
  absl::int128 full_at_ = std::numeric_limits<int64_t>::min() * absl::int128(kAgo);

  // Before every instant, even in the fastest tokens.
  static constexpr int kAgo = 128;
};

// Any thread. One word of state, so counts are kept modulo 2^64: a bucket faster than 1.5 billion
// tokens a second that nobody takes from for four years may then believe to be in debt. Slower ones
// outlast the clock.
class SharedTokenBucket {
 public:
  SharedTokenBucket(double per_second, int64_t burst) : rate_(per_second, burst) {}
  SharedTokenBucket(const SharedTokenBucket&) = delete;
  SharedTokenBucket& operator=(const SharedTokenBucket&) = delete;

  int64_t burst() const { return rate_.burst(); }

  // As those of TokenBucket. Several threads may find the same tokens available and all take them;
  // that is a debt, and so evens out.
  int64_t Available(MonotonicTime now) const {
    return rate_.burst() - Missing(full_at_.load(std::memory_order_relaxed), now);
  }
  void Take(int64_t n, MonotonicTime now) { TakeFrom(now, n); }
  MonotonicTime AvailableAt(int64_t n, MonotonicTime now) const {
    return TimeWithout(Missing(full_at_.load(std::memory_order_relaxed), now), n, now);
  }

  // Takes `n`, and returns when they will have come: past, if they were there. Who waits until then
  // stands in line with all others who do so, and nobody overtakes.
  MonotonicTime Reserve(int64_t n, MonotonicTime now) {
    return TimeWithout(TakeFrom(now, n), 0, now);
  }
  // Puts back `n` that were taken and not used.
  void GiveBack(int64_t n) {
    full_at_.fetch_sub(static_cast<uint64_t>(n), std::memory_order_relaxed);
  }

 private:
  // The burst and all debt together; more is forgotten. It leaves three quarters of all differences
  // to the past.
  static constexpr int64_t kMissingMax = int64_t{1} << 62;
  static constexpr uint64_t kUnused = 0;  // Nothing was taken yet.

  uint64_t LowCountAt(MonotonicTime now) const { return absl::Int128Low64(rate_.CountAt(now)); }
  // How many tokens it would take to be full.
  int64_t Missing(uint64_t full_at, MonotonicTime now) const;
  // Returns what is missing then.
  int64_t TakeFrom(MonotonicTime now, int64_t n);
  // When `n` are there, if `missing` are missing now.
  MonotonicTime TimeWithout(int64_t missing, int64_t n, MonotonicTime now) const;

  const TokenRate rate_;
  std::atomic<uint64_t> full_at_ = kUnused;
};

}  // namespace millrace

#endif  // MILLRACE_BASE_TOKEN_BUCKET_H_
