// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/load.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/monotonic_time.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "base/thread_role.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/signal_watcher.h"
#include "net/timer_wheel.h"
#include "tools/loadgen/error_tally.h"
#include "tools/loadgen/load_session.h"
#include "tools/loadgen/load_tally.h"
#include "tools/loadgen/load_worker.h"
#include "tools/loadgen/pattern.h"
#include "tools/program/process.h"

namespace millrace {
namespace {

// Connections under way at once, over all threads: below the shortest backlog in use (128) on each
// of a few threads, and enough to open 10,000 in a second.
constexpr int kPendingMax = 256;
// What a process has open besides connections: loops, and what was there before.
constexpr int64_t kOtherDescriptors = 64;
constexpr int64_t kDescriptorsPerLoop = 5;

// The conductor: it sits on the caller's thread and a loop of its own, and tells the workers when
// to begin. They tell it, by posts, how far they are.
class LoadRun {
 public:
  LoadRun(const LoadOptions& options, OnLoadProgress on_progress, OnLoadInterrupt on_interrupt)
      : options_(options),
        on_progress_(std::move(on_progress)),
        on_interrupt_(std::move(on_interrupt)),
        pattern_(options.frame_bytes()) {}

  absl::StatusOr<LoadReport> Run() LOOP_ONLY;

 private:
  void StartWorker(size_t index) LOOP_ONLY;
  void OnOpened(int connected) LOOP_ONLY;
  void OnDone() LOOP_ONLY;
  absl::Status WatchSignals() LOOP_ONLY;
  void Interrupt() LOOP_ONLY;
  void Finish() LOOP_ONLY;
  // Runs a copy of `work` on the loop of each worker, with it.
  template <typename Work>
  void TellWorkers(const Work& work) LOOP_ONLY;
  void OnTick() LOOP_ONLY;
  LoadProgress::Phase PhaseAt(MonotonicTime now) const;
  LoadReport Report() const;

  const LoadOptions& options_;
  OnLoadProgress on_progress_;
  OnLoadInterrupt on_interrupt_;
  const Pattern pattern_;
  std::vector<std::unique_ptr<LoadTally>> tallies_;  // Read when the pool has stopped.
  std::vector<LoadWorker*> workers_;                 // Each for its own loop only.
  std::unique_ptr<EventLoop> main_;
  std::unique_ptr<EventLoopThreadPool> pool_;
  std::optional<Timer> ticker_;
  std::unique_ptr<SignalWatcher> signals_;

