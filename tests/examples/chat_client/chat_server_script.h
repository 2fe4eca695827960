// SPDX-License-Identifier: Apache-2.0
//
// ChatServerScript is a chat server whose every word the test says itself: it listens, and hands
// out those who come as Peers. In the test's thread; owned by the test.
//
//   ChatServerScript server;
//   Peer client = server.Accept();
//   client.Send("* welcome, guest1: you are in lobby, and /help lists the commands\n");
//   EXPECT_EQ(LineFrom(client), "hello");

#ifndef MILLRACE_TESTS_EXAMPLES_CHAT_CLIENT_CHAT_SERVER_SCRIPT_H_
#define MILLRACE_TESTS_EXAMPLES_CHAT_CLIENT_CHAT_SERVER_SCRIPT_H_

#include <poll.h>

#include <string>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "tests/support/peer.h"

namespace millrace {

class ChatServerScript {
 public:
  explicit ChatServerScript(const SocketAddress& address = SocketAddress::Loopback(0)) {
    Listen(address);
  }

  const SocketAddress& address() const { return address_; }
  std::string connect_flag() const { return absl::StrCat("--connect=", address_); }

  // Waits for the next one who comes.
  Peer Accept() {
    constexpr int kSafetyNetMilliseconds = 30'000;
    pollfd fd = {.fd = listener_.fd(), .events = POLLIN, .revents = 0};
    CHECK_EQ(poll(&fd, 1, kSafetyNetMilliseconds), 1) << "nobody comes";
    Socket::Accepted accepted = listener_.Accept();
    CHECK_EQ(accepted.error, 0);
    return Peer(std::move(accepted.socket));
  }
  // The same, with the welcome that a client learns its name and room from.
  Peer AcceptAs(absl::string_view name) {
    Peer peer = Accept();
    peer.Send(
        absl::StrCat("* welcome, ", name, ": you are in lobby, and /help lists the commands\n"));
    return peer;
  }

  // Nobody can connect any more; and again, at the same address.
  void StopListening() { listener_ = Socket(); }
  void ListenAgain() { Listen(SocketAddress(address_)); }

 private:
  void Listen(const SocketAddress& address) {
    listener_ = Socket::CreateFor(address).value();
    CHECK_OK(listener_.SetReuseAddress());
    CHECK_OK(listener_.Bind(address));
    CHECK_OK(listener_.Listen(16));
    address_ = listener_.LocalAddress().value();
  }

  Socket listener_;
  SocketAddress address_;
};

// The next line that `peer` sends, without its newline; what there is if it ends before.
inline std::string LineFrom(Peer& peer) {
  std::string line;
  for (std::string byte = peer.Receive(1); !byte.empty() && byte != "\n"; byte = peer.Receive(1)) {
    line += byte;
  }
  return line;
}

}  // namespace millrace

#endif  // MILLRACE_TESTS_EXAMPLES_CHAT_CLIENT_CHAT_SERVER_SCRIPT_H_
