// SPDX-License-Identifier: Apache-2.0
//
// The echo server as its users meet it: the program itself, its command line, lines, signals and
// exit codes. What is promised of every server program is tested here.

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "tests/support/child_process.h"
#include "tests/support/echo_process.h"
#include "tests/support/peer.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

ChildProcess::Result RunEcho(std::vector<std::string> flags) {
  flags.insert(flags.begin(), kEchoProgram);
  return RunProgram(flags);
}

void ExpectEchoes(const SocketAddress& address, absl::string_view text) {
  Peer peer = Peer::ConnectedTo(address);
  peer.Send(text);
  EXPECT_EQ(peer.Receive(text.size()), text);
}

// One line on stderr, as promised, nothing on stdout, and exit code 1.
void ExpectRefused(const std::vector<std::string>& flags, absl::string_view named,
                   absl::string_view reason) {
  const ChildProcess::Result result = RunEcho(flags);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, StartsWith("echo: "));
  EXPECT_THAT(result.err, HasSubstr(named));
  EXPECT_THAT(result.err, HasSubstr(reason));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
}

TEST(EchoBinaryTest, SaysWhereItListensAndEchoes) {
  EchoProcess server({"--listen=127.0.0.1:0"});
  const SocketAddress address = server.NextAddress();
  EXPECT_NE(address.port(), 0);
  ExpectEchoes(address, "hello, world");
  ExpectEchoes(address, std::string(1 << 20, 'x'));
}

TEST(EchoBinaryTest, AHalfCloseIsAnsweredByTheRestAndAClose) {
  EchoProcess server({"--listen=127.0.0.1:0"});
  Peer peer = Peer::ConnectedTo(server.NextAddress());
  peer.Send("the last words");
  peer.CloseWrite();
  EXPECT_EQ(peer.ReceiveAll(), "the last words");
  EXPECT_FALSE(peer.was_reset());
}

TEST(EchoBinaryTest, ListensAtAllItsAddresses) {
  std::string folder = "/tmp/echo_binary_test.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string unix_address = absl::StrCat("unix:", folder, "/echo.sock");
  {
    EchoProcess server({"--listen=127.0.0.1:0,127.0.0.1:0", absl::StrCat("--listen=", unix_address),
                        "--listen", "*:0"});
    const SocketAddress first = server.NextAddress();
    const SocketAddress second = server.NextAddress();
    EXPECT_NE(first, second);
    ExpectEchoes(first, "one");
    ExpectEchoes(second, "two");
    const SocketAddress third = server.NextAddress();
    EXPECT_EQ(third.ToString(), unix_address);
    ExpectEchoes(third, "three");
    const SocketAddress any = server.NextAddress();
    EXPECT_TRUE(any.is_any());
    ExpectEchoes(SocketAddress::Loopback(any.port()), "four");
    server.process().Signal(SIGTERM);
    EXPECT_EQ(server.process().Wait().exit_code, 0);
  }
  EXPECT_EQ(rmdir(folder.c_str()), 0) << "the socket's file is gone with the server";
}

TEST(EchoBinaryTest, IPv6WhereThereIsAny) {
  if (!Socket::Create(AF_INET6).ok()) GTEST_SKIP() << "no IPv6 here";
  EchoProcess server({"--listen=[::1]:0"});
  const SocketAddress address = server.NextAddress();
  EXPECT_THAT(address.ToString(), StartsWith("[::1]:"));
  ExpectEchoes(address, "six");
}

TEST(EchoBinaryTest, EveryPollerAndNumberOfThreadsEchoes) {
  for (const char* poller : {"epoll", "poll", "select"}) {
    for (const int threads : {0, 1, 3}) {
      EchoProcess server({"--listen=127.0.0.1:0", absl::StrCat("--poller=", poller),
                          absl::StrCat("--threads=", threads)});
      const SocketAddress address = server.NextAddress();
      for (int i = 0; i < 5; ++i) ExpectEchoes(address, absl::StrCat(poller, threads, i));
      server.process().Signal(SIGINT);
      EXPECT_EQ(server.process().Wait().exit_code, 0) << poller << threads;
    }
  }
}

