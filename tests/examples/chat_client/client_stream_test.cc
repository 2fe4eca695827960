// SPDX-License-Identifier: Apache-2.0
//
// The client in a pipe, as scripts use it.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/random.h"
#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/socket_address.h"
#include "tests/examples/chat_client/chat_server_script.h"
#include "tests/support/child_process.h"
#include "tests/support/peer.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kClient[] = "examples/chat/terminal/client";

class ClientStreamTest : public ::testing::Test {
 protected:
  // With a pipe for its stdin, of which keys_ is the other end.
  void Start(const std::vector<std::string>& flags = {}) {
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    keys_.Reset(fds[1]);
    StartReading(UniqueFd(fds[0]), flags);
  }
  // `rest` follows the command, in a shell.
  void StartReading(UniqueFd input, const std::vector<std::string>& flags = {},
                    absl::string_view rest = "") {
    const std::string command =
        absl::StrCat(rest.empty() ? "exec " : "", kClient, " ", server_.connect_flag(), " ",
                     absl::StrJoin(flags, " "), rest);
    // A child process gets our stdin: for that moment, `input` is it.
    const UniqueFd own(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
    CHECK_EQ(dup2(input.get(), STDIN_FILENO), STDIN_FILENO);
    client_ = std::make_unique<ChildProcess>(std::vector<std::string>{"/bin/bash", "-c", command});
    own.valid() ? dup2(own.get(), STDIN_FILENO) : close(STDIN_FILENO);
  }
  void Type(absl::string_view text) {
    ASSERT_EQ(write(keys_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void EndInput() { keys_.Reset(); }
  // Other runs of this test may have the same process id, in a sandbox.
  static SocketAddress OwnUnixAddress() {
    return SocketAddress::Unix(absl::StrCat("@chat-client-test-", Random::FromEntropy().Next()));
  }
  // A file that begins with `text`, to be read.
  static UniqueFd FileWith(absl::string_view text) {
    const UniqueFd file(memfd_create("input", MFD_CLOEXEC));
    CHECK_EQ(pwrite(file.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return UniqueFd(open(absl::StrCat("/proc/self/fd/", file.get()).c_str(), O_RDONLY | O_CLOEXEC));
  }

  ChatServerScript server_;
  UniqueFd keys_;
  std::unique_ptr<ChildProcess> client_;
};

TEST_F(ClientStreamTest, SendsLinesAndPrintsWhatComesAsItIs) {
  Start();
  Peer peer = server_.Accept();
  Type("hi\nthere\n");
  EXPECT_EQ(LineFrom(peer), "hi");
  EXPECT_EQ(LineFrom(peer), "there");
  peer.Send("[lobby] eve: \033[2J\xFF\n");
  EXPECT_EQ(client_->ReadLine(), "[lobby] eve: \033[2J\xFF");
  peer.Send("* two\r\n* three\n* cut");
  EXPECT_EQ(client_->ReadLine(), "* two");
  EXPECT_EQ(client_->ReadLine(), "* three");
  EndInput();
  EXPECT_EQ(peer.ReceiveAll(), "");
  peer.Close();
  const ChildProcess::Result result = client_->Wait();
  EXPECT_EQ(result.out, "* cut\n") << "a line, though the server did not end it";
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.exit_code, 0);
}

TEST_F(ClientStreamTest, TheEndOfInputIsAHalfCloseAndTheAnswersStillCome) {
  Start();
  Type("hi");
  EndInput();
  Peer peer = server_.Accept();
  EXPECT_EQ(peer.ReceiveAll(), "hi\n") << "with the newline that was missing";
  peer.Send("[lobby] guest1: hi\n");
  EXPECT_EQ(client_->ReadLine(), "[lobby] guest1: hi");
  peer.Send("* goodbye\n");
  peer.Close();
  const ChildProcess::Result result = client_->Wait();
  EXPECT_EQ(result.out, "* goodbye\n");
  EXPECT_EQ(result.exit_code, 0);
}

TEST_F(ClientStreamTest, AFileIsSentToItsEnd) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) absl::StrAppend(&text, "line ", i, "\n");
  StartReading(FileWith(text), {"--name=bob"});
  Peer peer = server_.Accept();
  EXPECT_EQ(peer.ReceiveAll(), absl::StrCat("/nick bob\n", text));
  peer.Close();
  EXPECT_EQ(client_->Wait().exit_code, 0);
}

TEST_F(ClientStreamTest, NothingAtAllIsAnEndAsWell) {
  StartReading(UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)));
  Peer peer = server_.AcceptAs("guest1");
  EXPECT_EQ(peer.ReceiveAll(), "");
  peer.Close();
  const ChildProcess::Result result = client_->Wait();
  EXPECT_THAT(result.out, StartsWith("* welcome, guest1"));
  EXPECT_EQ(result.exit_code, 0);
}

// Were it to stop reading while its own output waits, neither side would move: see ChatLink. Over a
// Unix socket, because there both sides' buffers are small.
TEST_F(ClientStreamTest, AServerThatSpeaksBeforeItListensIsHeard) {
  constexpr int kLines = 160'000;
  const std::string line(99, 'x');
  std::string all;
  for (int i = 0; i < kLines; ++i) absl::StrAppend(&all, line, "\n");
  server_ = ChatServerScript(OwnUnixAddress());
  StartReading(FileWith(all), {}, " | wc -l");
  Peer peer = server_.Accept();
  peer.Send(all);
  EXPECT_EQ(peer.Receive(all.size()), all);
  EXPECT_EQ(peer.ReceiveAll(), "");
  peer.Close();
  EXPECT_EQ(client_->Wait().out, absl::StrCat(kLines, "\n"));
}

TEST_F(ClientStreamTest, WhatNoServerTakesIsRefusedAndTheRestIsSent) {
  Start();
  Type(absl::StrCat("one\n", std::string(4096, 'a'), "\n", std::string(4096, 'b'), "\r\n"));
  Type(absl::StrCat(std::string(4097, 'c'), "\n", std::string(30'000, 'd'), "\n\xFF\nt\rwo\n"));
  EndInput();
  Peer peer = server_.Accept();
  EXPECT_EQ(LineFrom(peer), "one");
  EXPECT_EQ(LineFrom(peer), std::string(4096, 'a'));
  EXPECT_EQ(LineFrom(peer), std::string(4096, 'b'));
  EXPECT_EQ(LineFrom(peer), "t\rwo");
  peer.Close();
  const ChildProcess::Result result = client_->Wait();
  EXPECT_EQ(result.exit_code, 1) << "not all was said";
  EXPECT_EQ(result.err,
            "! not sent: line too long: 4097 bytes, and at most 4096 can be sent\n"
            "! not sent: line too long: 30000 bytes, and at most 4096 can be sent\n"
            "! not sent: not valid UTF-8\n");
}

TEST_F(ClientStreamTest, AfterALossItConnectsAgainAndSendsWhatCameMeanwhile) {
  Start({"--name=bob"});
  auto peer = std::make_unique<Peer>(server_.AcceptAs("guest1"));
  EXPECT_EQ(LineFrom(*peer), "/nick bob");
  peer->Send("* guest1 is now bob\n* you are in attic\n");
  EXPECT_THAT(client_->ReadLine(), StartsWith("* welcome, guest1"));
  EXPECT_EQ(client_->ReadLine(), "* guest1 is now bob");
  EXPECT_EQ(client_->ReadLine(), "* you are in attic");
  server_.StopListening();
  peer->Close();
  ASSERT_TRUE(client_->WaitForError("* connection lost: the server closed it; trying again\n"));
  Type("meanwhile\n");
  server_.ListenAgain();
  peer = std::make_unique<Peer>(server_.Accept());
  EXPECT_EQ(LineFrom(*peer), "/nick bob");
  EXPECT_EQ(LineFrom(*peer), "/join attic");
  EXPECT_EQ(LineFrom(*peer), "meanwhile");
  EXPECT_TRUE(client_->WaitForError("* connected again\n"));
  EndInput();
  peer.reset();
}

TEST_F(ClientStreamTest, AResetIsALossWithItsReason) {
  Start();
  Peer peer = server_.Accept();
  Type("x\n");
  EXPECT_EQ(LineFrom(peer), "x");
  peer.Reset();
  EXPECT_TRUE(client_->WaitForError("Connection reset by peer; trying again\n"));
}

TEST_F(ClientStreamTest, AResetAfterTheEndOfInputIsAnError) {
  Start();
  Type("x\n");
  EndInput();
  Peer peer = server_.Accept();
  EXPECT_EQ(peer.ReceiveAll(), "x\n");
  peer.Reset();
  const ChildProcess::Result result = client_->Wait();
  EXPECT_THAT(result.err, HasSubstr("Connection reset by peer"));
  EXPECT_EQ(result.exit_code, 1);
}

TEST_F(ClientStreamTest, QuitIsTheLastLine) {
  Start();
  Type("hi\n/quit\nnever\n");
  Peer peer = server_.Accept();
  EXPECT_EQ(peer.ReceiveAll(), "hi\n/quit\n");
  peer.Send("[lobby] guest1: hi\n");
  peer.Close();
  const ChildProcess::Result result = client_->Wait();
  EXPECT_EQ(result.out, "[lobby] guest1: hi\n");
  EXPECT_EQ(result.exit_code, 0);
}

TEST_F(ClientStreamTest, AnInterruptEndsIt) {
  Start();
  Peer peer = server_.AcceptAs("guest1");
  client_->ReadLine();
  client_->Signal(SIGINT);
  EXPECT_EQ(client_->Wait().exit_code, 130);
}

TEST_F(ClientStreamTest, AnOutputThatTakesNothingIsAnError) {
  StartReading(FileWith(""), {}, " >/dev/full");
  Peer peer = server_.AcceptAs("guest1");
  const ChildProcess::Result result = client_->Wait();
  EXPECT_EQ(result.err, "client: stdout: write: No space left on device\n");
  EXPECT_EQ(result.exit_code, 1);
}

TEST_F(ClientStreamTest, AnOutputThatNobodyReadsIsAnError) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const UniqueFd write_end(fds[1]);
  close(fds[0]);
  StartReading(FileWith(""), {}, absl::StrCat(" >&", write_end.get()));
  Peer peer = server_.AcceptAs("guest1");
  const ChildProcess::Result result = client_->Wait();
  EXPECT_EQ(result.err, "client: stdout: write: Broken pipe\n");
  EXPECT_EQ(result.exit_code, 1);
}

TEST_F(ClientStreamTest, AFolderIsNoInput) {
  StartReading(UniqueFd(open("/", O_RDONLY | O_CLOEXEC)));
  Peer peer = server_.Accept();
  const ChildProcess::Result result = client_->Wait();
  EXPECT_EQ(result.err, "client: stdin: Is a directory\n");
  EXPECT_EQ(result.exit_code, 1);
}

TEST_F(ClientStreamTest, AFirstConnectionThatFailsIsAnErrorInOneLine) {
  server_.StopListening();
  Start();
  const ChildProcess::Result result = client_->Wait();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, absl::StrCat("client: connect ", server_.address(),
                                     ": socket error: Connection refused\n"));
}

TEST_F(ClientStreamTest, TalksToAUnixSocket) {
  server_ = ChatServerScript(OwnUnixAddress());
  Start();
  Peer peer = server_.AcceptAs("guest1");
  EXPECT_THAT(client_->ReadLine(), StartsWith("* welcome, guest1"));
}

void ExpectRefused(const std::string& flag, absl::string_view reason) {
  const ChildProcess::Result result = RunProgram({kClient, flag});
  EXPECT_EQ(result.exit_code, 1) << flag;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, StartsWith(absl::StrCat("client: ", flag)));
  EXPECT_THAT(result.err, HasSubstr(reason));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
}

TEST_F(ClientStreamTest, BadFlagsAreRefusedInOneLine) {
  ExpectRefused("--connect=nowhere", "nowhere");
  ExpectRefused("--name=no spaces", "must be 1 to 32 of");
  ExpectRefused(absl::StrCat("--name=", std::string(33, 'x')), "must be 1 to 32 of");
  ExpectRefused("--room=", "must be 1 to 32 of");
  ExpectRefused("--listen", "no such flag");
}

TEST_F(ClientStreamTest, HelpListsItsFlags) {
  const ChildProcess::Result result = RunProgram({kClient, "--help"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* flag : {"--connect=ADDRESS", "--name=NAME", "--room=ROOM", "127.0.0.1:7008"}) {
    EXPECT_THAT(result.out, HasSubstr(flag));
  }
}

}  // namespace
}  // namespace millrace
