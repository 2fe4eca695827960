// SPDX-License-Identifier: Apache-2.0
//
// The load client as its users and their scripts meet it: output, files and exit codes.

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "net/codec/length_prefix_codec.h"
#include "net/function_handler.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "tests/support/child_process.h"
#include "tests/support/server_thread.h"
#include "tests/tools/loadgen/json_reader.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

void Echo(TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); }

void Spoil(TcpConnection& conn, Buffer& input) {
  input.data()[0] ^= 1;
  conn.Send(std::move(input));
}

ChildProcess::Result RunLoadgen(std::vector<std::string> flags) {
  flags.insert(flags.begin(), "tools/loadgen/loadgen");
  return RunProgram(flags);
}

// Against `server`, for a short time.
ChildProcess::Result RunAgainst(const ServerThread& server, std::vector<std::string> flags) {
  flags.insert(flags.begin(), {absl::StrCat("--connect=", server.addresses()[0]),
                               "--connections=10", "--duration=100ms", "--warmup=0s"});
  return RunLoadgen(std::move(flags));
}

std::vector<std::string> KeysOf(absl::string_view json) {
  std::vector<std::string> keys;
  for (auto& [key, value] : ReadJson(json)) keys.push_back(key);
  return keys;
}

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

const std::vector<std::string> kKeys = {
    "mode",           "connections",     "message_bytes",    "pipeline",
    "rate",           "seconds",         "messages",         "messages_per_second",
    "mib_per_second", "latency_us.min",  "latency_us.p50",   "latency_us.p90",
    "latency_us.p99", "latency_us.p999", "latency_us.p9999", "latency_us.max"};

class LoadgenBinaryTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(folder_.data()), nullptr); }
  void TearDown() override {
    unlink(path().c_str());
    unlink(page_path().c_str());
    rmdir(folder_.c_str());
  }
  std::string path() const { return folder_ + "/result.json"; }
  std::string page_path() const { return folder_ + "/result.html"; }

  std::string folder_ = "/tmp/loadgen_binary_test.XXXXXX";
};

TEST_F(LoadgenBinaryTest, AGoodRunShowsATableAndExitsWithZero) {
  ServerThread server({.on_data = Echo});
  for (const char* mode : {"echo", "churn", "idle"}) {
    const ChildProcess::Result result = RunAgainst(server, {absl::StrCat("--mode=", mode)});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "") << "no progress where there is no terminal";
    EXPECT_THAT(result.out, StartsWith("connections                 10\n"));
    EXPECT_THAT(result.out, HasSubstr("\nerrors                       0\n"));
    EXPECT_THAT(result.out, HasSubstr("\n  p99.99 "));
  }
}

