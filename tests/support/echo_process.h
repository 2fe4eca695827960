// SPDX-License-Identifier: Apache-2.0
//
// EchoProcess is the echo example as a process of its own, for what can only be done to a process:
// to stop it, to limit it, to send it signals, to start it anew. Owned by the test's thread; killed
// with the object.
//
//   EchoProcess old({"--listen=127.0.0.1:0", takeover}), next({takeover});
//   EXPECT_EQ(next.NextAddress(), old.NextAddress());
//   old.process().Signal(SIGSTOP);

#ifndef MILLRACE_TESTS_SUPPORT_ECHO_PROCESS_H_
#define MILLRACE_TESTS_SUPPORT_ECHO_PROCESS_H_

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

inline constexpr char kEchoProgram[] = "examples/echo/echo";

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
    flags.insert(flags.begin(), kEchoProgram);
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

#endif  // MILLRACE_TESTS_SUPPORT_ECHO_PROCESS_H_
