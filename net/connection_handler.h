// SPDX-License-Identifier: Apache-2.0
//
// ConnectionHandler is the seam above a connection: your code. One for each connection, owned by
// it, so what a connection must remember is a member. Its calls come on the connection's loop,
// never two at once. Loop-only.
//
//   class EchoHandler : public ConnectionHandler {
//     void OnData(TcpConnection& conn, Buffer& input) override { conn.Send(std::move(input)); }
//   };
//
// From inside any call any method of the connection is legal: closing and aborting, too, which then
// take effect when the call returns. What a call sends is written when it returns, in one go. A
// call must not block: all connections of the loop wait for it. One that destroys its own server or
// client hears OnClose() from inside that.

#ifndef MILLRACE_NET_CONNECTION_HANDLER_H_
#define MILLRACE_NET_CONNECTION_HANDLER_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/thread_role.h"
#include "net/buffer.h"

namespace millrace {

class TcpConnection;

class ConnectionHandler {
 public:
  ConnectionHandler() = default;
  ConnectionHandler(const ConnectionHandler&) = delete;
  ConnectionHandler& operator=(const ConnectionHandler&) = delete;
  virtual ~ConnectionHandler() = default;

  // Connected, and the transport has shaken hands. The first call.
  virtual void OnOpen(TcpConnection&) LOOP_ONLY {}

  // Bytes came. Consume what you understood; the rest is offered again with the next ones, or when
  // reading is resumed. `input` is good for this call only.
  virtual void OnData(TcpConnection& conn, Buffer& input) LOOP_ONLY = 0;

  // Output fell to the low mark after it had been above the high one: there is room again.
  virtual void OnWritable(TcpConnection&) LOOP_ONLY {}

  // The peer will send no more; what you left unread so far is `rest`, and dropped after this call.
  // We may still send. Usually what we owe the peer is sent and that is the end; who wants to go on
  // overrides this.
  virtual void OnEndOfInput(TcpConnection& conn, Buffer& rest) LOOP_ONLY;

  // The server wants to end (TcpServer::Drain): say goodbye, finish, close when done. What is open
  // when the grace is over is closed.
  virtual void OnDrain(TcpConnection&) LOOP_ONLY {}

  // The connection has ended. The last call, once for each OnOpen(). `why` is OK after an orderly
  // end; else who ended it and why, as DeadlineExceeded("idle for 1m").
  virtual void OnClose(TcpConnection&, const absl::Status& why) LOOP_ONLY { (void)why; }
};

// Makes the handler of a new connection; null refuses it. Several loops call it at once.
using HandlerFactory = absl::AnyInvocable<std::unique_ptr<ConnectionHandler>() const>;

}  // namespace millrace

#endif  // MILLRACE_NET_CONNECTION_HANDLER_H_
