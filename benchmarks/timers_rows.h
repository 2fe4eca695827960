// SPDX-License-Identifier: Apache-2.0
//
// What timers cost while N of them are armed: the rows Timers/OPERATION/WHO/N, the same for every
// library. One takes part with a class of N timers, numbered from 0, that belongs to one thread:
//
//   class Timers {
//     explicit Timers(int64_t count);
//     static Delay DelayOf(std::chrono::milliseconds delay);  // In its own words.
//     void Arm(int64_t timer, const Delay& delay);            // Whether it is armed or not.
//     void Cancel(int64_t timer);
//     void PassTime(std::chrono::milliseconds time);          // And a turn of its loop.
//     int64_t fired() const;
//   };
//   const bool kTimers = RegisterTimers<Timers>("libuv");
//
// Time passes when it is told to: nobody waits for a timer here, so real_time says nothing.

#ifndef MILLRACE_BENCHMARKS_TIMERS_ROWS_H_
#define MILLRACE_BENCHMARKS_TIMERS_ROWS_H_

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"

namespace millrace {

inline constexpr std::chrono::minutes kFarMin(1), kFarMax(60);

// So few that they stay in the nearest cache.
inline constexpr size_t kFewDelays = 1024;

template <typename Timers>
auto RandomDelays(size_t count, std::chrono::milliseconds min, std::chrono::milliseconds max) {
  std::mt19937_64 rng(1);
  std::uniform_int_distribution<int64_t> any(min.count(), max.count());
  std::vector<decltype(Timers::DelayOf(min))> delays;
  delays.reserve(count);
  while (delays.size() < count) {
    delays.push_back(Timers::DelayOf(std::chrono::milliseconds(any(rng))));
  }
  return delays;
}

template <typename Timers, typename Delays>
void ArmAll(Timers& timers, const Delays& delays) {
  for (size_t i = 0; i < delays.size(); ++i) timers.Arm(static_cast<int64_t>(i), delays[i]);
}

// Any of `count` timers, at next to no cost.
class RandomTimer {
 public:
  explicit RandomTimer(int64_t count) : count_(static_cast<uint64_t>(count)) {}
  int64_t Next() {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return static_cast<int64_t>((state_ >> 32) * count_ >> 32);
  }

 private:
  const uint64_t count_;
  uint64_t state_ = 1;
};

// One more than N is armed and cancelled.
template <typename Timers>
void AddCancel(benchmark::State& state) {
  const int64_t count = state.range(0);
  Timers timers(count + 1);
  ArmAll(timers, RandomDelays<Timers>(count, kFarMin, kFarMax));
  const auto delays = RandomDelays<Timers>(kFewDelays, kFarMin, kFarMax);
  size_t i = 0;
  for (auto _ : state) {
    timers.Arm(count, delays[i++ % kFewDelays]);
    benchmark::ClobberMemory();
    timers.Cancel(count);
  }
  state.SetItemsProcessed(state.iterations());
}

// A random one of N is armed anew, as likely sooner as later.
template <typename Timers>
void Rearm(benchmark::State& state) {
  Timers timers(state.range(0));
  ArmAll(timers, RandomDelays<Timers>(state.range(0), kFarMin, kFarMax));
  const auto delays = RandomDelays<Timers>(kFewDelays, kFarMin, kFarMax);
  RandomTimer random(state.range(0));
  size_t i = 0;
  for (auto _ : state) timers.Arm(random.Next(), delays[i++ % kFewDelays]);
  state.SetItemsProcessed(state.iterations());
}

// A random one of N is put off to a minute from now, as idle timeouts are: a message comes every
// 10 us, and the loop turns every millisecond.
template <typename Timers>
void PutOff(benchmark::State& state) {
  Timers timers(state.range(0));
  ArmAll(timers, RandomDelays<Timers>(state.range(0), std::chrono::milliseconds(1), kFarMin));
  const auto delay = Timers::DelayOf(kFarMin);
  RandomTimer random(state.range(0));
  size_t i = 0;
  for (auto _ : state) {
    timers.Arm(random.Next(), delay);
    if (++i % 100 == 0) timers.PassTime(std::chrono::milliseconds(1));
  }
  state.SetItemsProcessed(state.iterations());
}

// N are armed for the next 100 ms, and the loop turns every millisecond until all have fired.
template <typename Timers>
void AddFire(benchmark::State& state) {
  const int64_t count = state.range(0);
  constexpr std::chrono::milliseconds kMin(1), kMax(100);
  Timers timers(count);
  const auto delays = RandomDelays<Timers>(count, kMin, kMax);
  int64_t armed = 0;
  for (auto _ : state) {
    ArmAll(timers, delays);
    armed += count;
    // A clock that ticks coarsely may be some turns behind.
    for (int turn = 0; timers.fired() < armed && turn < 200; ++turn) timers.PassTime(kMin);
  }
  if (timers.fired() != armed) state.SkipWithError("not all fired");
  state.SetItemsProcessed(armed);
}

template <typename Timers>
bool RegisterTimers(const std::string& who) {
  const auto add = [&who](const std::string& operation, void (*run)(benchmark::State&)) {
    benchmark::RegisterBenchmark(("Timers/" + operation + "/" + who).c_str(), run)
        ->Arg(1'000)
        ->Arg(100'000)
        ->Arg(1'000'000);
  };
  add("AddCancel", AddCancel<Timers>);
  add("Rearm", Rearm<Timers>);
  add("PutOff", PutOff<Timers>);
  add("AddFire", AddFire<Timers>);
  return true;
}

}  // namespace millrace

#endif  // MILLRACE_BENCHMARKS_TIMERS_ROWS_H_
