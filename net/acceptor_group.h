// SPDX-License-Identifier: Apache-2.0
//
// AcceptorGroup is the acceptors that a server has on one loop, and what its Admission means to
// them: they pause where it holds them back, resume when there is room, and reset who is refused. A
// member of the loop's ServerShard; loop-only. Room that is found elsewhere is told by a post.
//
//   AcceptorGroup group(loop, admission, counters, [&](Admission::Room room) { ... });
//   group.Add(std::move(listener), 0, [&](Socket socket, const SocketAddress& peer) { ... });

#ifndef MILLRACE_NET_ACCEPTOR_GROUP_H_
#define MILLRACE_NET_ACCEPTOR_GROUP_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/thread_role.h"
#include "net/acceptor.h"
#include "net/admission.h"
#include "net/event_loop.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/socket_file.h"
#include "net/timer_wheel.h"

namespace millrace {

class AcceptorGroup {
 public:
  using OnRoom = absl::AnyInvocable<void(Admission::Room room)>;

  using OnFailed = absl::AnyInvocable<void(const SocketAddress& address, const absl::Status& why)>;

  // `on_room` hears of what a refused connection gave back.
  AcceptorGroup(EventLoop& loop, Admission& admission, AcceptCounters& counters,
                OnRoom on_room) LOOP_ONLY;
  AcceptorGroup(const AcceptorGroup&) = delete;
  AcceptorGroup& operator=(const AcceptorGroup&) = delete;

  // Hears of each listener that has stopped for good. Must not destroy the group.
  void set_on_failed(OnFailed on_failed) LOOP_ONLY { on_failed_ = std::move(on_failed); }

  // Accepts at `listener`, the server's with this number. `on_admitted` gets those who are let in:
  // they have entered, so they must leave.
  // `file` is removed when it stops listening.
  absl::Status Add(Socket listener, SocketFile file, uint16_t number,
                   Acceptor::OnAccept on_admitted) LOOP_ONLY;
  // Lets those go on that have waited for this, if it is still so.
  void Resume(Admission::Room room) LOOP_ONLY;
  // For good. Legal from inside `on_admitted`.
  void StopListening() LOOP_ONLY;

 private:
  using Hold = Admission::Hold;

  struct Door {
    std::unique_ptr<Acceptor> acceptor;
    const uint16_t number;
    Hold hold = Hold::kNone;  // Why it pauses.
  };

  bool MayAccept(Door& door) LOOP_ONLY;
  void Close(Door& door, Hold hold) LOOP_ONLY;
  void Reconsider(Door& door) LOOP_ONLY;
  bool Admit(Socket& socket, const SocketAddress& peer, uint16_t number) LOOP_ONLY;
  void CountAndLog(Admission::Refusal refusal, const SocketAddress& peer) LOOP_ONLY;
  void CountAndLog(Hold hold, const SocketAddress& address) LOOP_ONLY;

  EventLoop& loop_;
  Admission& admission_;
  AcceptCounters& counters_;
  OnRoom on_room_;
  OnFailed on_failed_;
  Timer rate_timer_;
  std::vector<std::unique_ptr<Door>> doors_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_ACCEPTOR_GROUP_H_
