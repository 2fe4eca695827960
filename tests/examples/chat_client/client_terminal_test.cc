// SPDX-License-Identifier: Apache-2.0
//
// The client as people meet it: on a terminal, with a server that says what the test has it say.

#include <signal.h>
#include <termios.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/chat_client/chat_server_script.h"
#include "tests/examples/chat_client/pty_process.h"
#include "tests/support/peer.h"

namespace millrace {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kWelcome[] = "* welcome, guest1: you are in lobby, and /help lists the commands";
constexpr char kPrompt[] = "[lobby] guest1>";

bool IsRaw(const termios& mode) { return (mode.c_lflag & (ICANON | ECHO)) == 0; }

class ClientTerminalTest : public ::testing::Test {
 protected:
  // A client that is connected, and has drawn its prompt.
  void Start(std::vector<std::string> flags = {}, PtyProcess::Options options = {}) {
    flags.insert(flags.begin(), {"examples/chat/terminal/client", server_.connect_flag()});
    client_ = std::make_unique<PtyProcess>(flags, options);
    before_ = client_->Mode();
    peer_ = std::make_unique<Peer>(server_.Accept());
  }
  void StartWelcomed(PtyProcess::Options options = {}) {
    Start({}, options);
    Say(kWelcome);
    ASSERT_TRUE(client_->WaitForInput(kPrompt));
  }
  void Say(absl::string_view line) { peer_->Send(absl::StrCat(line, "\n")); }
  // Its connection is cut, and made again.
  void Reconnect() {
    peer_->Close();
    ASSERT_TRUE(client_->WaitForRow("* connection lost: the server closed it; trying again"));
    peer_ = std::make_unique<Peer>(server_.Accept());
    ASSERT_TRUE(client_->WaitForRow("* connected again"));
  }
  // It ends so, and its terminal is as it was.
  void ExpectEnd(int code) {
    EXPECT_EQ(client_->Wait(), code);
    const termios after = client_->Mode();
    EXPECT_EQ(after.c_lflag, before_.c_lflag);
    EXPECT_EQ(after.c_iflag, before_.c_iflag);
    EXPECT_EQ(after.c_oflag, before_.c_oflag);
    EXPECT_EQ(client_->screen().cursor_row(), "") << "the shell's prompt comes here";
    EXPECT_THAT(client_->screen().strange(), IsEmpty());
  }

