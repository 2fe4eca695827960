// SPDX-License-Identifier: Apache-2.0
//
// The vocabulary of the tests about restarts: an echo server as a process, in a folder where it
// offers its sockets to the next one. For the test's thread.
//
//   EchoProcess old({"--listen=127.0.0.1:0", takeover}), next({takeover});
//   EXPECT_EQ(next.NextAddress(), old.NextAddress());

#ifndef MILLRACE_TESTS_EXAMPLES_RESTART_FIXTURE_H_
#define MILLRACE_TESTS_EXAMPLES_RESTART_FIXTURE_H_

#include <signal.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "net/socket_address.h"
#include "tests/support/child_process.h"
#include "tests/support/peer.h"

namespace millrace {

inline constexpr char kEcho[] = "examples/echo/echo";

class EchoProcess {
 public:
  explicit EchoProcess(std::vector<std::string> flags) : process_(Command(std::move(flags))) {}

  // Reads the next `listening on` line.
  SocketAddress NextAddress() {
    const std::string line = process_.ReadLine();
    absl::string_view text = line;
    EXPECT_TRUE(absl::ConsumePrefix(&text, "listening on ")) << line;
    return SocketAddress::Parse(text).value_or(SocketAddress());
  }
  // It has ended by itself, in good order.
  void ExpectEnded() {
    const ChildProcess::Result result = process_.Wait();
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, "") << "no more addresses, and nothing else";
  }
  void Stop() {
    process_.Signal(SIGTERM);
    ExpectEnded();
  }
  ChildProcess& process() { return process_; }

 private:
  static std::vector<std::string> Command(std::vector<std::string> flags) {
    flags.insert(flags.begin(), kEcho);
    return flags;
  }

  ChildProcess process_;
};

inline void ExpectEchoes(Peer& peer, absl::string_view text) {
  peer.Send(text);
  EXPECT_EQ(peer.Receive(text.size()), text);
}

inline void ExpectEchoes(const SocketAddress& address) {
  Peer peer = Peer::ConnectedTo(address);
  ExpectEchoes(peer, "hello");
}

}  // namespace millrace

#endif  // MILLRACE_TESTS_EXAMPLES_RESTART_FIXTURE_H_
