// SPDX-License-Identifier: Apache-2.0
#include "base/token_bucket.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>

#include "absl/log/check.h"
#include "absl/numeric/bits.h"
#include "absl/numeric/int128.h"

namespace millrace {
namespace {

constexpr MonotonicTime kFirst =
    MonotonicTime::FromNanoseconds(std::numeric_limits<int64_t>::min());

}  // namespace

TokenRate::TokenRate(double per_second, int64_t burst) : burst_(burst) {
  CHECK(per_second >= kPerSecondMin && per_second <= kPerSecondMax) << per_second;
  CHECK(burst >= 1 && burst <= kBurstMax) << burst;
  // A double is 53 bits and a power of two, so this is exact but for the last bit. That is rounded
  // up: thus a token which is due at a whole nanosecond is never late, and none is early by one.
  int exponent;
  const auto digits = static_cast<uint64_t>(std::ldexp(std::frexp(per_second, &exponent), 53));
  const absl::uint128 per_nanosecond = (absl::uint128(digits) << 74) / 1'000'000'000;
  const int bits = 128 - absl::countl_zero(absl::Uint128High64(per_nanosecond));
  scale_ = absl::Uint128Low64(per_nanosecond >> (bits - 64)) + 1;
  shift_ = 53 + 74 - exponent - (bits - 64);
}

MonotonicTime TokenRate::TimeOf(absl::int128 count) const {
  if (count <= CountAt(kFirst)) return kFirst;
  if (count > CountAt(MonotonicTime::InfiniteFuture())) return MonotonicTime::InfiniteFuture();
  // count * 2^shift_ / scale_, rounded up. The dividend would not fit, so it is divided in parts.
  const absl::uint128 magnitude(count < 0 ? -count : count);
  absl::uint128 quotient = magnitude / scale_, rest = magnitude % scale_;
  for (int left = shift_; left > 0;) {
    const int step = std::min(left, 64);
    rest <<= step;
    quotient = (quotient << step) + rest / scale_;
    rest %= scale_;
    left -= step;
  }
  const auto nanoseconds = static_cast<int64_t>(absl::Uint128Low64(quotient));
  if (count < 0) return MonotonicTime::FromNanoseconds(-nanoseconds);
  return MonotonicTime::FromNanoseconds(nanoseconds + (rest != 0));
}

int64_t SharedTokenBucket::Missing(uint64_t full_at, MonotonicTime now) const {
  if (full_at == kUnused) return 0;
  const auto missing = static_cast<int64_t>(full_at - LowCountAt(now));
  return missing < 0 || missing > kMissingMax ? 0 : missing;
}

int64_t SharedTokenBucket::TakeFrom(MonotonicTime now, int64_t n) {
  const uint64_t count = LowCountAt(now);
  uint64_t full_at = full_at_.load(std::memory_order_relaxed);
  int64_t missing;
  uint64_t next;
  do {
    missing = Missing(full_at, now);
    missing += std::min(n, kMissingMax - missing);
    next = count + static_cast<uint64_t>(missing);
    if (next == kUnused) ++next;
  } while (!full_at_.compare_exchange_weak(full_at, next, std::memory_order_relaxed));
  return missing;
}

MonotonicTime SharedTokenBucket::TimeWithout(int64_t missing, int64_t n, MonotonicTime now) const {
  const int64_t to_come = missing - rate_.burst() + std::min(n, rate_.burst());
  return rate_.TimeOf(rate_.CountAt(now) + to_come);
}

}  // namespace millrace
