// SPDX-License-Identifier: Apache-2.0
//
// Peer is the other end of a connection as a test plays it: a plain socket, used with bare system
// calls, in the test's thread. It shares no code with what is tested but Socket.
//
//   Peer peer = Peer::ConnectedTo(server.addresses()[0]);
//   peer.Send("hello");
//   EXPECT_EQ(peer.ReceiveAll(), "hello");      // Until the end of the stream.

#ifndef MILLRACE_TESTS_SUPPORT_PEER_H_
#define MILLRACE_TESTS_SUPPORT_PEER_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "net/socket.h"
#include "net/socket_address.h"

namespace millrace {

class Peer {
 public:
  explicit Peer(Socket socket) : socket_(std::move(socket)) {}
  // Connects, waiting for it. Fails the process if it cannot.
  static Peer ConnectedTo(const SocketAddress& address);

  Socket& socket() { return socket_; }
  SocketAddress local_address() { return socket_.LocalAddress().value(); }

  // Sends as much as goes without waiting; returns how much.
  size_t SendSome(absl::string_view bytes);
  // Sends all, waiting for room. Requires that somebody reads in another thread, or that it fits.
  void Send(absl::string_view bytes);
  // What is there now, "" if nothing is; sets ended() at the end of the stream, reset() if it
  // broke.
  std::string ReceiveSome();
  // Waits for `n` bytes. Shorter if the stream ends first.
  std::string Receive(size_t n);
  // Waits for the end of the stream, and returns what came before it.
  std::string ReceiveAll();
  bool ended() const { return ended_; }
  bool was_reset() const { return reset_; }

  // Ends our stream; receiving goes on.
  void CloseWrite();
  // Closes, with what is unread; or resets.
  void Close() { socket_ = Socket(); }
  void Reset();

 private:
  bool WaitFor(short events);

  Socket socket_;
  bool ended_ = false;
  bool reset_ = false;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_PEER_H_
