// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/load/chat_load.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/monotonic_time.h"
#include "base/status_macros.h"
#include "base/thread_role.h"
#include "examples/chat/load/chat_tally.h"
#include "examples/chat/load/chat_worker.h"
#include "examples/chat/load/room_log.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/signal_watcher.h"
#include "net/timer_wheel.h"
#include "tools/loadgen/error_tally.h"
#include "tools/loadgen/report_text.h"
#include "tools/loadgen/send_schedule.h"
#include "tools/program/process.h"

namespace millrace {
namespace {

// Members on their way in at once, over all threads: below the shortest backlog in use (128) on
// each of a few threads, and enough to let 10,000 in within a second.
constexpr int kPendingMax = 256;
// What a process has open besides members: loops, and what was there before.
constexpr int64_t kOtherDescriptors = 64;
constexpr int64_t kDescriptorsPerLoop = 5;
// From when all are in to when the first message is due: enough for the workers to hear of it.
constexpr absl::Duration kLead = absl::Milliseconds(20);

// The conductor: it sits on the caller's thread and a loop of its own, and takes the workers from
// phase to phase. They tell it, by posts, when they are through one.
class ChatLoadRun {
 public:
  ChatLoadRun(const ChatLoadOptions& options, OnChatLoadProgress on_progress)
      : options_(options),
        on_progress_(std::move(on_progress)),
        sent_(static_cast<size_t>(options.rooms)) {}

  absl::StatusOr<ChatLoadReport> Run() LOOP_ONLY;

 private:
  absl::Status WatchSignals() LOOP_ONLY;
  void StartWorker(int thread) LOOP_ONLY;
  ChatWorker::Listeners MakeListeners();
  // Runs `work` on the loop of each worker, with it.
  template <typename Work>
  void TellAll(const Work& work);
  void FinishAll();
  void OnJoined(int joined) LOOP_ONLY;
  void OnPrepared() LOOP_ONLY;
  void OnSent(const std::vector<int64_t>& sent) LOOP_ONLY;
  void OnDone() LOOP_ONLY;
  void OnSignal(int number) LOOP_ONLY;
  void OnTick() LOOP_ONLY;
  // Whether the last worker is through a phase.
  bool All(int& through) const { return ++through == threads(); }
  int threads() const { return options_.threads_used(); }
  ChatLoadProgress::Phase PhaseAt(MonotonicTime now) const;
  MonotonicTime Now() const { return main_->clock().Now(); }
  void CompareThreads();
  ChatLoadReport Report();

  const ChatLoadOptions& options_;
  OnChatLoadProgress on_progress_;
  std::vector<std::unique_ptr<ChatWorker::Share>> shares_;  // Read when the pool has stopped.
  std::vector<ChatWorker*> workers_;                        // Each for its own loop only.
  std::unique_ptr<EventLoop> main_;
  std::unique_ptr<EventLoopThreadPool> pool_;
  std::optional<Timer> ticker_;
  std::unique_ptr<SignalWatcher> signals_;