  size_t opened_ = 0, done_ = 0;  // Workers.
  int connected_ = 0;
  bool interrupted_ = false;
  MonotonicTime begin_ = MonotonicTime::InfiniteFuture();
  MonotonicTime end_ = MonotonicTime::InfiniteFuture();
  MonotonicTime last_tick_;
  int64_t last_messages_ = 0;
};

absl::StatusOr<LoadReport> LoadRun::Run() {
  const int threads =
      std::min(options_.threads == 0 ? AvailableCpus() : options_.threads, options_.connections);
  MILLRACE_RETURN_IF_ERROR(
      ReserveDescriptors(options_.connections + kOtherDescriptors + threads * kDescriptorsPerLoop,
                         absl::StrCat(options_.connections, " connections")));
  MILLRACE_ASSIGN_OR_RETURN(main_, EventLoop::Create());
  if (options_.ends_on_signal) MILLRACE_RETURN_IF_ERROR(WatchSignals());
  MILLRACE_ASSIGN_OR_RETURN(pool_,
                            EventLoopThreadPool::Start({.threads = threads, .name = "load"}));
  workers_.resize(pool_->size());
  for (size_t i = 0; i < pool_->size(); ++i) StartWorker(i);
  ticker_.emplace(main_->timers(), [this] {
    AssertOnLoop();
    OnTick();
  });
  last_tick_ = main_->clock().Now();
  if (on_progress_) ticker_->ArmEvery(absl::Seconds(1));
  main_->Run();
  ticker_.reset();
  signals_.reset();
  pool_->Stop();
  return Report();
}

absl::Status LoadRun::WatchSignals() {
  MILLRACE_ASSIGN_OR_RETURN(signals_,
                            SignalWatcher::Create(*main_, {SIGINT, SIGTERM}, [this](int number) {
                              AssertOnLoop();
                              if (signals_->heard() > 1) _exit(128 + number);
                              Interrupt();
                            }));
  return absl::OkStatus();
}

// After its end it is whole, and only waits.
void LoadRun::Interrupt() {
  interrupted_ = main_->clock().Now() < end_;
  if (on_interrupt_) on_interrupt_();
  Finish();
}

// What is under way may still come back; nothing new is begun, and nothing measured.
void LoadRun::Finish() {
  end_ = std::min(end_, main_->clock().Now());
  TellWorkers([](LoadWorker& worker) {
    AssertOnLoop();
    worker.Finish();
  });
}

void LoadRun::StartWorker(size_t index) {
  tallies_.push_back(std::make_unique<LoadTally>());
  const int threads = static_cast<int>(pool_->size());
  const LoadWorker::Share share = {.first = static_cast<int>(index),
                                   .step = threads,
                                   .pending_max = std::max(1, kPendingMax / threads)};
  pool_->loop(index).Post([this, index, share, tally = tallies_.back().get()] {
    AssertOnLoop();
    EventLoop& loop = *EventLoop::Current();
    LoadWorker::Listeners listeners = {
        .on_opened =
            [this](int connected) {
              main_->ref().Post([this, connected] {
                AssertOnLoop();
                OnOpened(connected);
              });
            },
        .on_done =
            [this] {
              main_->ref().Post([this] {
                AssertOnLoop();
                OnDone();
              });
            },
    };
    workers_[index] = &loop.Keep(std::make_unique<LoadWorker>(
        loop, LoadSession::Plan{options_, pattern_, *tally}, share, std::move(listeners)));
    workers_[index]->Start();
  });
}

template <typename Work>
void LoadRun::TellWorkers(const Work& work) {
  for (size_t i = 0; i < pool_->size(); ++i) {
    pool_->loop(i).Post([this, i, work] {
      AssertOnLoop();
      work(*workers_[i]);
    });
  }
}

void LoadRun::OnOpened(int connected) {
  connected_ += connected;
  if (++opened_ < workers_.size() || interrupted_) return;
  if (connected_ == 0) return Finish();  // All that is left may be retries in vain.
  const MonotonicTime start = main_->clock().Now();
  begin_ = start + options_.warmup;
  end_ = begin_ + options_.duration;
  const bool paced = options_.rate > 0;
  TellWorkers([paced, start, begin = begin_, end = end_](LoadWorker& worker) {
    AssertOnLoop();
    worker.Measure(begin, end);
    if (paced) worker.Pace(start);
  });
}

void LoadRun::OnDone() {
  if (++done_ < workers_.size()) return;
  end_ = std::min(end_, main_->clock().Now());  // They may all have failed before.
  main_->Stop();
}

LoadProgress::Phase LoadRun::PhaseAt(MonotonicTime now) const {
  if (now >= end_) return LoadProgress::Phase::kEnding;
  if (opened_ < workers_.size()) return LoadProgress::Phase::kConnecting;
  return now < begin_ ? LoadProgress::Phase::kWarmingUp : LoadProgress::Phase::kMeasuring;
}

void LoadRun::OnTick() {
  const MonotonicTime now = main_->clock().Now();
  LoadProgress progress = {.phase = PhaseAt(now)};
  const MonotonicTime until = std::min(now, end_);
  if (until > begin_) progress.measured = until - begin_;
  for (const std::unique_ptr<LoadTally>& tally : tallies_) {
    progress.connections += tally->live().connections.value();
    progress.messages += static_cast<int64_t>(tally->live().messages.value());
    progress.errors += static_cast<int64_t>(tally->live().errors.value());
  }
  progress.messages_per_second = static_cast<double>(progress.messages - last_messages_) /
                                 absl::ToDoubleSeconds(now - last_tick_);
  last_tick_ = now;
  last_messages_ = progress.messages;
  on_progress_(progress);
}

LoadReport LoadRun::Report() const {
  LoadReport report = {.mode = options_.mode,
                       .connections = options_.connections,
                       .message_bytes = options_.message_bytes,
                       .pipeline = options_.pipeline,
                       .rate = options_.rate,
                       .duration = options_.duration,
                       .interrupted = interrupted_,
                       .connected = connected_};
  if (begin_ < end_) report.measured = end_ - begin_;
  ErrorTally errors;
  for (const std::unique_ptr<LoadTally>& tally : tallies_) {
    report.messages += tally->messages();
    report.latency.Merge(tally->latency());
    report.throughput.Merge(tally->throughput());
    report.sent += tally->sent();
    report.unsent += tally->unsent();
    report.lateness.Merge(tally->lateness());
    report.client_busy = std::max(report.client_busy, tally->usage().busy());
    report.client_queued = std::max(report.client_queued, tally->usage().queued());
    errors.Merge(tally->error_tally());
  }
  report.errors = errors.counts();
  if (errors.first()) report.first_error = errors.first()->reason;
  return report;
}

}  // namespace

absl::StatusOr<LoadReport> RunLoad(const LoadOptions& options, OnLoadProgress on_progress,
                                   OnLoadInterrupt on_interrupt) {
  AssertOnLoop();
  MILLRACE_RETURN_IF_ERROR(options.Check());
  return LoadRun(options, std::move(on_progress), std::move(on_interrupt)).Run();
}

}  // namespace millrace
