// SPDX-License-Identifier: Apache-2.0
//
// Pairs of connected sockets, both non-blocking: ours first, the peer's second. Any thread.
//
//   auto [ours, theirs] = TcpPair();

#ifndef MILLRACE_TESTS_SUPPORT_SOCKET_PAIR_H_
#define MILLRACE_TESTS_SUPPORT_SOCKET_PAIR_H_

#include <poll.h>

#include <utility>

#include "absl/log/check.h"
#include "net/socket.h"
#include "net/socket_address.h"

namespace millrace {

// Over the loopback interface; ours is the one that was accepted.
inline std::pair<Socket, Socket> TcpPair() {
  const SocketAddress any_port = SocketAddress::Loopback(0);
  Socket listener = Socket::CreateFor(any_port).value();
  CHECK_OK(listener.Bind(any_port));
  CHECK_OK(listener.Listen(1));
  Socket theirs = Socket::CreateFor(any_port).value();
  CHECK_OK(theirs.Connect(listener.LocalAddress().value()).status());
  pollfd ready = {.fd = listener.fd(), .events = POLLIN, .revents = 0};
  CHECK_EQ(poll(&ready, 1, /*timeout=*/30'000), 1);
  Socket ours = listener.Accept().socket;
  CHECK(ours.valid());
  return {std::move(ours), std::move(theirs)};
}

inline std::pair<Socket, Socket> UnixPair() { return Socket::Pair().value(); }

// Holds but a few KiB in each direction, and says at once when there is room again.
inline std::pair<Socket, Socket> NarrowUnixPair() {
  std::pair<Socket, Socket> ends = UnixPair();
  CHECK_OK(ends.first.SetSendBufferBytes(4096));
  CHECK_OK(ends.second.SetSendBufferBytes(4096));
  return ends;
}

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_SOCKET_PAIR_H_
