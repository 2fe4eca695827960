// SPDX-License-Identifier: Apache-2.0
//
// What a timer costs while N of them are armed; the times shown are for one.
//
//   bazel run //benchmarks:timer_wheel_benchmark

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "benchmark/benchmark.h"
#include "net/timer_wheel.h"

namespace millrace {
namespace {

constexpr absl::Duration kFarMin = absl::Minutes(1);
constexpr absl::Duration kFarMax = absl::Minutes(60);

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

// A wheel, `count` timers, and random numbers that cost next to nothing.
template <typename T>
class Outstanding {
 public:
  explicit Outstanding(int64_t count) : timers_(count) {
    for (auto& timer : timers_) timer.emplace(wheel_, fired_);
  }

  std::vector<absl::Duration> RandomDelays(int64_t count, absl::Duration min, absl::Duration max) {
    std::uniform_int_distribution<int64_t> any(absl::ToInt64Milliseconds(min),
                                               absl::ToInt64Milliseconds(max));
    std::vector<absl::Duration> delays;
    for (int64_t i = 0; i < count; ++i) delays.push_back(absl::Milliseconds(any(rng_)));
    return delays;
  }

  void ArmAll(const std::vector<absl::Duration>& delays) {
    for (size_t i = 0; i < timers_.size(); ++i) timers_[i]->Arm(delays[i]);
  }

  T& RandomTimer() {
    lcg_ = lcg_ * 6364136223846793005 + 1442695040888963407;
    return *timers_[(lcg_ >> 32) * timers_.size() >> 32];
  }

  void PassTime(absl::Duration time) {
    wheel_.SetNow(wheel_.now() + time);
    wheel_.FireDue();
  }

  TimerWheel& wheel() { return wheel_; }
  int64_t& fired() { return fired_; }

 private:
  std::mt19937_64 rng_{1};
  uint64_t lcg_ = 1;
  int64_t fired_ = 0;
  TimerWheel wheel_{MonotonicTime() + absl::Hours(1000)};
  std::vector<std::optional<T>> timers_;
};

// Few enough to stay in the nearest cache.
constexpr int64_t kDelays = 1024;

// One more is armed and cancelled.
template <typename T>
void BM_ArmThenCancel(benchmark::State& state) {
  Outstanding<T> others(state.range(0));
  others.ArmAll(others.RandomDelays(state.range(0), kFarMin, kFarMax));
  const std::vector<absl::Duration> delays = others.RandomDelays(kDelays, kFarMin, kFarMax);
  T timer(others.wheel(), others.fired());
  size_t i = 0;
  for (auto _ : state) {
    timer.Arm(delays[i++ % kDelays]);
    benchmark::ClobberMemory();
    timer.Cancel();
  }
}

// A random one is armed anew, as likely sooner as later.
template <typename T>
void BM_Rearm(benchmark::State& state) {
  Outstanding<T> all(state.range(0));
  all.ArmAll(all.RandomDelays(state.range(0), kFarMin, kFarMax));
  const std::vector<absl::Duration> delays = all.RandomDelays(kDelays, kFarMin, kFarMax);
  size_t i = 0;
  for (auto _ : state) all.RandomTimer().Arm(delays[i++ % kDelays]);
}

// A random one is put off to a minute from now, like an idle timeout at each message; a message
// comes every 10 us, and the loop turns every millisecond.
template <typename T>
void BM_PutOff(benchmark::State& state) {
  Outstanding<T> all(state.range(0));
  all.ArmAll(all.RandomDelays(state.range(0), absl::ZeroDuration(), kFarMin));
  size_t i = 0;
  for (auto _ : state) {
    all.RandomTimer().Arm(kFarMin);
    if (++i % 100 == 0) all.PassTime(absl::Milliseconds(1));
  }
}

// All are armed for the next 100 ms; then the loop turns every `step` until all have fired.
template <typename T>
void ArmThenFire(benchmark::State& state, absl::Duration step) {
  const int64_t count = state.range(0);
  const absl::Duration min = absl::Milliseconds(1), max = absl::Milliseconds(100);
  Outstanding<T> all(count);
  const std::vector<absl::Duration> delays = all.RandomDelays(count, min, max);
  while (state.KeepRunningBatch(count)) {
    all.ArmAll(delays);
    for (absl::Duration passed; passed < max; passed += step) all.PassTime(step);
  }
  if (all.fired() != static_cast<int64_t>(state.iterations())) state.SkipWithError("not all fired");
}

template <typename T>
void BM_ArmThenFireEachMillisecond(benchmark::State& state) {
  ArmThenFire<T>(state, absl::Milliseconds(1));
}

template <typename T>
void BM_ArmThenFireAtOnce(benchmark::State& state) {
  ArmThenFire<T>(state, absl::Milliseconds(100));
}

#define MILLRACE_TIMER_BENCHMARK(name)                                       \
  BENCHMARK_TEMPLATE(name, Entry)->Arg(1'000)->Arg(100'000)->Arg(1'000'000); \
  BENCHMARK_TEMPLATE(name, CountingTimer)->Arg(1'000)->Arg(100'000)->Arg(1'000'000)

MILLRACE_TIMER_BENCHMARK(BM_ArmThenCancel);
MILLRACE_TIMER_BENCHMARK(BM_Rearm);
MILLRACE_TIMER_BENCHMARK(BM_PutOff);
MILLRACE_TIMER_BENCHMARK(BM_ArmThenFireEachMillisecond);
MILLRACE_TIMER_BENCHMARK(BM_ArmThenFireAtOnce);

}  // namespace
}  // namespace millrace
