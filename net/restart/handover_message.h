// SPDX-License-Identifier: Apache-2.0
//
// What two processes say to each other while listening sockets go from the old one to the new one:
// lines of text, through a Unix socket, with the sockets beside the second message. Stateless; any
// thread. ListenerHandover is the old one's side, ListenerTakeover the new one's.
//
//   new: millrace-takeover 1
//   old: millrace-listeners 1 2       Beside it three descriptors: of the Unix socket itself, and
//        made 127.0.0.1:7007          these two. "lent" is what a service manager made, who keeps
//        lent unix:/run/echo.sock     the socket's file.
//   new: ready                        It serves. Until here the old one can go on as before.
//   old: yours                        It stops accepting. Or, instead of any answer: no REASON

#ifndef MILLRACE_NET_RESTART_HANDOVER_MESSAGE_H_
#define MILLRACE_NET_RESTART_HANDOVER_MESSAGE_H_

#include <sys/socket.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/socket_address.h"

namespace millrace {

inline constexpr absl::string_view kHandoverHello = "millrace-takeover 1";
inline constexpr absl::string_view kHandoverReady = "ready";
inline constexpr absl::string_view kHandoverYours = "yours";
inline constexpr absl::string_view kHandoverNo = "no ";  // The reason follows.

struct AnnouncedListener {
  SocketAddress address;
  bool lent = false;

  friend bool operator==(const AnnouncedListener& a, const AnnouncedListener& b) = default;
};

// Requires: at most kListenersMax, and each with an address that has a name.
std::string EncodeListeners(const std::vector<AnnouncedListener>& listeners);
// None while lines are missing; an error if `text` cannot become such a message, or is followed by
// more, or is longer than one can be.
absl::StatusOr<std::optional<std::vector<AnnouncedListener>>> DecodeListeners(
    absl::string_view text);

// Whether a process with these credentials may have our sockets, or give us its own: one of the
// same user, or root.
bool IsOwnOrRoot(const ucred& peer);

}  // namespace millrace

#endif  // MILLRACE_NET_RESTART_HANDOVER_MESSAGE_H_
