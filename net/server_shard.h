// SPDX-License-Identifier: Apache-2.0
//
// ServerShard is what a TcpServer has on one loop: the connections there, and the acceptors if the
// loop accepts for itself. Its loop keeps it (EventLoop::Keep), the server tells it what to do by
// posts. Loop-only.
//
//   ServerShard& shard = loop.Keep(std::make_unique<ServerShard>(loop, plan, counters));

#ifndef MILLRACE_NET_SERVER_SHARD_H_
#define MILLRACE_NET_SERVER_SHARD_H_

#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "net/acceptor.h"
#include "net/acceptor_group.h"
#include "net/admission.h"
#include "net/close_reason.h"
#include "net/connection_handler.h"
#include "net/connection_limits.h"
#include "net/connection_owner.h"
#include "net/connection_table.h"
#include "net/drain.h"
#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/memory_budget.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/timer_wheel.h"
#include "net/transport.h"

namespace millrace {

class ServerShard final : public Deferred {
 public:
  // What all shards of a server share. The server owns it, and outlives them.
  struct Plan {
    const HandlerFactory& handler;
    const TransportFactory& transport;
    const ConnectionLimits& limits;
    Admission& admission;
    const Ref<MemoryBudget>& memory_budget;
  };
  struct Counters {
    ConnectionCounters connections;
    AcceptCounters accepting;
  };
  // Whom it tells. Empty ones tell nobody.
  struct Listeners {
    AcceptorGroup::OnRoom on_room = {};  // An end has made room that acceptors wait for.
    // Once: no connection is left, and none will come.
    absl::AnyInvocable<void(const DrainReport& report)> on_drained = {};
    AcceptorGroup::OnFailed on_listener_failed = {};
    absl::AnyInvocable<void()> on_destroyed = {};  // When its connections are destroyed, too.
  };

  ServerShard(EventLoop& loop, const Plan& plan, Counters& counters, Listeners listeners) LOOP_ONLY;
  ~ServerShard() override;

  // Of one that has entered.
  void Open(Socket socket, const SocketAddress& peer, uint16_t listener) LOOP_ONLY;
  // It has entered, and will not be opened.
  void GiveUp(const SocketAddress& peer, uint16_t listener) LOOP_ONLY;

  // Accepts on this loop: see AcceptorGroup.
  AcceptorGroup& acceptors() LOOP_ONLY { return acceptors_; }

  // As ConnectionTable::Report().
  void ReportConnections(absl::FunctionRef<void(absl::string_view)> write) LOOP_ONLY {
    table_.Report(write);
  }

  // As TcpServer::Drain(), for this loop. Again: the nearer end counts.
  void Drain(const DrainOptions& options) LOOP_ONLY;
  // Ends everything at once. Nobody is told of anything after, but for on_destroyed.
  void End(const absl::Status& why) LOOP_ONLY;

 private:
  void CutOff(const absl::Status& why, CloseCause cause) LOOP_ONLY;
  void TellRoom(Admission::Room room) LOOP_ONLY;
  void ReportIfDrained() LOOP_ONLY;
  // What the counters say of those that have ended so far.
  DrainReport Count() const LOOP_ONLY;
  DrainReport Report() const LOOP_ONLY;

  EventLoop& loop_;
  const Plan plan_;
  Counters& counters_;
  Listeners listeners_;
  ConnectionTable table_;
  AcceptorGroup acceptors_;
  bool draining_ = false;
  DrainReport before_;   // What had ended when the drain began.
  DrainReport cut_off_;  // These end on an error too.
  Timer grace_timer_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_SERVER_SHARD_H_
