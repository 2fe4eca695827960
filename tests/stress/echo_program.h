// SPDX-License-Identifier: Apache-2.0
//
// EchoProgram is the echo example as a process of its own, for what can only be done to a process:
// to stop it, to limit it, to send it signals. Owned by the test's thread; killed with the object.
//
//   EchoProgram server({"--threads=2"});
//   Peer peer = Peer::ConnectedTo(server.address());
//   server.process().Signal(SIGSTOP);

#ifndef MILLRACE_TESTS_STRESS_ECHO_PROGRAM_H_
#define MILLRACE_TESTS_STRESS_ECHO_PROGRAM_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "net/socket_address.h"
#include "tests/support/child_process.h"

namespace millrace {

class EchoProgram {
 public:
  explicit EchoProgram(std::vector<std::string> flags) : process_(Command(std::move(flags))) {
    const std::string line = process_.ReadLine();
    absl::string_view text = line;
    CHECK(absl::ConsumePrefix(&text, "listening on ")) << line;
    address_ = SocketAddress::Parse(text).value();
  }

  const SocketAddress& address() const { return address_; }
  ChildProcess& process() { return process_; }

 private:
  static std::vector<std::string> Command(std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"examples/echo/echo", "--listen=127.0.0.1:0"});
    return flags;
  }

  ChildProcess process_;
  SocketAddress address_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_STRESS_ECHO_PROGRAM_H_
