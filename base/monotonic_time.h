// SPDX-License-Identifier: Apache-2.0
//
// MonotonicTime is an instant that no change of the wall clock moves; Clock is where instants come
// from. Loops and timers count in these and only in these, so setting the machine's date back an
// hour delays nothing. A plain value, free to share between threads.
//
//   const MonotonicTime deadline = clock.Now() + absl::Seconds(30);
//   if (clock.Now() >= deadline) GiveUp();

#ifndef MILLRACE_BASE_MONOTONIC_TIME_H_
#define MILLRACE_BASE_MONOTONIC_TIME_H_

#include <compare>
#include <cstdint>
#include <limits>

#include "absl/base/optimization.h"
#include "absl/time/time.h"

namespace millrace {

class MonotonicTime {
 public:
  // The zero of its clock, which for the system's is about when the machine started.
  constexpr MonotonicTime() = default;

  static constexpr MonotonicTime FromNanoseconds(int64_t nanoseconds) {
    return MonotonicTime(nanoseconds);
  }
  // Later than every other instant: the deadline of what may wait for ever.
  static constexpr MonotonicTime InfiniteFuture() {
    return MonotonicTime(std::numeric_limits<int64_t>::max());
  }

  constexpr int64_t nanoseconds() const { return nanoseconds_; }

  friend constexpr auto operator<=>(MonotonicTime, MonotonicTime) = default;

  // Sums saturate: an instant plus an infinite duration is InfiniteFuture(), and stays there.
  friend MonotonicTime operator+(MonotonicTime time, absl::Duration delta) {
    constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
    const int64_t add = absl::ToInt64Nanoseconds(delta);  // It saturates, and so does this.
    int64_t sum;
    const bool over = __builtin_add_overflow(time.nanoseconds_, add, &sum);
    if (ABSL_PREDICT_FALSE(over || time.nanoseconds_ == kMax || add == kMax)) {
      return add > 0 || time.nanoseconds_ == kMax
                 ? InfiniteFuture()
                 : FromNanoseconds(std::numeric_limits<int64_t>::min());
    }
    return FromNanoseconds(sum);
  }
  friend MonotonicTime operator-(MonotonicTime time, absl::Duration delta) { return time + -delta; }
  // What lies between two instants; infinite if just one of them is InfiniteFuture().
  friend absl::Duration operator-(MonotonicTime later, MonotonicTime earlier);

 private:
  explicit constexpr MonotonicTime(int64_t nanoseconds) : nanoseconds_(nanoseconds) {}

  int64_t nanoseconds_ = 0;
};

// Where instants come from. Tests give a clock of their own, and so own the time. Any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  // Never less than what it returned before.
  virtual MonotonicTime Now() const = 0;

  // CLOCK_MONOTONIC, see clock_gettime(2). Lives for ever.
  static const Clock& System();
};

}  // namespace millrace

#endif  // MILLRACE_BASE_MONOTONIC_TIME_H_
