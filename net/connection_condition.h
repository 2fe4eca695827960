// SPDX-License-Identifier: Apache-2.0
//
// ConnectionCondition is what a TcpConnection is up to, in 8 bytes: one comparison tells an
// ordinary connection, which goes the short way, from all others. Whatever is rare has a bit here,
// so that the short way need not ask for it. A member of its connection; loop-only.
//
//   if (!is_.ordinary()) return OnIoInOtherConditions(ready);

#ifndef MILLRACE_NET_CONNECTION_CONDITION_H_
#define MILLRACE_NET_CONNECTION_CONDITION_H_

#include <cstdint>
#include <cstring>

#include "net/poller.h"

namespace millrace {

enum class ConnectionState : uint8_t {
  kHandshaking,
  kOpen,
  kFlushing,   // CloseAfterFlush(): output is on its way, input is dropped.
  kLingering,  // Our end is sent; waiting for the peer's.
  kClosed,
};

struct ConnectionCondition {
  ConnectionState state = ConnectionState::kHandshaking;
  Io read_needs = Io::kRead;  // What the descriptor must be ready for before reading gets on.
  Io write_needs = Io::kWrite;
  Io interest = Io::kNone;  // What the loop was told.
  uint16_t pauses = 0;
  bool failing : 1 = false;
  bool above_high : 1 = false;
  bool tell_writable : 1 = false;
  bool output_blocked : 1 = false;
  bool ends_write : 1 = false;  // CloseWrite() was asked for.
  bool write_ended : 1 = false;
  bool peer_ended : 1 = false;
  bool offer_again : 1 = false;
  bool awaits_first_byte : 1 = false;  // That has a limit, and nothing was read yet.
  bool recorded : 1 = false;           // There is a flight recorder.
  bool paced : 1 = false;              // There are rate limits; the next two say that they hold
  bool read_waits : 1 = false;         // reading back,
  bool write_waits : 1 = false;        // and writing.
  bool holds_much : 1 = false;         // The memory budget knows of it.
  bool write_stalled : 1 = false;      // Output waits, and none was taken since last_write_.
  uint8_t unused : 1 = 0;              // No bit that could differ by chance.

  // Open, reading, and nothing was asked for: as between two messages.
  bool ordinary() const;
  // Does not read, though open, and offers nothing.
  bool holds_back() const { return pauses > 0 || above_high; }
  // Unless it is open, this is the handshake, or waiting for the peer's end.
  bool wants_input() const {
    if (peer_ended || failing) return false;
    return state != ConnectionState::kOpen || !(holds_back() || read_waits);
  }
};
static_assert(sizeof(ConnectionCondition) == 8);

inline bool ConnectionCondition::ordinary() const {
  static constexpr ConnectionCondition kOrdinary = {.state = ConnectionState::kOpen,
                                                    .interest = Io::kRead};
  return std::memcmp(this, &kOrdinary, sizeof(*this)) == 0;
}

}  // namespace millrace

#endif  // MILLRACE_NET_CONNECTION_CONDITION_H_
