// SPDX-License-Identifier: Apache-2.0
//
// ConnectionHandle names a connection to other threads, and to code that must not keep it alive.
// Two words, copyable, good for ever: once the connection, its loop or the server is gone, all
// calls are no-ops that say so. Any thread, any time.
//
//   ConnectionHandle handle = conn.handle();
//   database.Query(sql, [handle](std::string rows) { handle.Send(std::move(rows)); });
//
// True means that the loop has taken the work; it is skipped if the connection has ended by the
// time its turn comes. False means that the loop has stopped, or takes no more posts. Calls of one
// thread arrive in order.

#ifndef MILLRACE_NET_CONNECTION_HANDLE_H_
#define MILLRACE_NET_CONNECTION_HANDLE_H_

#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "base/slot_map.h"
#include "net/loop_ref.h"

namespace millrace {

class TcpConnection;

// Work for a connection, done on its loop.
using ConnectionWork = absl::AnyInvocable<void(TcpConnection&) &&>;

class ConnectionHandle {
 public:
  ConnectionHandle() = default;  // Names none.

  // Runs `work` on the connection's loop, in a later turn.
  bool Run(ConnectionWork work) const;
  bool Send(std::string bytes) const;
  bool Send(absl::Cord bytes) const;
  // Closes after all that was sent before has been written; see TcpConnection::CloseAfterFlush().
  bool Close() const;
  bool Abort(absl::Status why) const;

  // The loop on which the connection lives.
  const LoopRef& loop() const { return loop_; }
  // What names it there; see EventLoop::Find().
  Token token() const { return token_; }

  friend bool operator==(const ConnectionHandle&, const ConnectionHandle&) = default;
  template <typename H>
  friend H AbslHashValue(H hash, const ConnectionHandle& handle) {
    return H::combine(std::move(hash), handle.loop_, handle.token_);
  }

 private:
  friend class TcpConnection;
  ConnectionHandle(LoopRef loop, Token token) : loop_(std::move(loop)), token_(token) {}

  LoopRef loop_;
  Token token_;
};

static_assert(sizeof(ConnectionHandle) == 16);

}  // namespace millrace

#endif  // MILLRACE_NET_CONNECTION_HANDLE_H_
