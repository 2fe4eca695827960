// SPDX-License-Identifier: Apache-2.0
//
// The echo server under a service manager, which the test plays: sockets by LISTEN_FDS, and what it
// tells to NOTIFY_SOCKET.

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/acceptor.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "tests/support/child_process.h"
#include "tests/support/echo_process.h"
#include "tests/support/peer.h"
#include "tests/support/short_folder.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

// --- Sockets ---

// Starts the server as a manager does: with `listener` as descriptor 3, and told so. The shell is
// there because the variables name the process that they are meant for.
class ActivationTest : public ::testing::Test {
 protected:
  // Where no descriptor of the test lies; the shell knows those of one digit only.
  static constexpr int kPassed = 9;

  std::vector<std::string> Command(const Socket& listener, std::vector<std::string> flags = {}) {
    CHECK_LT(fcntl(kPassed, F_GETFD), 0) << "taken";
    CHECK_EQ(dup2(listener.fd(), kPassed), kPassed);
    std::vector<std::string> command = {
        "/bin/sh", "-c",
        "exec 3<&9 9<&-; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web exec \"$0\" \"$@\"",
        kEchoProgram};
    command.insert(command.end(), flags.begin(), flags.end());
    return command;
  }
  ~ActivationTest() override { close(kPassed); }

  SocketAddress AddressOf(ChildProcess& server) {
    const std::string line = server.ReadLine();
    return SocketAddress::Parse(absl::StripPrefix(line, "listening on ")).value_or(SocketAddress());
  }

  ShortFolder folder_;
};

TEST_F(ActivationTest, ServesWhatItIsGivenAndLeavesItOpen) {
  Socket listener = ListenAt(SocketAddress::Loopback(0), {}).value();
  const SocketAddress address = listener.LocalAddress().value();
  Peer early = Peer::ConnectedTo(address);  // Before it is there.
  ChildProcess server(Command(listener));
  EXPECT_EQ(AddressOf(server), address);
  ExpectEchoes(early, "early");
  ExpectEchoes(address);
  early.Close();
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait().exit_code, 0);
  Peer late = Peer::ConnectedTo(address);  // Who comes now waits for the next one.
}

TEST_F(ActivationTest, TheFileOfAUnixSocketIsTheManagers) {
  const SocketAddress address = folder_.Unix("socket");
  Socket listener = ListenAt(address, {}).value();
  ChildProcess server(Command(listener));
  EXPECT_EQ(AddressOf(server), address);
  ExpectEchoes(address);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait().exit_code, 0);
  EXPECT_TRUE(folder_.Has("socket"));
  folder_.Remove("socket");
}

TEST_F(ActivationTest, WhatIsLentStaysSoInOtherHands) {
  const std::string takeover = absl::StrCat("--takeover=", folder_.Path("next"));
  const SocketAddress address = folder_.Unix("socket");
  Socket listener = ListenAt(address, {}).value();
  ChildProcess server(Command(listener, {takeover}));
  EXPECT_EQ(AddressOf(server), address);
  EchoProcess next({takeover});
  EXPECT_EQ(next.NextAddress(), address);
  EXPECT_EQ(server.Wait().exit_code, 0);
  ExpectEchoes(address);
  next.Stop();
  EXPECT_TRUE(folder_.Has("socket"));
  folder_.Remove("socket");
}

// Whoever watches it starts another then, which is what is wanted.
TEST_F(ActivationTest, WhenNobodyCanConnectAnyMoreItDrainsAndFails) {
  const SocketAddress address = folder_.Unix("socket");
  Socket listener = ListenAt(address, {}).value();
  ChildProcess server(Command(listener, {"--drain_timeout=inf", "--drain_idle=inf"}));
  EXPECT_EQ(AddressOf(server), address);
  Peer peer = Peer::ConnectedTo(address);
  ExpectEchoes(peer, "before");
  ASSERT_EQ(shutdown(listener.fd(), SHUT_RDWR), 0);
  ASSERT_TRUE(server.WaitForError("nobody can connect any more: draining 1 connections"));
  ExpectEchoes(peer, "meanwhile");
  peer.Close();
  const ChildProcess::Result result = server.Wait();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr(absl::StrCat("echo: accept at ", address)));
  folder_.Remove("socket");
}