TEST(EchoBinaryTest, BadFlagsAreRefusedInOneLine) {
  ExpectRefused({"--threads=many"}, "--threads=many", "must be a whole number");
  ExpectRefused({"--poller=kqueue"}, "--poller=kqueue", "epoll, poll or select");
  ExpectRefused({"--idle_timeout=soon"}, "--idle_timeout=soon", "must be a duration");
  ExpectRefused({"--max_connections=0"}, "--max_connections=0", "from 1 to");
  ExpectRefused({"--drain_timeout=-1s"}, "--drain_timeout=-1s", "0 or more");
  ExpectRefused({"--listen"}, "--listen", "needs a value");
  ExpectRefused({"--no_such_flag"}, "--no_such_flag", "no such flag");
  ExpectRefused({"--help=1"}, "--help=1", "stands alone");
  ExpectRefused({"stray"}, "stray", "unexpected argument");
}

TEST(EchoBinaryTest, BadProtectionsAreRefusedInOneLine) {
  ExpectRefused({"--progress=fast"}, "--progress=fast", "none of off, lenient and strict");
  ExpectRefused({"--accept_rate=nan"}, "--accept_rate=nan", "must be a number from 0 to");
  ExpectRefused({"--accept_burst=5"}, "--accept_burst", "without --accept_rate");
  ExpectRefused({"--deny=10.0.0.0/33"}, "--deny=10.0.0.0/33", "10.0.0.0/33");
  ExpectRefused({"--allow="}, "--allow=", "must not be empty");
  ExpectRefused({"--allow=host"}, "--allow=host", "not an IP address");
  ExpectRefused({"--memory_limit=0"}, "--memory_limit=0", "more than 0");
  ExpectRefused({"--memory_limit=1TB"}, "--memory_limit=1TB", "must be bytes, such as");
  ExpectRefused({"--read_rate=99999999999GiB"}, "--read_rate=", "are too many bytes");
  ExpectRefused({"--write_rate=1000GiB"}, "--write_rate=1000GiB", "must be 0 to 100000000000");
  ExpectRefused({"--stall_threshold=1ms"}, "--stall_threshold=1ms", "must be 0s, or 4ms or more");
}

TEST(EchoBinaryTest, BadAddressesAreRefusedInOneLine) {
  ExpectRefused({"--listen=localhost:7007"}, "--listen=localhost:7007", "not an IP address");
  ExpectRefused({"--listen=127.0.0.1:70000"}, "--listen=127.0.0.1:70000", "0 to 65535");
  ExpectRefused({"--listen=unix:/no/such/folder/socket"}, "unix:/no/such/folder/socket",
                "No such file or directory");
}

TEST(EchoBinaryTest, WhatIsNoSocketIsCalledWhatItIs) {
  ExpectRefused({"--listen=unix:/tmp"}, "unix:/tmp", ": is a directory");
  ExpectRefused({"--listen=unix:/proc/self/exe"}, "unix:/proc/self/exe", "is not a socket");
}

TEST(EchoBinaryTest, APathIsPrintedSoThatATerminalDoesNotObeyIt) {
  std::string folder = "/tmp/echo_binary_test.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  {
    EchoProcess server({absl::StrCat("--listen=unix:", folder, "/a\x1b[2J\n")});
    EXPECT_EQ(server.process().ReadLine(),
              absl::StrCat("listening on unix:", folder, "/a\\x1b[2J\\x0a"));
    server.process().Signal(SIGTERM);
    EXPECT_EQ(server.process().Wait().exit_code, 0);
  }
  EXPECT_EQ(rmdir(folder.c_str()), 0);
}

TEST(EchoBinaryTest, APortInUseIsRefusedAndNothingIsAnnounced) {
  EchoProcess server({"--listen=127.0.0.1:0"});
  const std::string taken = server.NextAddress().ToString();
  ExpectRefused({absl::StrCat("--listen=127.0.0.1:0,", taken)}, taken, "Address already in use");
}

