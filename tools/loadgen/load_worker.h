// SPDX-License-Identifier: Apache-2.0
//
// LoadWorker is one thread's part of a load run: its sessions, from the first that connects to the
// last that ends. Loop-only; kept by its loop (EventLoop::Keep), which the run stops when all
// workers are done.
//
//   LoadWorker& worker = loop.Keep(std::make_unique<LoadWorker>(loop, plan, share, listeners));
//   worker.Start();                      // on_opened
//   worker.Measure(begin, end);          // on_done, soon after `end`
//   worker.Pace(start);                  // With a rate: the first message is due at `start`.

#ifndef MILLRACE_TOOLS_LOADGEN_LOAD_WORKER_H_
#define MILLRACE_TOOLS_LOADGEN_LOAD_WORKER_H_

#include <deque>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/monotonic_time.h"
#include "base/thread_role.h"
#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/timer_wheel.h"
#include "tools/loadgen/load_session.h"
#include "tools/loadgen/precise_timer.h"
#include "tools/loadgen/send_schedule.h"

namespace millrace {

class LoadWorker final : public Deferred, private LoadSession::Owner {
 public:
  // Which of the run's connections are its own, and how many of them may be under way at once, so
  // that thousands do not overrun the server's backlog.
  struct Share {
    int first = 0;
    int step = 1;
    int pending_max = 256;
  };
  // Each is called once. Must not destroy the worker.
  struct Listeners {
    // All sessions have been connected, or have failed to be; so many were.
    absl::AnyInvocable<void(int connected)> on_opened = {};
    // All have ended. Not before on_opened.
    absl::AnyInvocable<void()> on_done = {};
  };

  LoadWorker(EventLoop& loop, const LoadSession::Plan& plan, Share share,
             Listeners listeners) LOOP_ONLY;

  void Start() LOOP_ONLY;
  // The load is on from now; what happens from `begin` on is measured; at `end` all is brought to
  // an end. Does nothing if it ends already. Not before on_opened.
  void Measure(MonotonicTime begin, MonotonicTime end) LOOP_ONLY;
  // Requires: a rate, and that it measures: the load is on from `start`.
  void Pace(MonotonicTime start) LOOP_ONLY;
  // Begins to end, unless it does already.
  void Finish() LOOP_ONLY;

 private:
  using Sessions = absl::flat_hash_set<LoadSession*>;

  void OnConnected(LoadSession& session) override LOOP_ONLY;
  void OnConnectFailed(LoadSession& session, const absl::Status& why) override LOOP_ONLY;
  void OnEnded(LoadSession& session) override LOOP_ONLY;

  void ConnectLater(LoadSession& session) LOOP_ONLY;
  void ConnectAfterRest(LoadSession& session) LOOP_ONLY;
  void ConnectSome() LOOP_ONLY;
  void GiveUpWaiting() LOOP_ONLY;
  bool QueueIsFull(const LoadSession& session, const absl::Status& why) const LOOP_ONLY;
  void SettleFirst(LoadSession& session) LOOP_ONLY;
  void Retire(LoadSession& session) LOOP_ONLY;
  void SendDue() LOOP_ONLY;
  void SkipWhatHadItsTurn(MonotonicTime now) LOOP_ONLY;
  void GiveUpUnsent() LOOP_ONLY;
  void OnGraceOver() LOOP_ONLY;

  EventLoop& loop_;
  const LoadSession::Plan plan_;
  const int pending_max_;
  Listeners listeners_;
  std::vector<std::unique_ptr<LoadSession>> sessions_;

  Sessions unsettled_;                // What has become of their first connection is not known yet.
  Sessions active_;                   // Those that are, or will be, connected.
  std::deque<LoadSession*> waiting_;  // To connect, as soon as fewer are pending.
  std::vector<LoadSession*> resting_;  // To wait again, when the rest is over.
  int pending_ = 0;
  bool connects_later_ = false;
  bool finishing_ = false;
  int connected_ = 0;             // First connections.
  MonotonicTime last_connected_;  // Or when it started.

  // With a rate: whose turn it is, and the how many-th message of each.
  size_t next_session_ = 0;
  int64_t round_ = 0;
  std::unique_ptr<PreciseTimer> send_timer_;

  Timer rest_timer_, begin_timer_, end_timer_, overdue_timer_, grace_timer_;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_LOAD_WORKER_H_
