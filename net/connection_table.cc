// SPDX-License-Identifier: Apache-2.0
#include "net/connection_table.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "net/limits.h"

namespace millrace {
namespace {

// Null if it is to be plain; else it has taken the socket.
absl::StatusOr<std::unique_ptr<Transport>> MakeTransport(Socket& socket,
                                                         const TransportFactory& factory) {
  if (!factory) return nullptr;
  return factory(std::move(socket));
}

}  // namespace

ConnectionTable::~ConnectionTable() {
  AssertOnLoop();
  StopTelling();
  CloseAll(absl::CancelledError("its owner is gone"));
}

void ConnectionTable::Open(Socket socket, const SocketAddress& peer,
                           const TransportFactory& transport_factory,
                           const HandlerFactory& handler_factory, uint16_t listener) {
  absl::StatusOr<std::unique_ptr<Transport>> transport = MakeTransport(socket, transport_factory);
  if (!transport.ok()) return RefuseToOpen(peer, listener, transport.status());
  std::unique_ptr<ConnectionHandler> handler;
  if (!closing_ && handler_factory) handler = handler_factory();
  if (handler == nullptr) {
    // An orderly end would be taken for an empty answer.
    (*transport == nullptr ? socket : (*transport)->socket()).ResetOnClose();
    return RefuseToOpen(peer, listener,
                        absl::FailedPreconditionError("there is no handler for it"));
  }
  auto* conn = new TcpConnection(*this, std::move(socket), *std::move(transport), peer,
                                 std::move(handler), listener);
  connections_.PushBack(*conn);
  ++size_;
  conn->Start();
}

void ConnectionTable::RefuseToOpen(const SocketAddress& peer, uint16_t listener,
                                   const absl::Status& why) {
  LOG_EVERY_N_SEC(WARNING, 1) << "connection of " << peer << " refused: " << why;
  counters().failed_to_open.Increment();
  counters().CountEnd(CloseCause::kRefused);
  TellEnd({peer, listener, why});
}

size_t ConnectionTable::CountWithOutput() {
  size_t count = 0;
  connections_.ForEach([&](TcpConnection& conn) {
    AssertOnLoop();
    count += conn.output_bytes() > 0;
  });
  return count;
}

// By name, since a handler may destroy the server, and with it all connections.
void ConnectionTable::TellDrain(absl::Duration idle) {
  const uint32_t idle_ms = ConnectionTimeouts::ToMilliseconds(idle);
  const bool shorter = drain_idle_ms() == 0 || idle_ms < drain_idle_ms();
  if (idle_ms > 0 && shorter) set_drain_idle_ms(idle_ms);
  EventLoop& loop = this->loop();
  std::vector<Token> open;
  connections_.ForEach([&](TcpConnection& conn) { open.push_back(conn.registration_.token()); });
  for (const Token token : open) {
    IoHandler* found = loop.Find(token);
    if (found != nullptr) static_cast<TcpConnection&>(*found).TellDrain();
  }
}

void ConnectionTable::Report(absl::FunctionRef<void(absl::string_view)> write) {
  const auto waits = [](TcpConnection& conn)
                         LOOP_ONLY { return conn.output_bytes() > 0 || conn.unread_bytes() > 0; };
  std::vector<TcpConnection*> waiting, others;
  size_t all_waiting = 0;
  connections_.ForEach([&](TcpConnection& conn) {
    AssertOnLoop();
    std::vector<TcpConnection*>& of_its_kind = waits(conn) ? waiting : others;
    if (waits(conn)) ++all_waiting;
    if (of_its_kind.size() < kReportedConnectionsMax) of_its_kind.push_back(&conn);
  });
  waiting.insert(waiting.end(), others.begin(), others.end());
  if (waiting.size() > kReportedConnectionsMax) waiting.resize(kReportedConnectionsMax);
  write(absl::StrCat(size_, " connections, ", all_waiting, " with bytes waiting; ", waiting.size(),
                     " follow\n"));
  for (TcpConnection* const conn : waiting) write(conn->Report());
}

// A connection that ends right now, further up the stack, is taken out too, and left to that.
void ConnectionTable::CloseAll(const absl::Status& why, CloseCause cause) {
  closing_ = true;
  while (!connections_.empty()) connections_.PopFront().EndNow(cause, why);
}

void ConnectionTable::OnConnectionEnd(TcpConnection& conn, const absl::Status& failure) {
  static_cast<millrace::ListLink<TcpConnection>&>(conn).Unlink();
  --size_;
  loop().DestroyLater(std::unique_ptr<Deferred>(&conn));
  TellEnd({conn.peer_address(), conn.listener(), failure});
}

void ConnectionTable::TellEnd(const End& end) {
  if (on_end_ && !silent_) on_end_(end);
}

}  // namespace millrace