TEST(EchoBinaryTest, HelpListsItsFlags) {
  const ChildProcess::Result result = RunEcho({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  for (const char* flag :
       {"--listen=", "--threads=", "--poller=", "--idle_timeout=", "--max_connections=",
        "--drain_timeout=", "--takeover=", "--progress=", "--deny=", "--max_connections_per_peer=",
        "--accept_rate=", "--stall_threshold=", "127.0.0.1:7007"}) {
    EXPECT_THAT(result.out, HasSubstr(flag));
  }
  EXPECT_THAT(result.out, Not(HasSubstr("--stderrthreshold"))) << "its own flags only";
}

TEST(EchoBinaryTest, WithoutConnectionsASignalEndsItAtOnce) {
  EchoProcess server({"--listen=127.0.0.1:0", "--drain_timeout=inf"});
  server.NextAddress();
  server.process().Signal(SIGTERM);
  const ChildProcess::Result result = server.process().Wait();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "") << "all else goes to the log";
}

TEST(EchoBinaryTest, ASignalLetsConnectionsFinishAndTakesNoMore) {
  EchoProcess server({"--listen=127.0.0.1:0", "--drain_timeout=inf", "--drain_idle=inf"});
  const SocketAddress address = server.NextAddress();
  Peer peer = Peer::ConnectedTo(address);
  peer.Send("before");
  EXPECT_EQ(peer.Receive(6), "before");
  server.process().Signal(SIGTERM);
  ASSERT_TRUE(server.process().WaitForError("draining 1 connection"));
  peer.Send("meanwhile");
  EXPECT_EQ(peer.Receive(9), "meanwhile");
  peer.CloseWrite();
  EXPECT_EQ(peer.ReceiveAll(), "");
  EXPECT_EQ(server.process().Wait().exit_code, 0);
  Socket late = Socket::CreateFor(address).value();
  EXPECT_TRUE(late.Bind(address).ok() || !late.Connect(address).ok()) << "nobody listens any more";
}

TEST(EchoBinaryTest, WhatIsLeftAfterTheDrainTimeoutIsClosed) {
  EchoProcess server({"--listen=127.0.0.1:0", "--drain_timeout=20ms"});
  Peer peer = Peer::ConnectedTo(server.NextAddress());
  peer.Send("x");
  EXPECT_EQ(peer.Receive(1), "x");
  server.process().Signal(SIGINT);
  EXPECT_EQ(server.process().Wait().exit_code, 0);
  peer.ReceiveAll();
  EXPECT_TRUE(peer.ended() || peer.was_reset());
}

TEST(EchoBinaryTest, ASecondSignalEndsItAtOnceAndSaysWhich) {
  for (const int number : {SIGTERM, SIGINT}) {
    EchoProcess server({"--listen=127.0.0.1:0", "--drain_timeout=inf"});
    Peer peer = Peer::ConnectedTo(server.NextAddress());
    peer.Send("x");
    EXPECT_EQ(peer.Receive(1), "x");
    server.process().Signal(SIGTERM);
    ASSERT_TRUE(server.process().WaitForError("draining"));
    server.process().Signal(number);
    const ChildProcess::Result result = server.process().Wait();
    EXPECT_EQ(result.exit_code, 128 + number);
    EXPECT_FALSE(result.killed) << "it ended by itself";
  }
}

// However often it comes: a shell and the kernel both send it when a terminal goes.
TEST(EchoBinaryTest, TheTerminalsEndDrains) {
  signal(SIGHUP, SIG_DFL);  // Whoever runs the tests may ignore it.
  EchoProcess server({"--listen=127.0.0.1:0", "--drain_timeout=inf", "--drain_idle=inf"});
  Peer peer = Peer::ConnectedTo(server.NextAddress());
  peer.Send("before");
  EXPECT_EQ(peer.Receive(6), "before");
  server.process().Signal(SIGHUP);
  ASSERT_TRUE(server.process().WaitForError("Hangup: draining 1 connection"));
  server.process().Signal(SIGHUP);
  server.process().Signal(SIGTERM);
  peer.Send("meanwhile");
  EXPECT_EQ(peer.Receive(9), "meanwhile");
  peer.CloseWrite();
  EXPECT_EQ(peer.ReceiveAll(), "");
  EXPECT_EQ(server.process().Wait().exit_code, 0);
}

TEST(EchoBinaryTest, UnderNohupTheTerminalsEndIsNothing) {
  signal(SIGHUP, SIG_IGN);  // The child inherits that.
  EchoProcess server({"--listen=127.0.0.1:0"});
  signal(SIGHUP, SIG_DFL);
  const SocketAddress address = server.NextAddress();
  server.process().Signal(SIGHUP);
  server.process().Signal(SIGUSR1);
  ASSERT_TRUE(server.process().WaitForError("echo: 0 connections open"));
  ExpectEchoes(address, "still here");
  server.process().Signal(SIGTERM);
  EXPECT_THAT(server.process().Wait().err, Not(HasSubstr("Hangup")));
}

TEST(EchoBinaryTest, WarningsOfTheStartAreToldToo) {
  EchoProcess server({"--listen=127.0.0.1:0", "--max_connections=9999999"});
  server.NextAddress();
  EXPECT_TRUE(server.process().WaitForError("are not enough for 9999999 connections"));
}

TEST(EchoBinaryTest, OneIsSaidAsOne) {
  EchoProcess server({"--listen=127.0.0.1:0", "--threads=1", "--max_connections=1"});
  server.NextAddress();
  EXPECT_TRUE(server.process().WaitForError("1 worker loop on epoll, 1 connection and "));
}

TEST(EchoBinaryTest, IdleConnectionsAreHalfClosedInADrain) {
  EchoProcess server({"--listen=127.0.0.1:0", "--drain_timeout=inf", "--drain_idle=10ms"});
  Peer peer = Peer::ConnectedTo(server.NextAddress());
  peer.Send("x");
  EXPECT_EQ(peer.Receive(1), "x");
  server.process().Signal(SIGTERM);
  EXPECT_EQ(peer.ReceiveAll(), "");
  EXPECT_TRUE(peer.ended());
  peer.Close();
  const ChildProcess::Result result = server.process().Wait();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("drained 1 connections: 0 ended, 1 ended when half-closed"));
  EXPECT_THAT(result.err, HasSubstr("ended: drain_idle 1"));
}

