// SPDX-License-Identifier: Apache-2.0
//
// FakeClock stands still until a test moves it. One thread.
//
//   FakeClock clock;
//   auto loop = EventLoop::Create({.clock = &clock}).value();
//   clock.Advance(absl::Seconds(60));

#ifndef MILLRACE_TESTS_SUPPORT_FAKE_CLOCK_H_
#define MILLRACE_TESTS_SUPPORT_FAKE_CLOCK_H_

#include "absl/time/time.h"
#include "base/monotonic_time.h"

namespace millrace {

class FakeClock final : public Clock {
 public:
  MonotonicTime Now() const override { return now_; }
  void Advance(absl::Duration delta) { now_ = now_ + delta; }

 private:
  MonotonicTime now_ = MonotonicTime::FromNanoseconds(1'000'000'000);
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_FAKE_CLOCK_H_
