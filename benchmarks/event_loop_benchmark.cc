// SPDX-License-Identifier: Apache-2.0
//
// What a loop costs beside what it is there for: a post, a turn, a wake-up.
//
//   bazel run //benchmarks:event_loop_benchmark

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "benchmark/benchmark.h"
#include "benchmarks/posts_rows.h"
#include "benchmarks/turns_rows.h"
#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/limits.h"
#include "net/loop_ref.h"
#include "net/timer_wheel.h"

namespace millrace {
namespace {

// --- Beside other libraries ----------------------------------------------------------------------

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

  template <typename Work>
  void Post(Work work) {
    CHECK(ref_.Post(std::move(work)));
  }

 private:
  LoopRef ref_;
  Thread thread_;
};
const bool kPosts = RegisterPosts<RunningLoop>("Millrace");

class TurningLoop {
 public:
  explicit TurningLoop(const std::vector<int>& eventfds) {
    for (const int fd : eventfds) readers_.push_back(std::make_unique<Reader>(*this, fd));
  }
  void Turn() { loop_->RunOnce(absl::ZeroDuration()); }
  int64_t events() const { return events_; }

 private:
  class Reader final : public IoHandler {
   public:
    Reader(TurningLoop& owner, int fd)
        : owner_(owner), fd_(fd), registration_(owner.loop_->Watch(fd, Io::kRead, *this).value()) {}

   private:
    void OnIo(Io) override {
      ReadEventFd(fd_);
      ++owner_.events_;
    }

    TurningLoop& owner_;
    const int fd_;
    const Registration registration_;
  };

  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  std::vector<std::unique_ptr<Reader>> readers_;
  int64_t events_ = 0;
};
const bool kTurns = RegisterTurns<TurningLoop>("Millrace");

// What the system calls alone cost.
class RawTurns {
 public:
  explicit RawTurns(const std::vector<int>& eventfds) {
    for (const int fd : eventfds) {
      epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
      CHECK_EQ(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), 0);
    }
  }
  void Turn() {
    const int count =
        epoll_wait(epoll_.get(), ready_.data(), static_cast<int>(ready_.size()), /*timeout=*/0);
    for (int i = 0; i < count; ++i) ReadEventFd(ready_[i].data.fd);
    events_ += count;
  }
  int64_t events() const { return events_; }

 private:
  const UniqueFd epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  int64_t events_ = 0;
  std::array<epoll_event, kEventsPerTurnMax> ready_;
};
const bool kRawTurns = RegisterTurns<RawTurns>("raw");

// --- What only we have ---------------------------------------------------------------------------

// Both ends on one thread: what a post costs without a second core, a hundred for each turn.
void PostOnOneThread(benchmark::State& state) {
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
BENCHMARK(PostOnOneThread)->Name("Posts/OneThread/Millrace");

// With a timer armed, so that the loop has to think about how long to sleep.
void EmptyTurnWithTimer(benchmark::State& state) {
  const auto loop = EventLoop::Create().value();
  Timer timer(loop->timers(), [] {});
  timer.Arm(absl::Hours(1));
  for (auto _ : state) loop->RunOnce(absl::ZeroDuration());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(EmptyTurnWithTimer)->Name("Turns/EmptyWithTimer/Millrace");

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

// N descriptors are ready in each turn and stay so, and each has its end of turn. An item is an
// event.
void TurnWithEnds(benchmark::State& state) {
  const auto loop = EventLoop::Create().value();
  int64_t heard = 0;
  std::vector<std::unique_ptr<AlwaysReady>> all;
  while (static_cast<int64_t>(all.size()) < state.range(0)) {
    all.push_back(std::make_unique<AlwaysReady>(*loop, heard));
  }
  for (auto _ : state) loop->RunOnce(absl::ZeroDuration());
  state.SetItemsProcessed(heard);
}
BENCHMARK(TurnWithEnds)->Name("Turns/WithEnds/Millrace")->Arg(1)->Arg(16)->Arg(256);

// A watch begun and ended, with its two system calls.
void WatchAndEnd(benchmark::State& state) {
  class Nobody final : public IoHandler {
    void OnIo(Io) override {}
  } nobody;
  const auto loop = EventLoop::Create().value();
  const UniqueFd fd(eventfd(0, EFD_CLOEXEC));
  for (auto _ : state) {
    const Registration registration = loop->Watch(fd.get(), Io::kRead, nobody).value();
    benchmark::DoNotOptimize(registration.token());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(WatchAndEnd)->Name("Loop/WatchAndEnd/Millrace");

// With its two descriptors.
void MakeAndDestroy(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(EventLoop::Create().value());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(MakeAndDestroy)->Name("Loop/MakeAndDestroy/Millrace");

}  // namespace
}  // namespace millrace