TEST_F(ActivationTest, ListenBesideItIsRefused) {
  Socket listener = ListenAt(SocketAddress::Loopback(0), {}).value();
  const ChildProcess::Result result = RunProgram(Command(listener, {"--listen=127.0.0.1:0"}));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("echo: --listen: "));
  EXPECT_THAT(result.err, HasSubstr("LISTEN_FDS"));
}

TEST_F(ActivationTest, WhatDoesNotListenIsRefusedByItsNumberAndName) {
  const ChildProcess::Result result = RunProgram(Command(Socket::Create(AF_INET).value()));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "echo: LISTEN_FDS: descriptor 3 (web): a socket that does not listen\n");
}

// --- State ---

class NotifyTest : public ::testing::Test {
 protected:
  NotifyTest() : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage storage;
    const socklen_t bytes = folder_.Unix("notify").ToSockaddr(storage);
    CHECK_EQ(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&storage), bytes), 0);
    setenv("NOTIFY_SOCKET", folder_.Path("notify").c_str(), 1);
  }
  ~NotifyTest() override {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    folder_.Remove("notify");
  }
  // Waits for the next message.
  std::string Hear() {
    pollfd ready = {.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, 30'000) != 1) return "nothing came";
    char bytes[1024];
    const ssize_t n = recv(fd_.get(), bytes, sizeof(bytes), 0);
    return std::string(bytes, n < 0 ? 0 : static_cast<size_t>(n));
  }

  ShortFolder folder_;
  UniqueFd fd_;
};

TEST_F(NotifyTest, SaysWhenItIsReadyAndWhenItStops) {
  EchoProcess server({"--listen=127.0.0.1:0"});
  const SocketAddress address = server.NextAddress();
  EXPECT_EQ(Hear(), absl::StrCat("READY=1\nSTATUS=listening on ", address));
  Peer peer = Peer::ConnectedTo(address);
  ExpectEchoes(peer, "x");
  server.process().Signal(SIGTERM);
  EXPECT_EQ(Hear(), "STOPPING=1\nSTATUS=draining 1 connections");
  peer.Close();
  server.ExpectEnded();
}

TEST_F(NotifyTest, SaysAgainAndAgainThatItIsAlive) {
  setenv("WATCHDOG_USEC", "20000", 1);
  EchoProcess server({"--listen=127.0.0.1:0"});
  server.NextAddress();
  int alive = 0;
  while (alive < 3) {
    const std::string message = Hear();
    ASSERT_THAT(message, ::testing::AnyOf("WATCHDOG=1", HasSubstr("READY=1")));
    alive += message == "WATCHDOG=1";
  }
  server.process().Signal(SIGTERM);
  server.ExpectEnded();
}

TEST_F(NotifyTest, ATakeoverNamesTheNewProcess) {
  const std::string takeover = absl::StrCat("--takeover=", folder_.Path("next"));
  EchoProcess old({"--listen=127.0.0.1:0", takeover});
  const SocketAddress address = old.NextAddress();
  const std::string ready = absl::StrCat("READY=1\nSTATUS=listening on ", address);
  EXPECT_EQ(Hear(), ready);
  EchoProcess next({takeover});
  EXPECT_EQ(next.NextAddress(), address);
  const std::string main = absl::StrCat("MAINPID=", next.process().pid());
  // Each tells, since a manager may listen to one of them only; in which order is open.
  EXPECT_THAT((std::vector<std::string>{Hear(), Hear()}),
              ::testing::UnorderedElementsAre(main, absl::StrCat(ready, "\n", main)));
  old.ExpectEnded();
  next.Stop();
}

TEST_F(NotifyTest, AManagerThatIsGoneDoesNotHurt) {
  fd_.Reset();
  EchoProcess server({"--listen=127.0.0.1:0"});
  ExpectEchoes(server.NextAddress());
  server.Stop();
}

}  // namespace
}  // namespace millrace
