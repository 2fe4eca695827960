// SPDX-License-Identifier: Apache-2.0
//
// What a loop costs beside what it is there for: a post, a turn, a wake-up.
//
//   bazel run //benchmarks:event_loop_benchmark

#include <sys/eventfd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/log/check.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "benchmark/benchmark.h"
#include "net/event_loop.h"

namespace millrace {
namespace {

// The loop runs on the first core that we may use, and who posts to it on the second: moved about
// by the scheduler, the figures would tell of that.
int LoopsCpu() { return AvailableCpuList().front(); }
int PostersCpu() {
  const std::vector<int> cpus = AvailableCpuList();
  return cpus[1 % cpus.size()];
}

// A loop that runs on a thread of its own.
class RunningLoop {
 public:
  RunningLoop() {
    absl::Notification born;
    thread_ = Thread::Start({.name = "loop", .cpu = LoopsCpu()}, [this, &born] {
                const std::unique_ptr<EventLoop> loop = EventLoop::Create().value();
                ref_ = loop->ref();
                born.Notify();
                loop->Run();
              }).value();
    born.WaitForNotification();
  }
  ~RunningLoop() { ref_.Stop(); }

  const LoopRef& ref() const { return ref_; }
  // Waits until all that was posted before has been run.
  void Flush() {
    absl::Notification done;
    CHECK(ref_.Post([&done] { done.Notify(); }));
    done.WaitForNotification();
  }

 private:
  LoopRef ref_;
  Thread thread_;
};

// The loop is kept busy by what it is given. Each time is a burst from each of `range(0)`
// producers, from the first post made to the last one run.
void BM_PostToBusyLoop(benchmark::State& state) {
  constexpr int64_t kBurst = 200'000;
  const int64_t producers = state.range(0);
  RunningLoop loop;
  int64_t run = 0;  // The loop's.
  const auto produce = [&] {
    for (int64_t i = 0; i < kBurst; ++i) CHECK(loop.ref().Post([&run] { ++run; }));
  };
  for (auto _ : state) {
    std::vector<Thread> threads;
    for (int64_t i = 0; i < producers; ++i) {
      threads.push_back(Thread::Start({.name = "producer", .cpu = PostersCpu()}, produce).value());
    }
    threads.clear();
    loop.Flush();
  }
  CHECK_EQ(run, static_cast<int64_t>(state.iterations()) * producers * kBurst);
  state.SetItemsProcessed(run);
}
BENCHMARK(BM_PostToBusyLoop)->ArgName("producers")->Arg(1)->Arg(4)->UseRealTime();

// Both ends on one thread: what a post costs without a second core, a hundred for each turn.
void BM_PostAndRunOnOneThread(benchmark::State& state) {
  constexpr int kPosts = 100;
  const auto loop = EventLoop::Create().value();
  const LoopRef ref = loop->ref();
  int64_t run = 0;
  for (auto _ : state) {
    for (int i = 0; i < kPosts; ++i) ref.Post([&run] { ++run; });
    loop->RunOnce(absl::ZeroDuration());
  }
  state.SetItemsProcessed(run);
}
BENCHMARK(BM_PostAndRunOnOneThread);

// A turn in which nothing happens: a system call, and the rest.
void BM_EmptyTurn(benchmark::State& state) {
  const auto loop = EventLoop::Create().value();
  for (auto _ : state) loop->RunOnce(absl::ZeroDuration());
}
BENCHMARK(BM_EmptyTurn);

// The same with a timer armed, so that the loop has to think about how long to sleep.
void BM_EmptyTurnWithATimer(benchmark::State& state) {
  const auto loop = EventLoop::Create().value();
  Timer timer(loop->timers(), [] {});
  timer.Arm(absl::Hours(1));
  for (auto _ : state) loop->RunOnce(absl::ZeroDuration());
}
BENCHMARK(BM_EmptyTurnWithATimer);

class AlwaysReady final : public IoHandler {
 public:
  AlwaysReady(EventLoop& loop, int64_t& heard)
      : heard_(heard),
        fd_(eventfd(1, EFD_CLOEXEC)),
        registration_(loop.Watch(fd_.get(), Io::kRead, *this).value()) {}

 private:
  void OnIo(Io) override {
    ++heard_;
    registration_.CallAtEndOfTurn();
  }
  void OnEndOfTurn() override { benchmark::ClobberMemory(); }

  int64_t& heard_;
  const UniqueFd fd_;
  Registration registration_;
};

// `range(0)` descriptors are ready in each turn, and each has its end of turn. Time is for an
// event.
void BM_TurnWithEvents(benchmark::State& state) {
  const auto loop = EventLoop::Create().value();
  int64_t heard = 0;
  std::vector<std::unique_ptr<AlwaysReady>> all;
  while (static_cast<int64_t>(all.size()) < state.range(0)) {
    all.push_back(std::make_unique<AlwaysReady>(*loop, heard));
  }
  while (state.KeepRunningBatch(state.range(0))) loop->RunOnce(absl::ZeroDuration());
  state.SetItemsProcessed(heard);
}
BENCHMARK(BM_TurnWithEvents)->ArgName("ready")->Arg(1)->Arg(16)->Arg(256);

// A watch begun and ended, with its two system calls.
void BM_WatchAndEnd(benchmark::State& state) {
  class Nobody final : public IoHandler {
    void OnIo(Io) override {}
  } nobody;
  const auto loop = EventLoop::Create().value();
  const UniqueFd fd(eventfd(0, EFD_CLOEXEC));
  for (auto _ : state) {
    const Registration registration = loop->Watch(fd.get(), Io::kRead, nobody).value();
    benchmark::DoNotOptimize(registration.token());
  }
}
BENCHMARK(BM_WatchAndEnd);

// From the post to a loop that sleeps until the poster, who spins meanwhile, sees that it has run.
void BM_WakeSleepingLoop(benchmark::State& state) {
  RunningLoop loop;
  std::atomic<int64_t> run{0};
  int64_t posted = 0;
  for (auto _ : state) {
    const MonotonicTime asleep = Clock::System().Now() + absl::Microseconds(50);
    while (Clock::System().Now() < asleep) {
    }
    const MonotonicTime start = Clock::System().Now();
    CHECK(loop.ref().Post([&run] { run.fetch_add(1, std::memory_order_release); }));
    ++posted;
    while (run.load(std::memory_order_acquire) != posted) {
    }
    state.SetIterationTime(absl::ToDoubleSeconds(Clock::System().Now() - start));
  }
}
BENCHMARK(BM_WakeSleepingLoop)->UseManualTime();

// With its two descriptors.
void BM_MakeAndDestroy(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(EventLoop::Create().value());
}
BENCHMARK(BM_MakeAndDestroy);

}  // namespace
}  // namespace millrace
