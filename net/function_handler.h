// SPDX-License-Identifier: Apache-2.0
//
// FunctionHandlers() makes a HandlerFactory of lambdas, for those who would rather not write a
// class. All connections share the lambdas, and call them on their own loops, several at once if
// there are several: what they capture must stand that. What one connection must remember is easier
// kept in a handler class of its own.
//
//   .handler = FunctionHandlers({.on_data = [](TcpConnection& conn, Buffer& input) {
//     conn.Send(std::move(input));
//   }})

#ifndef MILLRACE_NET_FUNCTION_HANDLER_H_
#define MILLRACE_NET_FUNCTION_HANDLER_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "net/buffer.h"
#include "net/connection_handler.h"

namespace millrace {

// Each as the method of ConnectionHandler of that name; an empty one does what the method does.
struct ConnectionFunctions {
  absl::AnyInvocable<void(TcpConnection&) const> on_open = {};
  absl::AnyInvocable<void(TcpConnection&, Buffer& input) const> on_data = {};  // Empty: drops it.
  absl::AnyInvocable<void(TcpConnection&) const> on_writable = {};
  absl::AnyInvocable<void(TcpConnection&, Buffer& rest) const> on_end_of_input = {};
  absl::AnyInvocable<void(TcpConnection&) const> on_drain = {};
  absl::AnyInvocable<void(TcpConnection&, const absl::Status& why) const> on_close = {};
};

// The factory owns the functions, and must outlive the connections: a server's and a client's do.
HandlerFactory FunctionHandlers(ConnectionFunctions functions);

}  // namespace millrace

#endif  // MILLRACE_NET_FUNCTION_HANDLER_H_
