// SPDX-License-Identifier: Apache-2.0
//
// EventLoopThreadPool runs one EventLoop on each of its threads, and says which is next. It owns
// both; its destructor stops the loops in order and joins the threads. Any thread may use it, but
// for the destructor, which is not for its own workers.
//
//   auto workers = EventLoopThreadPool::Start({.threads = 4}).value();
//   workers->Next().Post([] { LOG(INFO) << "on some worker"; });
//   workers->ForKey(absl::HashOf(user)).Post(...);     // The same user, the same worker.

#ifndef MILLRACE_NET_EVENT_LOOP_THREAD_POOL_H_
#define MILLRACE_NET_EVENT_LOOP_THREAD_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/thread.h"
#include "net/event_loop.h"
#include "net/loop_ref.h"

namespace millrace {

class EventLoopThreadPool {
 public:
  struct Options {
    int threads = 0;              // 0: one for each core that this process may use.
    std::string name = "worker";  // Threads and loops are called worker0, ...: see them in top -H.
    // Whether the i-th thread stays on the i-th core that this process may use. Good for benchmarks
    // and machines of one's own; bad where others have pinned theirs to the same cores.
    bool pin_to_cores = false;
    EventLoop::Options loop = {};  // Its name is not used.
  };

  // Returns once all loops are there. Fails, and leaves nothing behind, if one cannot be made.
  static absl::StatusOr<std::unique_ptr<EventLoopThreadPool>> Start(Options options);
  static absl::StatusOr<std::unique_ptr<EventLoopThreadPool>> Start() { return Start(Options()); }

  // A pool of loops that somebody else runs, on the thread that uses the pool: in a simulation, or
  // inside a foreign loop. `step` has some of them take a turn, and is called while someone waits
  // for them; its caller may be on the stack of another loop, so it passes over that one.
  static std::unique_ptr<EventLoopThreadPool> Adopt(std::vector<LoopRef> loops,
                                                    absl::AnyInvocable<void()> step);

  EventLoopThreadPool(const EventLoopThreadPool&) = delete;
  EventLoopThreadPool& operator=(const EventLoopThreadPool&) = delete;
  ~EventLoopThreadPool() { Stop(); }

  size_t size() const { return workers_.size(); }
  const LoopRef& loop(size_t index) const { return workers_[index]->loop; }

  // Round-robin.
  const LoopRef& Next() {
    return loop(next_.fetch_add(1, std::memory_order_relaxed) % workers_.size());
  }
  // The same loop for the same key, which should be a good hash.
  const LoopRef& ForKey(uint64_t key) const { return loop(key % workers_.size()); }

  // Waits until a loop of the pool has notified. Not for its own workers.
  void Wait(const absl::Notification& done);

  // Stops the loops in order, and joins their threads: what they had accepted has run by then. May
  // be called again and from several threads: all of them wait for the end. On a worker of its own
  // it only asks all to stop, since a thread cannot wait for itself.
  void Stop() ABSL_LOCKS_EXCLUDED(join_mutex_);

 private:
  struct Worker {
    LoopRef loop;
    Thread thread;
  };

  EventLoopThreadPool() = default;
  absl::Status StartWorker(const Options& options, int index);

  std::vector<std::unique_ptr<Worker>> workers_;  // Does not change once started.
  absl::AnyInvocable<void()> step_;               // Of adopted loops.
  std::atomic<size_t> next_{0};
  absl::Mutex join_mutex_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_EVENT_LOOP_THREAD_POOL_H_
