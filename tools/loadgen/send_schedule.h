// SPDX-License-Identifier: Apache-2.0
//
// SendSchedule says when each message of an open-loop run is due: at an even rate from `start` on,
// whatever became of those before. What is late is sent at once, but timed from when it was due, or
// a slow server would be asked less often just when it is slow. A value; any thread.
//
//   SendSchedule schedule(clock.Now(), 1000);
//   schedule.due(1500);                            // Exactly 1.5 s after the start.

#ifndef MILLRACE_TOOLS_LOADGEN_SEND_SCHEDULE_H_
#define MILLRACE_TOOLS_LOADGEN_SEND_SCHEDULE_H_

#include <algorithm>
#include <cstdint>

#include "absl/log/check.h"
#include "base/monotonic_time.h"

namespace millrace {

class SendSchedule {
 public:
  // Requires: rate > 0, in messages per second.
  SendSchedule(MonotonicTime start, int rate) : start_ns_(start.nanoseconds()), rate_(rate) {
    CHECK_GT(rate, 0);
  }

  // Rounded down to the nanosecond; errors do not add up. Requires: message >= 0.
  MonotonicTime due(int64_t message) const {
    // In two parts, since the product of all of it would not fit in 292 years of nanoseconds.
    const int64_t whole = message / rate_ * kSecond;
    const int64_t part = message % rate_ * kSecond / rate_;
    return MonotonicTime::FromNanoseconds(start_ns_ + whole + part);
  }

  // Whether `message` is one that may have been sent by now.
  bool IsDue(int64_t message, MonotonicTime now) const {
    return message >= 0 && message / rate_ <= (now.nanoseconds() - start_ns_) / kSecond &&
           due(message) <= now;
  }

  // How many messages are due before `time`.
  int64_t CountBefore(MonotonicTime time) const {
    const int64_t ns = std::max<int64_t>(0, time.nanoseconds() - start_ns_);
    return ns / kSecond * rate_ + (ns % kSecond * rate_ + kSecond - 1) / kSecond;
  }

 private:
  static constexpr int64_t kSecond = 1'000'000'000;

  int64_t start_ns_;
  int64_t rate_;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_SEND_SCHEDULE_H_
