// SPDX-License-Identifier: Apache-2.0
//
// Thread runs a function on a thread of its own: it has a name that top(1) and gdb show, may be
// pinned to a CPU, and is joined by its destructor, so that what the function borrows from the
// owner only has to be declared before. Move-only; one thread at a time may touch it, its own not
// at all.
//
//   absl::StatusOr<Thread> worker = Thread::Start({.name = "worker-3", .cpu = 3}, [this] { Work();
//   }); if (!worker.ok()) return worker.status();
//
// It does not tell the function to stop: that is the owner's affair, before the join.

#ifndef MILLRACE_BASE_THREAD_H_
#define MILLRACE_BASE_THREAD_H_

#include <pthread.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

namespace millrace {

class Thread {
 public:
  struct Options {
    // What tools show; the kernel keeps its first 15 bytes.
    std::string name = "";
    // The CPU to stay on. One that cannot be had is logged, and the thread runs anywhere: a server
    // on the wrong CPU is better than none.
    std::optional<int> cpu = std::nullopt;
    // Leaves signals sent to the process to other threads, so that, say, a SIGTERM that the main
    // thread waits for does not end the process here. Faults (SIGSEGV, ...) are never blocked. The
    // mask is inherited by programs the thread starts: it should start none.
    bool blocks_signals = false;
  };

  // Runs `body` once on a new thread, and destroys it there. Fails with ResourceExhausted if there
  // can be no more threads; `body` is then destroyed unrun.
  static absl::StatusOr<Thread> Start(Options options, absl::AnyInvocable<void() &&> body);

  // No thread.
  Thread() = default;
  Thread(Thread&& other) noexcept : thread_(std::exchange(other.thread_, std::nullopt)) {}
  // Joins the one it held before.
  Thread& operator=(Thread&& other) noexcept;
  ~Thread();

  // True from Start() to Join().
  bool joinable() const { return thread_.has_value(); }

  // Waits until the body has returned. Requires: joinable(), and not called by the thread itself.
  void Join();

 private:
  explicit Thread(pthread_t thread) : thread_(thread) {}

  std::optional<pthread_t> thread_;
};

// The CPUs the calling thread may run on (its affinity mask: taskset, cpusets), in order. A thread
// pinned to one CPU sees just that one, so ask before pinning. Never empty.
std::vector<int> AvailableCpuList();

// How many those are: at least 1.
int AvailableCpus();

}  // namespace millrace

#endif  // MILLRACE_BASE_THREAD_H_