  ChatServerScript server_;
  std::unique_ptr<PtyProcess> client_;
  std::unique_ptr<Peer> peer_;
  termios before_ = {};
};

TEST_F(ClientTerminalTest, ALineThatIsTypedIsSentAndItsEchoIsMarked) {
  StartWelcomed();
  client_->Type("hello\r");
  EXPECT_EQ(LineFrom(*peer_), "hello");
  Say("[lobby] guest1: hello");
  EXPECT_TRUE(client_->WaitForRow("> [lobby] guest1: hello"));
  Say("[lobby] alice: hi");
  EXPECT_TRUE(client_->WaitForRow("  [lobby] alice: hi"));
  EXPECT_TRUE(client_->WaitForInput(kPrompt));
}

TEST_F(ClientTerminalTest, WhatOthersSayLeavesTheTypedTextWhole) {
  StartWelcomed();
  client_->Type("half a sen\033[D\033[D");
  ASSERT_TRUE(client_->WaitForInput(absl::StrCat(kPrompt, " half a sen")));
  for (int i = 0; i < 3; ++i) Say(absl::StrCat("[lobby] alice: ", i));
  ASSERT_TRUE(client_->WaitForRow("  [lobby] alice: 2"));
  ASSERT_TRUE(client_->WaitForInput(absl::StrCat(kPrompt, " half a sen")));
  EXPECT_THAT(client_->screen().rows(),
              ElementsAre(kWelcome, "  [lobby] alice: 0", "  [lobby] alice: 1",
                          "  [lobby] alice: 2", absl::StrCat(kPrompt, " half a sen")));
  client_->Type("X\r");
  EXPECT_EQ(LineFrom(*peer_), "half a sXen") << "the cursor stayed, too";
}

TEST_F(ClientTerminalTest, ThePromptFollowsNameAndRoom) {
  StartWelcomed();
  Say("* guest1 is now bob");
  EXPECT_TRUE(client_->WaitForInput("[lobby] bob>"));
  Say("* you are in attic");
  EXPECT_TRUE(client_->WaitForInput("[attic] bob>"));
  Say("* alice is now carol");
  Say("[attic] bob: mine");
  EXPECT_TRUE(client_->WaitForRow("> [attic] bob: mine"));
  EXPECT_TRUE(client_->WaitForInput("[attic] bob>"));
}

TEST_F(ClientTerminalTest, NameAndRoomAreAskedForBeforeAnythingElse) {
  Start({"--name=bob", "--room=attic"});
  client_->Type("hello\r");
  EXPECT_EQ(LineFrom(*peer_), "/nick bob");
  EXPECT_EQ(LineFrom(*peer_), "/join attic");
  EXPECT_EQ(LineFrom(*peer_), "hello");
}

TEST_F(ClientTerminalTest, AfterALossItGoesBackToWhoAndWhereItWas) {
  StartWelcomed();
  Say("* guest1 is now bob");
  Say("* you are in attic");
  ASSERT_TRUE(client_->WaitForInput("[attic] bob>"));
  client_->Type("half");
  ASSERT_TRUE(client_->WaitForInput("[attic] bob> half"));
  Reconnect();
  EXPECT_EQ(LineFrom(*peer_), "/nick bob");
  EXPECT_EQ(LineFrom(*peer_), "/join attic");
  Say("* welcome, guest2: you are in lobby, and /help lists the commands");
  Say("! name taken");
  EXPECT_TRUE(client_->WaitForRow("! name taken"));
  EXPECT_TRUE(client_->WaitForInput("[lobby] guest2> half"));
  Reconnect();
  EXPECT_EQ(LineFrom(*peer_), "/nick bob") << "it may be free by now";
}

TEST_F(ClientTerminalTest, EnterWithoutAConnectionKeepsTheLine) {
  StartWelcomed();
  server_.StopListening();
  peer_->Close();
  ASSERT_TRUE(client_->WaitForInput("(offline)"));
  client_->Type("patience\r");
  ASSERT_TRUE(client_->WaitForRow("! not sent: not connected; the line stays here"));
  ASSERT_TRUE(client_->WaitForInput("(offline) patience"));
  server_.ListenAgain();
  peer_ = std::make_unique<Peer>(server_.AcceptAs("guest1"));
  ASSERT_TRUE(client_->WaitForInput(absl::StrCat(kPrompt, " patience")));
  client_->Type("\r");
  EXPECT_EQ(LineFrom(*peer_), "/nick guest1");
  EXPECT_EQ(LineFrom(*peer_), "patience");
}

TEST_F(ClientTerminalTest, WithoutAConnectionOneCanLeaveAllTheSame) {
  StartWelcomed();
  server_.StopListening();
  peer_->Close();
  ASSERT_TRUE(client_->WaitForInput("(offline)"));
  client_->Type("/quit\r");
  ExpectEnd(0);
}

TEST_F(ClientTerminalTest, WhatNoServerTakesIsNotSent) {
  StartWelcomed();
  client_->Type("caf\xE9\r");
  ASSERT_TRUE(client_->WaitForRow("! not sent: not valid UTF-8; the line stays here"));
  ASSERT_TRUE(client_->WaitForInput(absl::StrCat(kPrompt, " caf\\xE9")));
  client_->Type("\177\u00E9\r");
  EXPECT_EQ(LineFrom(*peer_), "caf\u00E9");
  client_->Type(std::string(4097, 'x'));
  client_->Type("\r");
  ASSERT_TRUE(client_->WaitForRow(
      "! not sent: line too long: 4097 bytes, and at most 4096 can be sent; the "
      "line st"));
  client_->Type("\177\r");
  EXPECT_EQ(LineFrom(*peer_), std::string(4096, 'x'));
}

TEST_F(ClientTerminalTest, ALongLineStaysOnOneRow) {
  StartWelcomed({.columns = 40});
  client_->Type("0123456789 0123456789 0123456789");
  EXPECT_TRUE(client_->WaitForInput("[lobby] guest1> 9 0123456789 0123456789"));
  client_->Type("\001");
  EXPECT_TRUE(client_->WaitForInput("[lobby] guest1> 0123456789 0123456789 0"));
  client_->Resize(30);
  EXPECT_TRUE(client_->WaitForInput("> 0123456789 0123456789 01234"));
}

TEST_F(ClientTerminalTest, EscapeSequencesOfOthersAreShownAndNotObeyed) {
  StartWelcomed();
  Say("[lobby] eve: \033[2J\033]0;owned\a\u009B1m\xFF");
  EXPECT_TRUE(client_->WaitForRow("  [lobby] eve: ^[[2J^[]0;owned^G\\u009B1m\\xFF"));
  EXPECT_THAT(client_->screen().strange(), IsEmpty());
  EXPECT_THAT(client_->screen().rows(), Contains(kWelcome));
}

TEST_F(ClientTerminalTest, ColoursAreThereUnlessNobodyWantsThem) {
  StartWelcomed();
  EXPECT_THAT(client_->screen().colours(), Not(IsEmpty()));
  StartWelcomed({.environment = {"TERM=xterm", "NO_COLOR=1"}});
  EXPECT_THAT(client_->screen().colours(), IsEmpty());
}

TEST_F(ClientTerminalTest, ADumbTerminalGetsPlainLines) {
  Start({}, {.environment = {"TERM=dumb"}});
  Say(kWelcome);
  Say("[lobby] eve: \033[2J");
  ASSERT_TRUE(client_->WaitForRow("  [lobby] eve: ^[[2J"));
  EXPECT_FALSE(IsRaw(client_->Mode()));
  client_->Type("hello\n");
  EXPECT_EQ(LineFrom(*peer_), "hello");
  Say("[lobby] guest1: hello");
  EXPECT_TRUE(client_->WaitForRow("> [lobby] guest1: hello"));
  client_->Type("\004");
  EXPECT_EQ(peer_->ReceiveAll(), "");
  peer_->Close();
  ExpectEnd(0);
  EXPECT_THAT(client_->screen().colours(), IsEmpty());
}

TEST_F(ClientTerminalTest, QuitLeavesOnceTheServerHasClosed) {
  StartWelcomed();
  EXPECT_TRUE(IsRaw(client_->Mode()));
  client_->Type("/quit\r");
  EXPECT_EQ(peer_->ReceiveAll(), "/quit\n");
  Say("* the last word");
  peer_->Close();
  ExpectEnd(0);
  EXPECT_THAT(client_->screen().rows(), Contains("* the last word"));
}

TEST_F(ClientTerminalTest, AServerThatNeverClosesIsLeftInTheEnd) {
  StartWelcomed();
  client_->Type("/quit\r");
  ExpectEnd(0);
}

TEST_F(ClientTerminalTest, CtrlDOnAnEmptyLineLeaves) {
  StartWelcomed();
  client_->Type("\004");
  EXPECT_EQ(peer_->ReceiveAll(), "");
  peer_->Close();
  ExpectEnd(0);
}

TEST_F(ClientTerminalTest, CtrlCPutsTheTerminalBack) {
  StartWelcomed();
  client_->Type("abc\003");
  ExpectEnd(130);
}

TEST_F(ClientTerminalTest, EverySignalThatEndsItPutsTheTerminalBack) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    StartWelcomed();
    client_->Signal(number);
    ExpectEnd(128 + number);
  }
}

