// SPDX-License-Identifier: Apache-2.0
#include "net/event_loop_thread_pool.h"

#include <optional>
#include <utility>

#include "absl/base/const_init.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/status_macros.h"

namespace millrace {
namespace {

// What a worker tells the one who starts it: its loop, or why it has none.
struct Birth {
  absl::StatusOr<LoopRef> loop = absl::UnknownError("not born yet");
  absl::Notification done;
};

// Whose worker this thread is. (Which loop is under way would not tell: a worker may be inside a
// loop of its own making.)
thread_local const EventLoopThreadPool* pool_of_this_thread = nullptr;

void RunWorker(const EventLoopThreadPool* pool, const EventLoop::Options& options, Birth& birth) {
  pool_of_this_thread = pool;
  absl::StatusOr<std::unique_ptr<EventLoop>> loop = EventLoop::Create(options);
  birth.loop = loop.ok() ? absl::StatusOr<LoopRef>((*loop)->ref()) : loop.status();
  birth.done.Notify();  // From here on `birth` and `options` are gone.
  if (loop.ok()) (*loop)->Run();
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventLoopThreadPool>> EventLoopThreadPool::Start(Options options) {
  if (options.threads < 0) {
    return absl::InvalidArgumentError(absl::StrCat("threads must not be ", options.threads));
  }
  const int threads = options.threads == 0 ? AvailableCpus() : options.threads;
  auto pool = absl::WrapUnique(new EventLoopThreadPool());
  for (int i = 0; i < threads; ++i) MILLRACE_RETURN_IF_ERROR(pool->StartWorker(options, i));
  return pool;
}

absl::Status EventLoopThreadPool::StartWorker(const Options& options, int index) {
  std::optional<int> cpu;
  if (options.pin_to_cores) {
    const std::vector<int> cpus = AvailableCpuList();
    cpu = cpus[index % cpus.size()];
  }
  Birth birth;
  auto worker = std::make_unique<Worker>();
  EventLoop::Options loop = options.loop;
  loop.name = absl::StrCat(options.name, index);
  MILLRACE_ASSIGN_OR_RETURN(worker->thread,
                            Thread::Start({.name = loop.name, .cpu = cpu},
                                          [this, &loop, &birth] { RunWorker(this, loop, birth); }));
  birth.done.WaitForNotification();
  MILLRACE_ASSIGN_OR_RETURN(worker->loop, std::move(birth.loop));
  workers_.push_back(std::move(worker));
  return absl::OkStatus();
}

std::unique_ptr<EventLoopThreadPool> EventLoopThreadPool::Adopt(std::vector<LoopRef> loops,
                                                                absl::AnyInvocable<void()> step) {
  auto pool = absl::WrapUnique(new EventLoopThreadPool());
  for (LoopRef& loop : loops) {
    auto worker = std::make_unique<Worker>();
    worker->loop = std::move(loop);
    pool->workers_.push_back(std::move(worker));
  }
  pool->step_ = std::move(step);
  return pool;
}

void EventLoopThreadPool::Wait(const absl::Notification& done) {
  if (!step_) return done.WaitForNotification();
  while (!done.HasBeenNotified()) step_();
}

void EventLoopThreadPool::Stop() {
  for (const std::unique_ptr<Worker>& worker : workers_) worker->loop.Stop();
  if (pool_of_this_thread == this) return;
  absl::MutexLock lock(&join_mutex_);
  for (const std::unique_ptr<Worker>& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.Join();
  }
}

}  // namespace millrace
