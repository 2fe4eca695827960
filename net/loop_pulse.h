// SPDX-License-Identifier: Apache-2.0
//
// LoopPulse tells other threads that a loop is alive: a number that changes as a turn begins and
// again as it ends. Who looks twice and finds the same odd number knows that one turn lasted all
// the while, and the loop paid two additions for it. Part of the loop's Mailbox, so it outlives the
// loop, and whoever holds a LoopRef may look. Written by the loop's thread; any thread reads.
//
//   const uint64_t before = pulse.beat();
//   ... some time later ...
//   if (LoopPulse::InTurn(before) && pulse.beat() == before) LOG(INFO) << pulse.name() << "
//   stalls";

#ifndef MILLRACE_NET_LOOP_PULSE_H_
#define MILLRACE_NET_LOOP_PULSE_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "base/counters.h"
#include "base/thread_role.h"

namespace millrace {

class LoopPulse {
 public:
  explicit LoopPulse(std::string name) : name_(std::move(name)) {}

  void BeginTurn() LOOP_ONLY { beat_.Increment(); }
  void EndTurn() LOOP_ONLY { beat_.Increment(); }
  // The kernel's number of the thread that runs the loop: see gettid(2).
  void RunsOn(pid_t thread) LOOP_ONLY { thread_.store(thread, std::memory_order_relaxed); }
  // There will be no more turns.
  void End() LOOP_ONLY { ended_.store(true, std::memory_order_release); }

  // As EventLoop::Options::name.
  const std::string& name() const { return name_; }
  uint64_t beat() const { return beat_.value(); }
  static bool InTurn(uint64_t beat) { return beat % 2 == 1; }
  // 0 before it first runs. The thread may be gone, and its number somebody else's.
  pid_t thread() const { return thread_.load(std::memory_order_relaxed); }
  // Who sees it sees the last beat, too.
  bool ended() const { return ended_.load(std::memory_order_acquire); }

 private:
  const std::string name_;
  Counter beat_;
  std::atomic<pid_t> thread_{0};
  std::atomic<bool> ended_{false};
};

}  // namespace millrace

#endif  // MILLRACE_NET_LOOP_PULSE_H_
