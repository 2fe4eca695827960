// SPDX-License-Identifier: Apache-2.0
#include "base/monotonic_time.h"

#include <time.h>

#include <cstdint>
#include <limits>

#include "absl/base/no_destructor.h"
#include "absl/time/time.h"

namespace millrace {
namespace {

class SystemClock final : public Clock {
 public:
  MonotonicTime Now() const override {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);  // Cannot fail with this clock and a valid pointer.
    return MonotonicTime::FromNanoseconds(int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec);
  }
};

}  // namespace

const Clock& Clock::System() {
  static absl::NoDestructor<SystemClock> clock;
  return *clock;
}

absl::Duration operator-(MonotonicTime later, MonotonicTime earlier) {
  if (later == earlier) return absl::ZeroDuration();
  if (later == MonotonicTime::InfiniteFuture()) return absl::InfiniteDuration();
  if (earlier == MonotonicTime::InfiniteFuture()) return -absl::InfiniteDuration();
  int64_t difference;  // One conversion, where it fits, costs half of two.
  if (!__builtin_sub_overflow(later.nanoseconds_, earlier.nanoseconds_, &difference)) {
    return absl::Nanoseconds(difference);
  }
  return absl::Nanoseconds(later.nanoseconds_) - absl::Nanoseconds(earlier.nanoseconds_);
}

}  // namespace millrace
