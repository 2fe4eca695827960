// SPDX-License-Identifier: Apache-2.0
//
// What it costs to hand work to a loop in another thread: the rows Posts/OPERATION/WHO[/PRODUCERS],
// the same for every library. One takes part with a loop that runs on a thread of its own:
//
//   class Loop {
//     Loop();                                      // Runs, on LoopsCpu().
//     ~Loop();                                     // Ends, and has joined the thread.
//     template <typename Work> void Post(Work work);  // Any thread. Runs work() on the loop's.
//   };
//   const bool kPosts = RegisterPosts<Loop>("libuv");

#ifndef MILLRACE_BENCHMARKS_POSTS_ROWS_H_
#define MILLRACE_BENCHMARKS_POSTS_ROWS_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/thread.h"
#include "benchmark/benchmark.h"

namespace millrace {

// The loop runs on the first core that we may use, and who posts to it on the second: moved about
// by the scheduler, the figures would tell of that.
inline int LoopsCpu() { return AvailableCpuList().front(); }
inline int PostersCpu() {
  const std::vector<int> cpus = AvailableCpuList();
  return cpus[1 % cpus.size()];
}

// An iteration is a burst of posts from each of N producers, from the first one made to the last
// one run. The loop is kept busy by it.
template <typename Loop>
void PostToBusyLoop(benchmark::State& state) {
  constexpr int64_t kBurst = 200'000;
  Loop loop;
  int64_t run = 0;  // The loop's.
  const auto produce = [&] {
    for (int64_t i = 0; i < kBurst; ++i) loop.Post([&run] { ++run; });
  };
  for (auto _ : state) {
    std::vector<Thread> producers;
    for (int64_t i = 0; i < state.range(0); ++i) {
      producers.push_back(
          Thread::Start({.name = "producer", .cpu = PostersCpu()}, produce).value());
    }
    producers.clear();
    absl::Notification done;
    loop.Post([&done] { done.Notify(); });
    done.WaitForNotification();
  }
  CHECK_EQ(run, static_cast<int64_t>(state.iterations()) * state.range(0) * kBurst);
  state.SetItemsProcessed(run);
}

// What wake-ups took, in microseconds.
class Samples {
 public:
  void Add(absl::Duration sample) { samples_.push_back(absl::ToDoubleMicroseconds(sample)); }
  // Requires: there are some.
  double Quantile(double part) {
    std::sort(samples_.begin(), samples_.end());
    return samples_[static_cast<size_t>(static_cast<double>(samples_.size() - 1) * part)];
  }

 private:
  std::vector<double> samples_;
};

// From the post to a loop that sleeps until the poster, who spins meanwhile, sees that it has run.
template <typename Loop>
void WakeUp(benchmark::State& state) {
  const auto now = [] { return Clock::System().Now(); };
  Loop loop;
  std::atomic<int64_t> run{0};
  Samples calls, whole;
  int64_t posted = 0;
  const auto post = [&] {
    for (auto _ : state) {
      // It is asleep by then.
      for (const MonotonicTime asleep = now() + absl::Microseconds(50); now() < asleep;) continue;
      const MonotonicTime start = now();
      loop.Post([&run] { run.fetch_add(1, std::memory_order_release); });
      calls.Add(now() - start);
      ++posted;
      while (run.load(std::memory_order_acquire) != posted) continue;
      const absl::Duration took = now() - start;
      whole.Add(took);
      state.SetIterationTime(absl::ToDoubleSeconds(took));
    }
  };
  Thread::Start({.name = "poster", .cpu = PostersCpu()}, post).value().Join();
  state.SetItemsProcessed(posted);
  state.counters["call_us"] = calls.Quantile(0.5);
  state.counters["p50_us"] = whole.Quantile(0.5);
  state.counters["p99_us"] = whole.Quantile(0.99);
}

template <typename Loop>
bool RegisterPosts(const std::string& who) {
  benchmark::RegisterBenchmark(("Posts/Busy/" + who).c_str(), PostToBusyLoop<Loop>)
      ->Arg(1)
      ->Arg(4)
      ->MeasureProcessCPUTime()  // Of both sides; on a busy machine, it says more than the rate.
      ->UseRealTime();
  benchmark::RegisterBenchmark(("Posts/WakeUp/" + who).c_str(), WakeUp<Loop>)->UseManualTime();
  return true;
}

}  // namespace millrace

#endif  // MILLRACE_BENCHMARKS_POSTS_ROWS_H_
