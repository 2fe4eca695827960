// SPDX-License-Identifier: Apache-2.0
//
// ServerShard is what a TcpServer has on one loop: the connections there, and the listeners if the
// loop accepts for itself. Its loop keeps it (EventLoop::Keep), the server tells it what to do by
// posts. Loop-only.
//
//   ServerShard& shard = loop.Keep(std::make_unique<ServerShard>(loop, plan, counters));

#ifndef MILLRACE_NET_SERVER_SHARD_H_
#define MILLRACE_NET_SERVER_SHARD_H_

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/thread_role.h"
#include "net/acceptor.h"
#include "net/connection_handler.h"
#include "net/connection_limits.h"
#include "net/connection_owner.h"
#include "net/connection_table.h"
#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/socket.h"
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
  };
  struct Counters {
    ConnectionCounters connections;
    AcceptCounters accepting;
  };
  // Whom it tells. Empty ones tell nobody.
  struct Listeners {
    absl::AnyInvocable<void()> on_connection_end = {};
    absl::AnyInvocable<void()> on_drained = {};  // Once: no connection is left, and none will come.
    absl::AnyInvocable<void()> on_destroyed = {};  // When its connections are destroyed, too.
  };

  ServerShard(EventLoop& loop, const Plan& plan, Counters& counters, Listeners listeners) LOOP_ONLY;
  ~ServerShard() override;

  void Open(Socket socket, const SocketAddress& peer) LOOP_ONLY;

  // Accepts at `listener` on this loop. `on_accept` gets what it accepts.
  absl::Status Listen(Socket listener, Acceptor::OnAccept on_accept) LOOP_ONLY;
  void PauseAccepting() LOOP_ONLY;
  void ResumeAccepting() LOOP_ONLY;
  void StopListening() LOOP_ONLY;

  // As ConnectionTable::Report().
  void ReportConnections(absl::FunctionRef<void(absl::string_view)> write) LOOP_ONLY {
    table_.Report(write);
  }

  // As TcpServer::Drain(), for this loop. Again: the nearer end counts.
  void Drain(absl::Duration grace) LOOP_ONLY;
  // Ends everything at once. Nobody is told of anything after, but for on_destroyed.
  void End(const absl::Status& why) LOOP_ONLY;

 private:
  void OnConnectionEnd() LOOP_ONLY;
  void ReportIfDrained() LOOP_ONLY;

  EventLoop& loop_;
  const Plan plan_;
  Counters& counters_;
  Listeners listeners_;
  ConnectionTable table_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  bool draining_ = false;
  Timer grace_timer_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_SERVER_SHARD_H_