TEST(EchoBinaryTest, ADeniedPeerIsResetAndOthersAreServed) {
  EchoProcess server({"--listen=127.0.0.1:0", "--deny=127.0.0.2"});
  const SocketAddress address = server.NextAddress();
  Socket denied = Socket::CreateFor(address).value();
  ASSERT_TRUE(denied.Bind(SocketAddress::Parse("127.0.0.2:0").value()).ok());
  ASSERT_TRUE(denied.Connect(address).ok());
  ASSERT_TRUE(server.process().WaitForError("127.0.0.2/32 is denied"));
  ExpectEchoes(address, "others");
}

TEST(EchoBinaryTest, APeerAboveItsCapIsReset) {
  EchoProcess server({"--listen=127.0.0.1:0", "--max_connections_per_peer=1"});
  const SocketAddress address = server.NextAddress();
  Peer first = Peer::ConnectedTo(address);
  first.Send("x");
  EXPECT_EQ(first.Receive(1), "x");
  Peer second = Peer::ConnectedTo(address);
  second.ReceiveAll();
  EXPECT_TRUE(second.was_reset());
  first.Send("y");
  EXPECT_EQ(first.Receive(1), "y");
}

TEST(EchoBinaryTest, ARateHoldsReadingBackAndNothingIsLost) {
  EchoProcess server({"--listen=127.0.0.1:0", "--read_rate=1MiB"});
  Peer peer = Peer::ConnectedTo(server.NextAddress());
  const std::string bytes(300'000, 'x');  // Three times the burst.
  peer.Send(bytes);
  EXPECT_EQ(peer.Receive(bytes.size()), bytes);
  server.process().Signal(SIGUSR1);
  ASSERT_TRUE(server.process().WaitForError("pauses for rates: "));
  peer.Close();
  server.process().Signal(SIGTERM);
  EXPECT_THAT(server.process().Wait().err, Not(HasSubstr("pauses for rates: 0 of reading")));
}

TEST(EchoBinaryTest, SigUsr1TellsWhatConnectionsAreUpTo) {
  EchoProcess server({"--listen=127.0.0.1:0", "--flight_recorder", "--measure_turns"});
  Peer peer = Peer::ConnectedTo(server.NextAddress());
  peer.Send("hello");
  EXPECT_EQ(peer.Receive(5), "hello");
  server.process().Signal(SIGUSR1);
  ASSERT_TRUE(server.process().WaitForError("echo: 1 connections open"));
  ASSERT_TRUE(server.process().WaitForError("the longest turn"));
  ASSERT_TRUE(server.process().WaitForError(peer.local_address().ToString()));
  ASSERT_TRUE(server.process().WaitForError("wrote 5"));
  peer.Send("again");
  EXPECT_EQ(peer.Receive(5), "again");
}

TEST(EchoBinaryTest, IdleConnectionsAreClosed) {
  EchoProcess server({"--listen=127.0.0.1:0", "--idle_timeout=10ms"});
  Peer peer = Peer::ConnectedTo(server.NextAddress());
  EXPECT_EQ(peer.ReceiveAll(), "");
}

TEST(EchoBinaryTest, OverTheCapConnectionsWait) {
  EchoProcess server({"--listen=127.0.0.1:0", "--max_connections=1"});
  const SocketAddress address = server.NextAddress();
  Peer first = Peer::ConnectedTo(address);
  first.Send("x");
  EXPECT_EQ(first.Receive(1), "x");
  Peer second = Peer::ConnectedTo(address);  // By the kernel.
  second.Send("y");
  first.Send("z");
  EXPECT_EQ(first.Receive(1), "z");
  EXPECT_EQ(second.ReceiveSome(), "");
  first.Close();
  EXPECT_EQ(second.Receive(1), "y");
}

}  // namespace
}  // namespace millrace
