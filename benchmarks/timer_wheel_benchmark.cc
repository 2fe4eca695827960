// SPDX-License-Identifier: Apache-2.0
//
// What a timer costs while N of them are armed, in a loop's wheel.
//
//   bazel run //benchmarks:timer_wheel_benchmark

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "benchmark/benchmark.h"
#include "benchmarks/timers_rows.h"
#include "net/event_loop.h"
#include "net/timer_wheel.h"

namespace millrace {
namespace {

// The smallest user of a wheel.
class Entry final : public TimerEntry {
 public:
  Entry(TimerWheel& wheel, int64_t& fired) : wheel_(wheel), fired_(fired) {}
  void Arm(absl::Duration delay) { wheel_.ArmAfter(*this, delay); }

 private:
  void OnTimer() override { ++fired_; }

  TimerWheel& wheel_;
  int64_t& fired_;
};

// The usual one.
class CountingTimer {
 public:
  CountingTimer(TimerWheel& wheel, int64_t& fired) : timer_(wheel, [&fired] { ++fired; }) {}
  void Arm(absl::Duration delay) { timer_.Arm(delay); }
  void Cancel() { timer_.Cancel(); }

 private:
  Timer timer_;
};

class PassingClock final : public Clock {
 public:
  MonotonicTime Now() const override { return now; }
  MonotonicTime now = MonotonicTime() + absl::Hours(1000);
};

template <typename T>
class LoopTimers {
 public:
  explicit LoopTimers(int64_t count) : timers_(count) {
    for (auto& timer : timers_) timer.emplace(loop_->timers(), fired_);
  }
  static absl::Duration DelayOf(std::chrono::milliseconds delay) { return absl::FromChrono(delay); }
  void Arm(int64_t timer, absl::Duration delay) { timers_[timer]->Arm(delay); }
  void Cancel(int64_t timer) { timers_[timer]->Cancel(); }
  void PassTime(std::chrono::milliseconds time) {
    clock_.now = clock_.now + absl::FromChrono(time);
    loop_->RunOnce(absl::ZeroDuration());
  }
  int64_t fired() const { return fired_; }

 private:
  PassingClock clock_;
  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create({.clock = &clock_}).value();
  int64_t fired_ = 0;
  std::vector<std::optional<T>> timers_;
};

const bool kTimers = RegisterTimers<LoopTimers<CountingTimer>>("Millrace");
const bool kEntries = RegisterTimers<LoopTimers<Entry>>("MillraceEntry");

}  // namespace
}  // namespace millrace