TEST_F(LoadgenBinaryTest, JsonOnStdoutStandsAlone) {
  ServerThread server({.on_data = Echo});
  const ChildProcess::Result result = RunAgainst(server, {"--json=-", "--pipeline=3"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(KeysOf(result.out), kKeys);
  const auto values = ReadJson(result.out);
  const std::map<std::string, std::string> by_key(values.begin(), values.end());
  EXPECT_EQ(by_key.at("mode"), "\"echo\"");
  EXPECT_EQ(by_key.at("connections"), "10");
  EXPECT_EQ(by_key.at("message_bytes"), "64");
  EXPECT_EQ(by_key.at("pipeline"), "3");
  EXPECT_EQ(by_key.at("rate"), "0");
  EXPECT_EQ(by_key.at("seconds"), "0.100000");
}

TEST_F(LoadgenBinaryTest, WithARateTheTableTellsWhatBecameOfIt) {
  ServerThread server({.on_data = Echo});
  const ChildProcess::Result result =
      RunAgainst(server, {"--rate=500", absl::StrCat("--json=", path())});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\nrate asked                 500\n"));
  EXPECT_THAT(result.out, HasSubstr("\nrate achieved "));
  EXPECT_THAT(result.out, HasSubstr("\nsent late p99 "));
  EXPECT_EQ(KeysOf(TextOf(path())), kKeys);
  EXPECT_THAT(TextOf(path()), HasSubstr("\"rate\": 500,"));
}

TEST_F(LoadgenBinaryTest, AReportIsAPageWithTheSameFigures) {
  ServerThread server({.on_data = Echo});
  std::ofstream(page_path()) << std::string(100'000, 'x');  // It is replaced as a whole.
  const ChildProcess::Result result =
      RunAgainst(server, {absl::StrCat("--report=", page_path()), "--rate=500"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, StartsWith("connections "));
  const std::string page = TextOf(page_path());
  EXPECT_THAT(page, StartsWith("<!DOCTYPE html>"));
  EXPECT_THAT(page, testing::EndsWith("</html>\n"));
  EXPECT_THAT(page, HasSubstr(absl::StrCat("<pre>loadgen --connect=", server.addresses()[0])));
  EXPECT_THAT(page, HasSubstr("<th>rate asked</th><td>500</td>"));
  const size_t svg = page.find("<svg");
  EXPECT_NE(page.find("<svg", svg + 1), std::string::npos) << "two charts";
}

TEST_F(LoadgenBinaryTest, AReportIsWrittenAlsoOfABadRun) {
  ServerThread server({.on_data = Spoil});
  const ChildProcess::Result result = RunAgainst(server, {absl::StrCat("--report=", page_path())});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(TextOf(page_path()), HasSubstr("10 errors, the first: connection "));
}

TEST_F(LoadgenBinaryTest, ARateInAnotherModeIsRefused) {
  for (const char* mode : {"churn", "idle"}) {
    const ChildProcess::Result result = RunLoadgen({"--rate=5", absl::StrCat("--mode=", mode)});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err,
              absl::StrCat("loadgen: rate is for mode echo only, not for ", mode, "\n"));
  }
}

TEST_F(LoadgenBinaryTest, InterruptedItTellsWhatItHadMeasured) {
  absl::Notification under_way;
  std::atomic<int> messages{0};
  ServerThread server({.on_data = [&](TcpConnection& conn, Buffer& input) {
    Echo(conn, input);
    if (++messages == 1000) under_way.Notify();
  }});
  ChildProcess loadgen({"tools/loadgen/loadgen", "--connections=10", "--duration=1h", "--warmup=0s",
                        absl::StrCat("--connect=", server.addresses()[0]), "--json=-"});
  under_way.WaitForNotification();
  loadgen.Signal(SIGINT);
  const ChildProcess::Result result = loadgen.Wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto values = ReadJson(result.out);
  const std::map<std::string, std::string> by_key(values.begin(), values.end());
  EXPECT_THAT(by_key.at("messages"), Not(StartsWith("0")));
  EXPECT_THAT(result.err, HasSubstr("\nloadgen: interrupted after "));
  EXPECT_THAT(result.err, HasSubstr(" s of 3600.00 s\n"));
}

// One of two connections comes and goes; the other one waits for room in a queue that has none.
TEST_F(LoadgenBinaryTest, InterruptedWhileItConnectsItHasMeasuredNothing) {
  const SocketAddress full = SocketAddress::Unix(folder_ + "/socket");
  Socket listener = Socket::CreateFor(full).value(), first = Socket::CreateFor(full).value();
  ASSERT_TRUE(listener.Bind(full).ok());
  ASSERT_TRUE(listener.Listen(0).ok());
  ASSERT_TRUE(first.Connect(full).ok());
  absl::Notification under_way;
  bool told = false;  // The server's one worker's.
  ServerThread server({.on_data = [&](TcpConnection& conn, Buffer& input) {
    Echo(conn, input);
    if (!std::exchange(told, true)) under_way.Notify();
  }});
  ChildProcess loadgen({"tools/loadgen/loadgen", "--mode=churn", "--connections=2", "--duration=1h",
                        "--warmup=0s", "--json=-",
                        absl::StrCat("--connect=", full, ",", server.addresses()[0])});
  under_way.WaitForNotification();
  loadgen.Signal(SIGINT);
  const ChildProcess::Result result = loadgen.Wait();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("\"seconds\": 0.000000,"));
  EXPECT_THAT(result.out, HasSubstr("\"max\": null"));
  EXPECT_EQ(result.err,
            "loadgen: finishing: waiting up to 5 s for what is under way; again to end at once\n"
            "loadgen: interrupted after 0.00 s of 3600.00 s: 1 of 2 connections had been opened\n");
  unlink((folder_ + "/socket").c_str());
}

TEST_F(LoadgenBinaryTest, InterruptedTheTableSaysSo) {
  absl::Notification under_way;
  ServerThread server({.on_open = [&](TcpConnection&) { under_way.Notify(); }});
  ChildProcess loadgen({"tools/loadgen/loadgen", "--mode=idle", "--connections=1", "--duration=1h",
                        absl::StrCat("--connect=", server.addresses()[0])});
  under_way.WaitForNotification();
  loadgen.Signal(SIGTERM);
  const ChildProcess::Result result = loadgen.Wait();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, StartsWith("interrupted after "));
  EXPECT_THAT(result.out, HasSubstr(" s of 3600.00 s"));
  EXPECT_THAT(result.err, StartsWith("loadgen: interrupted after ")) << "nothing is waited for";
}

TEST_F(LoadgenBinaryTest, ASecondSignalEndsItAtOnceAndLeavesNoFiles) {
  absl::Notification under_way;
  ServerThread server({.on_data = [&](TcpConnection&, Buffer& input) {
    input.Clear();  // One message is all that comes.
    under_way.Notify();
  }});
  ChildProcess loadgen({"tools/loadgen/loadgen", "--connections=1", "--duration=1h",
                        absl::StrCat("--connect=", server.addresses()[0]),
                        absl::StrCat("--json=", path()), absl::StrCat("--report=", page_path())});
  under_way.WaitForNotification();
  loadgen.Signal(SIGINT);
  EXPECT_TRUE(loadgen.WaitForError("again to end at once\n"));
  loadgen.Signal(SIGTERM);
  const ChildProcess::Result result = loadgen.Wait();
  EXPECT_EQ(result.exit_code, 128 + SIGTERM);
  EXPECT_FALSE(result.killed);
  EXPECT_EQ(result.out, "");
  EXPECT_NE(access(path().c_str(), F_OK), 0);
  EXPECT_NE(access(page_path().c_str(), F_OK), 0);
}

// All but one connection are lost, and what they were to send with them.
TEST_F(LoadgenBinaryTest, ThatTheRateWasNotReachedIsOnStderrIfThereIsNoTable) {
  for (const bool has_table : {true, false}) {
    const TcpConnection* kept = nullptr;  // The server's one worker's.
    ServerThread server({.on_data = [&kept](TcpConnection& conn, Buffer& input) {
      if (kept == nullptr) kept = &conn;
      if (kept == &conn) return Echo(conn, input);
      input.Clear();
      conn.CloseAfterFlush();
    }});
    const ChildProcess::Result result = RunAgainst(
        server, {"--rate=2000", absl::StrCat("--json=", has_table ? path() : std::string("-"))});
    const auto says_so = HasSubstr("The rate was not reached: ");
    if (has_table) {
      EXPECT_THAT(result.out, says_so);
      EXPECT_THAT(result.err, Not(says_so));
    } else {
      EXPECT_FALSE(ReadJson(result.out).empty());
      EXPECT_THAT(result.err, StartsWith("loadgen: The rate was not reached: "));
    }
  }
}

TEST_F(LoadgenBinaryTest, AFileKeepsWhatItHadIfTheRunIsKilled) {
  std::ofstream(path()) << "earlier figures";
  absl::Notification under_way;
  std::atomic<bool> told{false};
  ServerThread server({.on_data = [&](TcpConnection&, Buffer& input) {
    input.Clear();
    if (!told.exchange(true)) under_way.Notify();
  }});
  ChildProcess loadgen({"tools/loadgen/loadgen", "--connections=1", "--duration=1h",
                        absl::StrCat("--connect=", server.addresses()[0]),
                        absl::StrCat("--json=", path())});
  under_way.WaitForNotification();
  loadgen.Signal(SIGKILL);
  EXPECT_TRUE(loadgen.Wait().killed);
  EXPECT_EQ(TextOf(path()), "earlier figures");
}

TEST_F(LoadgenBinaryTest, JsonInAFileComesWithTheTable) {
  ServerThread server({.on_data = Echo});
  const ChildProcess::Result result = RunAgainst(server, {absl::StrCat("--json=", path())});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, StartsWith("connections "));
  EXPECT_EQ(KeysOf(TextOf(path())), kKeys);
}

