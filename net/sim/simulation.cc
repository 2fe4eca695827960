// SPDX-License-Identifier: Apache-2.0
#include "net/sim/simulation.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "base/thread_role.h"
#include "net/loop_ref.h"

namespace millrace {
namespace {

constexpr int kTurnsWithoutTimeMax = 100'000;

int64_t WorkDone(const LoopCounters& counters) {
  return counters.events.value() + counters.timers_fired.value() + counters.posts_run.value();
}

}  // namespace

Simulation::Simulation(Options options)
    : options_(std::move(options)), random_(options_.seed), network_(clock_, random_) {
  SimNetwork::Install(&network_);
  network_.set_trace(options_.trace);
  network_.set_descriptors_max(options_.descriptors_max);
  for (size_t i = 0; i < kFirstWorker + options_.workers; ++i) MakeLoop(options_.loop);
  std::vector<LoopRef> workers;
  for (size_t i = kFirstWorker; i < loops_.size(); ++i) workers.push_back(loops_[i]->loop->ref());
  workers_ = EventLoopThreadPool::Adopt(std::move(workers), [this] { StepNested(); });
}

void Simulation::MakeLoop(EventLoop::Options options) {
  auto loop = std::make_unique<Loop>();
  options.clock = &clock_;
  options.poller = [this, &loop]() -> absl::StatusOr<std::unique_ptr<Poller>> {
    auto poller = std::make_unique<SimPoller>(network_);
    loop->poller = poller.get();
    return poller;
  };
  loop->loop = EventLoop::Create(std::move(options)).value();
  loops_.push_back(std::move(loop));
}

Simulation::~Simulation() {
  network_.set_faults({});
  for (const std::unique_ptr<Loop>& loop : loops_) loop->loop->Stop();
  workers_.reset();
  for (const std::unique_ptr<Loop>& loop : loops_) {
    while (loop->loop->RunOnce(absl::ZeroDuration())) {
    }
  }
  while (!loops_.empty()) loops_.pop_back();
  CHECK_EQ(network_.open_descriptors(), 0u) << "descriptors left open by seed " << options_.seed;
  SimNetwork::Install(nullptr);
}

void Simulation::SetFaults(const SimFaults& faults) {
  faults_began_ = true;
  network_.set_faults(faults);
}

void Simulation::BeginFaults() {
  if (!faults_began_) SetFaults(options_.faults);
}

void Simulation::RunFor(absl::Duration time) {
  BeginFaults();
  WakeAll();  // The test may have posted, or armed a timer.
  const MonotonicTime end = now() + time;
  while (Step(end)) {
  }
  // So that the loops know what time it is: the test may arm timers now.
  WakeAll();
  while (Loop* const loop = PickLoop()) Turn(*loop);
}

bool Simulation::RunUntil(absl::FunctionRef<bool()> done, absl::Duration at_most) {
  BeginFaults();
  WakeAll();
  const MonotonicTime end = now() + at_most;
  while (!done()) {
    if (!Step(end)) return done();
  }
  return true;
}

bool Simulation::Step(MonotonicTime limit) {
  if (network_.DeliverDue()) WakeAll();
  if (Loop* const loop = PickLoop()) {
    Turn(*loop);
    return true;
  }
  const MonotonicTime next = std::min(network_.NextEvent(), NextWake());
  const bool happens = next <= limit && next < MonotonicTime::InfiniteFuture();
  if (happens || limit < MonotonicTime::InfiniteFuture()) clock_.AdvanceTo(std::min(next, limit));
  if (happens) WakeAll();
  return happens;
}

// Somebody on the stack of one loop, or the test, waits for another. What he posted before need not
// have rung: so all loops look again before time passes.
void Simulation::StepNested() {
  WakeAll();
  // Who waits for workers is the main thread, also where it is not in a turn: so it takes none.
  const bool main_runs = std::exchange(loops_[kMain]->running, true);
  bool any = false;
  for (Loop* loop = PickLoop(); !any && loop != nullptr; loop = PickLoop()) any = Turn(*loop);
  if (!any) {
    CHECK(Step(now() + absl::Hours(1))) << "waiting for a worker that has nothing to do";
  }
  loops_[kMain]->running = main_runs;
}

Simulation::Loop* Simulation::PickLoop() {
  std::vector<Loop*> ready;
  for (const std::unique_ptr<Loop>& loop : loops_) {
    const bool may_run = !loop->running && !loop->ended && loop->stalled_until <= now();
    if (may_run && !loop->rests) ready.push_back(loop.get());
  }
  return ready.empty() ? nullptr : ready[random_.Below(ready.size())];
}

bool Simulation::Turn(Loop& loop) {
  CheckForSpinning();
  const int64_t before = WorkDone(loop.loop->counters());
  loop.running = true;
  loop.ended = !loop.loop->RunOnce(absl::InfiniteDuration());
  loop.running = false;
  const bool slept = loop.poller->sleeps_until() > now();
  const bool worked = WorkDone(loop.loop->counters()) != before;
  if (worked) NoteTurn(loop);
  if (worked || !slept) {
    WakeAll();
  } else {
    loop.rests = true;
  }
  const SimFaults& faults = network_.faults();
  if (worked && network_.Happens(&SimFaults::stall)) {
    loop.stalled_until = now() + faults.stall_max * random_.Unit();
  }
  return worked || !slept;
}

// So that it is seen, and part of the hash, which loop had its turn when.
void Simulation::NoteTurn(const Loop& loop) {
  std::string name = "main";
  if (&loop == loops_[kClient].get()) name = "client";
  for (size_t i = kFirstWorker; i < loops_.size(); ++i) {
    if (&loop == loops_[i].get()) name = absl::StrCat("worker ", i - kFirstWorker);
  }
  network_.Note(absl::StrCat(name, ": turn"), loop.loop->counters().turns.value());
}

void Simulation::WakeAll() {
  for (const std::unique_ptr<Loop>& loop : loops_) loop->rests = false;
}

// The earliest instant at which a loop wants to be woken, or may go on after a stall.
MonotonicTime Simulation::NextWake() const {
  MonotonicTime next = MonotonicTime::InfiniteFuture();
  for (const std::unique_ptr<Loop>& loop : loops_) {
    if (loop->running || loop->ended) continue;
    const MonotonicTime wake = loop->rests ? loop->poller->sleeps_until() : loop->stalled_until;
    next = std::min(next, std::max(wake, loop->stalled_until));
  }
  return next;
}

void Simulation::CheckForSpinning() {
  turns_at_once_ = now() == spinning_at_ ? turns_at_once_ + 1 : 0;
  spinning_at_ = now();
  CHECK_LT(turns_at_once_, kTurnsWithoutTimeMax) << "the loops spin; seed " << options_.seed;
}

}  // namespace millrace
