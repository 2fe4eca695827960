// SPDX-License-Identifier: Apache-2.0
//
// ConnectionTable owns the connections that one server, or one client, has on one loop. Loop-only;
// it is itself given to EventLoop::Keep() or DestroyLater(), since it must outlive calls on the
// stack.
//
//   auto table = std::make_unique<ConnectionTable>(loop, limits, counters);
//   table->Open(std::move(socket), peer, transport_factory, handler_factory);

#ifndef MILLRACE_NET_CONNECTION_TABLE_H_
#define MILLRACE_NET_CONNECTION_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/intrusive_list.h"
#include "base/thread_role.h"
#include "net/close_reason.h"
#include "net/connection_handler.h"
#include "net/connection_owner.h"
#include "net/io_handler.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/transport.h"

namespace millrace {

class ConnectionTable final : public Deferred, public ConnectionOwner {
 public:
  using ConnectionOwner::ConnectionOwner;
  // Ends what is still open, as CloseAll() does.
  ~ConnectionTable() override;

  // `failure` is OK if the handler knows; else it says why the connection was never opened.
  struct End {
    const SocketAddress& peer;
    uint16_t listener;
    const absl::Status& failure;
  };
  // Called after each end, once for each Open(). May do anything but replace itself.
  using OnEnd = absl::AnyInvocable<void(const End& end)>;
  void set_on_end(OnEnd on_end) LOOP_ONLY { on_end_ = std::move(on_end); }
  // Calls it no more. Legal from inside it.
  void StopTelling() LOOP_ONLY { silent_ = true; }

  // Makes a connection of a connected socket. If it fails, or the handler's factory refuses it,
  // that is counted as failed_to_open, and told to on_end; failures are logged as well. An empty
  // transport factory means plain.
  void Open(Socket socket, const SocketAddress& peer, const TransportFactory& transport,
            const HandlerFactory& handler, uint16_t listener = 0) LOOP_ONLY;
  size_t size() const LOOP_ONLY { return size_; }
  // Those that have output which is not written yet.
  size_t CountWithOutput() LOOP_ONLY;

  // Tells each connection's handler OnDrain(), once, and half-closes those that are or become idle
  // for so long. Again: the shorter time counts.
  void TellDrain(absl::Duration idle = absl::InfiniteDuration()) LOOP_ONLY;
  // Gives a line about all of them to `write`, and then what each has to tell of itself; of
  // kReportedConnectionsMax at most, those first that have bytes waiting.
  void Report(absl::FunctionRef<void(absl::string_view)> write) LOOP_ONLY;
  // Ends all at once, and opens no more. Handlers are told before this returns.
  void CloseAll(const absl::Status& why, CloseCause cause = CloseCause::kOwnerGone) LOOP_ONLY;

 private:
  void OnConnectionEnd(TcpConnection& conn, const absl::Status& failure) override LOOP_ONLY;
  void RefuseToOpen(const SocketAddress& peer, uint16_t listener,
                    const absl::Status& why) LOOP_ONLY;
  void TellEnd(const End& end) LOOP_ONLY;

  IntrusiveList<TcpConnection, TcpConnection> connections_;
  size_t size_ = 0;
  bool closing_ = false;
  bool silent_ = false;
  OnEnd on_end_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_CONNECTION_TABLE_H_