TEST_F(LoadgenBinaryTest, AFileThatCannotBeWrittenIsSaidBeforeTheRun) {
  const ChildProcess::Result result = RunLoadgen({"--json=/no/such/folder/result.json"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "loadgen: --json=/no/such/folder/result.json: No such file or directory\n");
}

TEST_F(LoadgenBinaryTest, WrongBytesMakeItExitWithOneAndSayWhy) {
  ServerThread server({.on_data = Spoil});
  const ChildProcess::Result result = RunAgainst(server, {absl::StrCat("--json=", path())});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("\n  wrong_bytes               10\n"));
  EXPECT_THAT(result.err, MatchesRegex("loadgen: 10 errors, the first: connection [0-9]+ to "
                                       "127.0.0.1:[0-9]+: byte 0 of what came back, which is byte "
                                       "0 of message 0, is 0x[0-9a-f]{2} and not 0x[0-9a-f]{2}\n"));
  EXPECT_THAT(KeysOf(TextOf(path())), testing::Contains("errors.wrong_bytes"));
}

// One in a million of all that comes, over all connections: the run goes on with the others.
TEST_F(LoadgenBinaryTest, OneByteInAMillionMakesItExitWithOneAndSaysWhere) {
  uint64_t seen = 0;  // The server's one worker counts.
  ServerThread server({.on_data = [&seen](TcpConnection& conn, Buffer& input) {
    const uint64_t until_flip = 999'999 - seen % 1'000'000;
    if (until_flip < input.size()) input.data()[until_flip] ^= 0x10;
    seen += input.size();
    Echo(conn, input);
  }});
  const ChildProcess::Result result = RunAgainst(server, {"--message_bytes=100000"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("\n  wrong_bytes "));
  EXPECT_THAT(result.err, MatchesRegex("loadgen: [0-9]+ errors, the first: connection [0-9] to "
                                       "127.0.0.1:[0-9]+: byte [0-9]+ of what came back, which is "
                                       "byte [0-9]+ of message [0-9]+, is 0x.. and not 0x..\n"));
}

TEST_F(LoadgenBinaryTest, EveryOtherFaultOfAServerIsToldByItsKind) {
  struct {
    ConnectionFunctions faulty;
    std::string kind, reason;
  } cases[] = {
      {{.on_data =
            [](TcpConnection& conn, Buffer& input) {
              input.Clear();
              conn.CloseAfterFlush();
            }},
       "closed",
       "the server closed while 64 bytes were to come back"},
      {{.on_data = [](TcpConnection& conn,
                      Buffer&) { conn.Abort(absl::AbortedError("the test says so")); }},
       "broken",
       "recv: Connection reset by peer"},
      {{.on_data =
            [](TcpConnection& conn, Buffer& input) {
              Echo(conn, input);
              conn.Send("and more");
            }},
       "wrong_bytes",
       "8 bytes more came back than were sent"},
  };
  for (auto& [faulty, kind, reason] : cases) {
    ServerThread server(std::move(faulty));
    const ChildProcess::Result result = RunAgainst(server, {});
    EXPECT_EQ(result.exit_code, 1) << kind;
    EXPECT_THAT(result.out, HasSubstr(absl::StrCat("\n  ", kind, " "))) << result.out;
    EXPECT_THAT(result.err, StartsWith("loadgen: 10 errors, the first: connection "));
    EXPECT_THAT(result.err, HasSubstr(reason));
  }
}

TEST_F(LoadgenBinaryTest, FramedItAsksServersOfRequests) {
  ServerThread server({.on_data = [](TcpConnection& conn, Buffer& input) {
    while (const auto request = LengthPrefixCodec().Decode(input.readable()).value()) {
      EXPECT_EQ(request->message.size(), 96u);
      conn.Send(input.readable().substr(0, request->bytes));
      input.Consume(request->bytes);
    }
  }});
  const ChildProcess::Result result =
      RunAgainst(server, {"--framed", "--message_bytes=100", "--pipeline=3", "--json=-"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(KeysOf(result.out), kKeys);
  EXPECT_THAT(result.out, HasSubstr("\"message_bytes\": 100,"));
  EXPECT_GE(server.stats().bytes_read, 30 * 100);
}

TEST_F(LoadgenBinaryTest, NoServerMakesItExitWithOneAndSayWhy) {
  Socket bound = Socket::CreateFor(SocketAddress::Loopback(0)).value();
  ASSERT_TRUE(bound.Bind(SocketAddress::Loopback(0)).ok());
  const std::string address = bound.LocalAddress().value().ToString();
  const ChildProcess::Result result = RunLoadgen({absl::StrCat("--connect=", address)});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, StartsWith("loadgen: 100 errors, the first: "));
  EXPECT_THAT(result.err, HasSubstr(address));
  EXPECT_THAT(result.err, HasSubstr("Connection refused"));
}

TEST_F(LoadgenBinaryTest, ConnectMayBeGivenSeveralTimes) {
  ServerThread first({.on_data = Echo}), second({.on_data = Echo});
  const ChildProcess::Result result =
      RunAgainst(first, {absl::StrCat("--connect=", second.addresses()[0])});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(first.stats().accepted, 5);
  EXPECT_EQ(second.stats().accepted, 5);
}

TEST_F(LoadgenBinaryTest, BadFlagsAreRefusedInOneLine) {
  const std::pair<std::string, std::string> cases[] = {
      {"--mode=chaos", "loadgen: --mode=chaos: must be echo, churn or idle\n"},
      {"--connections=0", "loadgen: --connections=0: must be a whole number from 1 to 10000000\n"},
      {"--connect=nowhere",
       "loadgen: --connect=nowhere: address \"nowhere\": no port: expected ADDRESS:PORT or "
       "unix:PATH\n"},
      {"--connect=*:7007", "loadgen: *:7007 is not one address to connect to\n"},
      {"--report=-", "loadgen: --report=-: must be a file\n"},
      {"--report=/no/such/folder/x.html",
       "loadgen: --report=/no/such/folder/x.html: No such file or directory\n"},
      {"--framed=yes", "loadgen: --framed=yes: must be true or false, or stand alone\n"},
      {"--rate=-1", "loadgen: --rate=-1: must be a whole number from 0 to 10000000\n"},
      {"--rate=1e3", "loadgen: --rate=1e3: must be a whole number from 0 to 10000000\n"},
      {"--rate=10000001", "loadgen: --rate=10000001: must be a whole number from 0 to 10000000\n"},
      {"--duration=0s", "loadgen: --duration=0s: must be 1ms or more\n"},
      {"--warmup=inf", "loadgen: --warmup=inf: must be 24h or less\n"},
      {"--pipeline=2 --mode=churn", "loadgen: pipeline is for mode echo only, not for churn\n"},
      {"--pipeline=2 --mode=idle", "loadgen: pipeline is for mode echo only, not for idle\n"},
      {"--framed --mode=idle", "loadgen: framed is for modes echo and churn only, not for idle\n"},
  };
  for (const auto& [flags, error] : cases) {
    const ChildProcess::Result result = RunLoadgen(absl::StrSplit(flags, ' '));
    EXPECT_EQ(result.exit_code, 1) << flags;
    EXPECT_EQ(result.out, "") << flags;
    EXPECT_EQ(result.err, error);
  }
}

TEST_F(LoadgenBinaryTest, TheSameFileTwiceIsRefused) {
  const std::string json = absl::StrCat("--json=", path());
  const std::string report = absl::StrCat("--report=", folder_, "/./result.json");
  const ChildProcess::Result result = RunLoadgen({json, report});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, absl::StrCat("loadgen: ", json, " and ", report, " are one file\n"));
}

TEST_F(LoadgenBinaryTest, HelpListsItsFlags) {
  const ChildProcess::Result result = RunLoadgen({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* flag :
       {"--connect=", "--threads=", "--connections=", "--message_bytes=", "--pipeline=",
        "--duration=", "--warmup=", "--mode=", "--json=", "--rate=", "--report=", "--framed "}) {
    EXPECT_THAT(result.out, HasSubstr(flag));
  }
}

}  // namespace
}  // namespace millrace
