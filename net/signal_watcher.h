// SPDX-License-Identifier: Apache-2.0
//
// SignalWatcher makes signals events of a loop: the callback runs on the loop, in a turn, where it
// may do anything, and not in a signal handler, where it may do next to nothing. Owned by whoever
// wants to hear; destroying it ends the watch. Loop-only.
//
//   auto stop = SignalWatcher::Create(*loop, {SIGTERM, SIGINT}, [&](int) { loop->Stop(); });
//
// Make it before any other thread starts: it blocks its signals in the calling thread, and threads
// made later inherit that. In one that does not, the signal would act as if nobody watched.
// A loop may have several watchers, also of one signal: all hear it. A signal belongs to one loop
// at a time. The kernel joins signals that come faster than they are read (signalfd(2)), so a
// watcher hears at least one of a burst.

#ifndef MILLRACE_NET_SIGNAL_WATCHER_H_
#define MILLRACE_NET_SIGNAL_WATCHER_H_

#include <signal.h>

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/intrusive_list.h"
#include "base/thread_role.h"
#include "net/event_loop.h"

namespace millrace {

class SignalHub;

class SignalWatcher : private ListLink<SignalWatcher> {
 public:
  using OnSignal = absl::AnyInvocable<void(int signal_number)>;

  // Fails for a number that is no signal or cannot be caught, and if another loop watches one of
  // them.
  static absl::StatusOr<std::unique_ptr<SignalWatcher>> Create(EventLoop& loop,
                                                               absl::Span<const int> signals,
                                                               OnSignal on_signal) LOOP_ONLY;
  // The last watcher of a signal gives it back its old effect; what waits unread is dropped.
  ~SignalWatcher();

  // How many it has heard.
  int64_t heard() const LOOP_ONLY { return heard_; }

 private:
  friend class SignalHub;
  template <typename T, typename Tag>
  friend class IntrusiveList;
  SignalWatcher(SignalHub& hub, const sigset_t& signals, OnSignal on_signal);

  SignalHub& hub_;
  const sigset_t signals_;
  OnSignal on_signal_;
  int64_t heard_ = 0;
  bool* destroyed_ = nullptr;  // Set while its callback runs: tells that it destroyed the watcher.
};

}  // namespace millrace

#endif  // MILLRACE_NET_SIGNAL_WATCHER_H_