  int through_joining_ = 0, through_preparing_ = 0, through_sending_ = 0, done_ = 0;  // Workers.
  int joined_ = 0;
  std::vector<int64_t> sent_;  // To each room.
  MonotonicTime begin_ = MonotonicTime::InfiniteFuture();
  MonotonicTime end_ = MonotonicTime::InfiniteFuture();
  MonotonicTime last_tick_;
  int64_t last_deliveries_ = 0;
};

absl::StatusOr<ChatLoadReport> ChatLoadRun::Run() {
  MILLRACE_RETURN_IF_ERROR(
      ReserveDescriptors(options_.members + kOtherDescriptors + threads() * kDescriptorsPerLoop,
                         absl::StrCat(options_.members, " members")));
  MILLRACE_ASSIGN_OR_RETURN(main_, EventLoop::Create());
  if (options_.ends_on_signal) MILLRACE_RETURN_IF_ERROR(WatchSignals());
  MILLRACE_ASSIGN_OR_RETURN(pool_,
                            EventLoopThreadPool::Start({.threads = threads(), .name = "load"}));
  workers_.resize(pool_->size());
  for (int thread = 0; thread < threads(); ++thread) StartWorker(thread);
  ticker_.emplace(main_->timers(), [this] {
    AssertOnLoop();
    OnTick();
  });
  last_tick_ = Now();
  if (on_progress_) ticker_->ArmEvery(absl::Seconds(1));
  main_->Run();
  ticker_.reset();
  signals_.reset();
  pool_->Stop();
  CompareThreads();
  return Report();
}

absl::Status ChatLoadRun::WatchSignals() {
  MILLRACE_ASSIGN_OR_RETURN(signals_,
                            SignalWatcher::Create(*main_, {SIGINT, SIGTERM}, [this](int number) {
                              AssertOnLoop();
                              OnSignal(number);
                            }));
  return absl::OkStatus();
}

void ChatLoadRun::StartWorker(int thread) {
  shares_.push_back(std::make_unique<ChatWorker::Share>());
  ChatWorker::Share& share = *shares_.back();
  share.thread = thread;
  share.pending_max = std::max(1, kPendingMax / threads());
  pool_->loop(static_cast<size_t>(thread)).Post([this, &share] {
    AssertOnLoop();
    EventLoop& loop = *EventLoop::Current();
    ChatWorker*& worker = workers_[static_cast<size_t>(share.thread)];
    worker = &loop.Keep(std::make_unique<ChatWorker>(loop, options_, share, MakeListeners()));
    worker->Join();
  });
}

ChatWorker::Listeners ChatLoadRun::MakeListeners() {
  const auto post = [this](absl::AnyInvocable<void() &&> work) {
    main_->ref().Post(std::move(work));
  };
  return {.on_joined =
              [this, post](int joined) {
                post([this, joined] {
                  AssertOnLoop();
                  OnJoined(joined);
                });
              },
          .on_prepared =
              [this, post] {
                post([this] {
                  AssertOnLoop();
                  OnPrepared();
                });
              },
          .on_sent =
              [this, post](std::vector<int64_t> sent) {
                post([this, sent = std::move(sent)] {
                  AssertOnLoop();
                  OnSent(sent);
                });
              },
          .on_done =
              [this, post] {
                post([this] {
                  AssertOnLoop();
                  OnDone();
                });
              }};
}

template <typename Work>
void ChatLoadRun::TellAll(const Work& work) {
  for (size_t i = 0; i < pool_->size(); ++i) {
    pool_->loop(i).Post([this, i, work] {
      AssertOnLoop();
      work(*workers_[i]);
    });
  }
}

void ChatLoadRun::FinishAll() {
  TellAll([](ChatWorker& worker) {
    AssertOnLoop();
    worker.Finish();
  });
}

// Without one of them the figures would be of another load than was asked for.
void ChatLoadRun::OnJoined(int joined) {
  joined_ += joined;
  if (!All(through_joining_)) return;
  if (joined_ < options_.members) return FinishAll();
  const MonotonicTime start = Now() + kLead;
  const SendSchedule schedule(start, options_.rate);
  begin_ = start + options_.warmup;
  end_ = begin_ + options_.duration;
  TellAll([schedule, begin = begin_, end = end_](ChatWorker& worker) {
    AssertOnLoop();
    worker.Prepare(schedule, begin, end);
  });
}

// Now that each could judge what the others send.
void ChatLoadRun::OnPrepared() {
  if (!All(through_preparing_)) return;
  TellAll([](ChatWorker& worker) {
    AssertOnLoop();
    worker.Send();
  });
}

void ChatLoadRun::OnSent(const std::vector<int64_t>& sent) {
  for (size_t room = 0; room < sent.size(); ++room) sent_[room] += sent[room];
  if (!All(through_sending_)) return;
  TellAll([sent = sent_](ChatWorker& worker) {
    AssertOnLoop();
    worker.Await(sent);
  });
}

void ChatLoadRun::OnDone() {
  if (!All(done_)) return;
  end_ = std::min(end_, Now());  // They may all have failed before.
  main_->Stop();
}

// What is under way may still come; nothing new is sent.
void ChatLoadRun::OnSignal(int number) {
  if (signals_->heard() > 1) _exit(128 + number);
  if (through_preparing_ < threads()) return FinishAll();
  end_ = std::min(end_, Now());
  TellAll([end = end_](ChatWorker& worker) {
    AssertOnLoop();
    worker.EndBy(end);
  });
}

ChatLoadProgress::Phase ChatLoadRun::PhaseAt(MonotonicTime now) const {
  if (begin_ == MonotonicTime::InfiniteFuture()) return ChatLoadProgress::Phase::kJoining;
  if (now < begin_) return ChatLoadProgress::Phase::kWarmingUp;
  return now < end_ ? ChatLoadProgress::Phase::kMeasuring : ChatLoadProgress::Phase::kEnding;
}

void ChatLoadRun::OnTick() {
  const MonotonicTime now = Now();
  ChatLoadProgress progress = {.phase = PhaseAt(now)};
  if (now > begin_) progress.measured = std::min(now, end_) - begin_;
  int64_t deliveries = 0;
  for (const std::unique_ptr<ChatWorker::Share>& share : shares_) {
    const ChatTally::Live& live = share->tally.live();
    progress.members += live.members.value();
    progress.errors += live.errors.value();
    deliveries += static_cast<int64_t>(live.deliveries.value());
  }
  progress.deliveries_per_second =
      static_cast<double>(deliveries - last_deliveries_) / absl::ToDoubleSeconds(now - last_tick_);
  last_tick_ = now;
  last_deliveries_ = deliveries;
  on_progress_(progress);
}

// A room that is spread over threads has a log on each.
void ChatLoadRun::CompareThreads() {
  for (int room = 0; room < options_.rooms; ++room) {
    const auto log_of = [room](const std::unique_ptr<ChatWorker::Share>& share) {
      return share->logs.empty() ? nullptr : share->logs[static_cast<size_t>(room)].get();
    };
    const RoomLog* first = nullptr;
    for (const std::unique_ptr<ChatWorker::Share>& share : shares_) {
      const RoomLog* const log = log_of(share);
      if (log == nullptr) continue;
      if (first != nullptr) CompareLogs(options_, *first, *log, Now(), share->tally.errors());
      if (first == nullptr || !first->clean()) first = log;
    }
  }
}

ChatLoadReport ChatLoadRun::Report() {
  ChatLoadReport report = {.members = options_.members,
                           .rooms = options_.rooms,
                           .rate = options_.rate,
                           .message_bytes = options_.message_bytes};
  ErrorTally errors;
  MonotonicTime last_sent = std::min(end_, Now()), last_delivered = last_sent;
  for (const std::unique_ptr<ChatWorker::Share>& share : shares_) {
    const ChatTally& tally = share->tally;
    report.messages += tally.messages();
    report.deliveries += tally.deliveries();
    report.bytes += tally.bytes();
    report.notices += tally.notices();
    report.latency.Merge(tally.latency());
    errors.Merge(tally.errors());
    last_sent = std::max(last_sent, tally.last_sent());
    last_delivered = std::max(last_delivered, tally.last_delivered());
  }
  if (begin_ < last_sent) report.sending = last_sent - begin_;
  if (begin_ < last_delivered) report.measured = last_delivered - begin_;
  report.errors = errors.counts();
  if (errors.first()) report.first_error = errors.first()->reason;
  return report;
}

std::string PhaseText(const ChatLoadProgress& progress, absl::Duration duration) {
  switch (progress.phase) {
    case ChatLoadProgress::Phase::kJoining:
      return "joining";
    case ChatLoadProgress::Phase::kWarmingUp:
      return "warming up";
    case ChatLoadProgress::Phase::kMeasuring:
      return absl::StrFormat("%.1f of %.1f s", absl::ToDoubleSeconds(progress.measured),
                             absl::ToDoubleSeconds(duration));
    case ChatLoadProgress::Phase::kEnding:
      return "ending";
  }
  return "";
}

}  // namespace

std::string ChatLoadProgress::ToLine(absl::Duration duration) const {
  std::string line =
      absl::StrFormat("%-12s %8s members %12s deliveries/s", PhaseText(*this, duration),
                      WithCommas(members), WithCommas(std::llround(deliveries_per_second)));
  if (errors > 0) absl::StrAppend(&line, "  ", WithCommas(errors), " errors");
  return line;
}

absl::StatusOr<ChatLoadReport> RunChatLoad(const ChatLoadOptions& options,
                                           OnChatLoadProgress on_progress) {
  AssertOnLoop();
  MILLRACE_RETURN_IF_ERROR(options.Check());
  return ChatLoadRun(options, std::move(on_progress)).Run();
}

}  // namespace millrace
