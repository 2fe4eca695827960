// SPDX-License-Identifier: Apache-2.0
//
// CloseReason tells why a connection ended: who or what it was, the errno if a system call said so,
// and the status that OnClose() was given. Values; any thread.
//
//   void OnClose(TcpConnection& conn, const absl::Status&) override {
//     LOG(INFO) << conn.peer_address() << " " << conn.close_reason();  // "timeout: idle for 10s"
//   }
//
// The names, as "idle_timeout", do not change: counters are published under them.

#ifndef MILLRACE_NET_CLOSE_REASON_H_
#define MILLRACE_NET_CLOSE_REASON_H_

#include <cstdint>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "net/io_result.h"

namespace millrace {

enum class CloseCause : uint8_t {
  kNone,  // It is open.

  // In good order, both ends: by whose came first.
  kPeerEnded,
  kHandlerClosed,  // Ours.
  kDrainIdle,      // Ours, since it was idle while the server drained.

  // Broken.
  kPeerReset,        // The peer, or its machine, broke it off; or it was gone when we wrote.
  kPeerLost,         // The network does not reach the peer, or it no longer answers.
  kTransportFailed,  // Its bytes made no sense to the transport.
  kHandshakeFailed,
  kFileFailed,    // What was being sent could not be read, or was cut.
  kSystemFailed,  // This machine: out of memory for sockets or watches, for instance.

  // Too slow: one for each timeout.
  kHandshakeTimeout,
  kFirstByteTimeout,
  kMessageTimeout,
  kRateTimeout,
  kReadTimeout,
  kWriteTimeout,
  kIdleTimeout,
  kLingerTimeout,

  // Too much.
  kInputLimit,    // input_bytes_max
  kOutputLimit,   // output_bytes_max
  kSlowConsumer,  // A BroadcastGroup's bound.
  kMemoryBudget,  // That of all connections together; it held the most.

  // By decision.
  kBadInput,        // A codec did not understand what came.
  kHandlerAborted,  // Abort(), by whoever called it.
  kRefused,         // No handler was made for it.
  kDrainTimeout,    // The server drained, and it was still there when the grace was over.
  kOwnerGone,       // The server or the client was destroyed, or the loop has ended.
};
inline constexpr int kCloseCauses = static_cast<int>(CloseCause::kOwnerGone) + 1;

// "idle_timeout".
absl::string_view NameOf(CloseCause cause);
std::ostream& operator<<(std::ostream& out, CloseCause cause);

// Whose fault a failed call is. Requires: it failed.
CloseCause CauseOf(IoResult failed);

struct CloseReason {
  CloseCause cause = CloseCause::kNone;
  int error = 0;  // An errno; 0 if no system call told.
  absl::Status status = {};

  // Who, what, and the errno's name: "timeout: idle for 10s", "peer: reset (ECONNRESET)".
  std::string ToString() const;
  friend std::ostream& operator<<(std::ostream& out, const CloseReason& reason);
};

}  // namespace millrace

#endif  // MILLRACE_NET_CLOSE_REASON_H_
