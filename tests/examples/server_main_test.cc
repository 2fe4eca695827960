// SPDX-License-Identifier: Apache-2.0
//
// What ServerMain() does for programs that ask more of it than echo does; see echo_binary_test for
// the rest.
#include "examples/server/server_main.h"

#include <signal.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/socket_address.h"
#include "tests/support/child_process.h"
#include "tests/support/peer.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

constexpr char kGreeter[] = "tests/examples/greeter";

TEST(ServerMainTest, FlagsAndHandlersOfItsOwnMeet) {
  ChildProcess server({kGreeter, "--listen=127.0.0.1:0", "--threads=3", "--text=good day"});
  const std::string line = server.ReadLine();
  const auto address = SocketAddress::Parse(absl::StripPrefix(line, "listening on "));
  ASSERT_TRUE(address.ok()) << line;
  Peer peer = Peer::ConnectedTo(*address);
  EXPECT_EQ(peer.Receive(16), "good day from 3\n");

  server.Signal(SIGTERM);
  EXPECT_EQ(peer.ReceiveAll(), "goodbye\n");
  peer.Close();
  const ChildProcess::Result result = server.Wait();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("told before all others"));
}

// The flags are read long before anybody watches signals.
TEST(ServerMainTest, SignalsThatComeEarlyAreHeardWhenTheLoopRuns) {
  signal(SIGHUP, SIG_DFL);  // Whoever runs the tests may ignore it.
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    ChildProcess server(
        {kGreeter, "--listen=127.0.0.1:0", absl::StrCat("--early_signal=", number)});
    const ChildProcess::Result result = server.Wait();
    EXPECT_FALSE(result.killed) << number;
    EXPECT_EQ(result.exit_code, 0) << number;
    EXPECT_THAT(result.err, HasSubstr("drained 0 connections"));
  }
  ChildProcess server({kGreeter, "--listen=127.0.0.1:0", absl::StrCat("--early_signal=", SIGUSR1)});
  EXPECT_TRUE(server.WaitForError("greeter: 0 connections open"));
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait().exit_code, 0);
}

TEST(ServerMainTest, AProgramThatCannotBeginSaysWhyAndExitsWithOne) {
  const ChildProcess::Result result =
      RunProgram({kGreeter, "--listen=127.0.0.1:0", "--text=nothing"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "greeter: --text=nothing: says nothing\n");
}

TEST(ServerMainTest, HelpHasItsFlagsAndItsPort) {
  const ChildProcess::Result result = RunProgram({kGreeter, "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("Greets.\n"));
  EXPECT_THAT(result.out, HasSubstr("(default 127.0.0.1:1)"));
  EXPECT_THAT(result.out, HasSubstr("--text=TEXT"));
}

}  // namespace
}  // namespace millrace