TEST_F(ClientTerminalTest, AStopFromOutsideIsUndoneByAContinuation) {
  StartWelcomed();
  client_->Type("half");
  ASSERT_TRUE(client_->WaitForInput(absl::StrCat(kPrompt, " half")));
  client_->Signal(SIGSTOP);
  ASSERT_TRUE(client_->WaitForStop());
  client_->Signal(SIGCONT);
  client_->Type(" a line\r");
  EXPECT_EQ(LineFrom(*peer_), "half a line");
  EXPECT_TRUE(IsRaw(client_->Mode()));
}

TEST_F(ClientTerminalTest, AConnectionThatFailsLeavesTheTerminalAlone) {
  server_.StopListening();
  PtyProcess client({"examples/chat/terminal/client", server_.connect_flag()});
  EXPECT_TRUE(client.WaitForRow(
      absl::StrCat("client: connect ", server_.address(), ": socket error: Connection refused")));
  EXPECT_EQ(client.Wait(), 1);
  EXPECT_FALSE(IsRaw(client.Mode()));
}

TEST_F(ClientTerminalTest, CtrlLClearsAndDrawsAgain) {
  StartWelcomed();
  client_->Type("abc\014");
  ASSERT_TRUE(client_->WaitForInput(absl::StrCat(kPrompt, " abc")));
  client_->Type("d");
  ASSERT_TRUE(client_->WaitForInput(absl::StrCat(kPrompt, " abcd")));
  EXPECT_THAT(client_->screen().rows(), ElementsAre(absl::StrCat(kPrompt, " abcd")));
}

// What a shell does: the terminal is another one's until it has the client go on.
TEST_F(ClientTerminalTest, CtrlZStopsItWithTheTerminalPutBackAndFgDrawsAgain) {
  PtyProcess shell({"/bin/bash", "--norc", "--noprofile", "-i"});
  shell.Type(
      absl::StrCat("PS1='$ '; examples/chat/terminal/client ", server_.connect_flag(), "\n"));
  Peer peer = server_.AcceptAs("guest1");
  ASSERT_TRUE(shell.WaitForInput(kPrompt));
  shell.Type("half");
  ASSERT_TRUE(shell.WaitForInput(absl::StrCat(kPrompt, " half")));
  shell.Type("\032");
  ASSERT_TRUE(shell.WaitForInput("$"));
  shell.Type("stty -a | grep -ow icanon\n");
  EXPECT_TRUE(shell.WaitForRow("icanon"));
  ASSERT_TRUE(shell.WaitForInput("$"));
  shell.Type("fg\n");
  ASSERT_TRUE(shell.WaitForInput(absl::StrCat(kPrompt, " half")));
  shell.Type(" a line\r");
  EXPECT_EQ(LineFrom(peer), "half a line");
  shell.Type("\003");
  ASSERT_TRUE(shell.WaitForInput("$"));
  shell.Type("echo code $?\n");
  EXPECT_TRUE(shell.WaitForRow("code 130"));
}

}  // namespace
}  // namespace millrace
