// SPDX-License-Identifier: Apache-2.0
//
// The chat load client as its users and their scripts meet it: output, files and exit codes.

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/chat_load/room_server.h"
#include "tests/support/child_process.h"
#include "tests/tools/loadgen/json_reader.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const char kBinary[] = "examples/chat/load/load";

ChildProcess::Result RunLoad(std::vector<std::string> flags) {
  flags.insert(flags.begin(), kBinary);
  return RunProgram(flags);
}

// Against `server`, for a short time.
ChildProcess::Result RunAgainst(const RoomServer& server, std::vector<std::string> flags = {}) {
  flags.insert(flags.begin(), {absl::StrCat("--connect=", server.addresses()[0]), "--members=10",
                               "--rooms=2", "--rate=1000", "--duration=100ms", "--warmup=0s"});
  return RunLoad(std::move(flags));
}

std::map<std::string, std::string> ValuesOf(const std::string& json) {
  const auto values = ReadJson(json);
  return {values.begin(), values.end()};
}

TEST(LoadBinaryTest, AGoodRunShowsATableAndExitsWithZero) {
  RoomServer server;
  const ChildProcess::Result result = RunAgainst(server);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "") << "no progress where there is no terminal";
  EXPECT_THAT(result.out, StartsWith("members                     10\n"));
  EXPECT_THAT(result.out, HasSubstr("\ndeliveries                 500\n"));
  EXPECT_THAT(result.out, HasSubstr("\nerrors                       0\n"));
  EXPECT_THAT(result.out, HasSubstr("\n  p99.99 "));
}

TEST(LoadBinaryTest, JsonOnStdoutStandsAlone) {
  RoomServer server;
  const ChildProcess::Result result =
      RunAgainst(server, {"--json=-", "--threads=2", "--message_bytes=100"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::map<std::string, std::string> values = ValuesOf(result.out);
  EXPECT_EQ(values["members"], "10");
  EXPECT_EQ(values["rooms"], "2");
  EXPECT_EQ(values["rate"], "1000");
  EXPECT_EQ(values["message_bytes"], "100");
  EXPECT_EQ(values["messages"], "100");
  EXPECT_EQ(values["deliveries"], "500");
}

TEST(LoadBinaryTest, JsonInAFileComesWithTheTable) {
  std::string folder = "/tmp/chat_load_test.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/result.json";
  RoomServer server;
  const ChildProcess::Result result = RunAgainst(server, {absl::StrCat("--json=", path)});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, StartsWith("members "));
  std::ifstream file(path);
  EXPECT_EQ(ValuesOf(std::string(std::istreambuf_iterator<char>(file), {}))["deliveries"], "500");
  unlink(path.c_str());
  rmdir(folder.c_str());
}

TEST(LoadBinaryTest, WhatIsWrongMakesItExitWithOneAndSayWhat) {
  RoomServer server({{.member = "load3", .nth = 10, .act = RoomServer::Act::kDrop},
                     {.member = "load4", .nth = 12, .act = RoomServer::Act::kTwice}});
  const ChildProcess::Result result = RunAgainst(server, {"--drain=300ms"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("\n  duplicated                 1\n"
                                    "  missing                    1\n"));
  EXPECT_THAT(result.err,
              StartsWith("load: 2 errors, the first: load4 in room0, position 13: got"));
}

TEST(LoadBinaryTest, InterruptedItTellsWhatItHadMeasured) {
  absl::Notification under_way;
  RoomServer server({}, {.message = 100, .call = [&] { under_way.Notify(); }});
  ChildProcess load({kBinary, absl::StrCat("--connect=", server.addresses()[0]), "--members=10",
                     "--rate=2000", "--duration=1h", "--warmup=0s", "--json=-"});
  under_way.WaitForNotification();
  load.Signal(SIGINT);
  const ChildProcess::Result result = load.Wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::map<std::string, std::string> values = ValuesOf(result.out);
  EXPECT_GE(std::stoi(values["messages"]), 100);
  EXPECT_EQ(std::stoi(values["deliveries"]), 10 * std::stoi(values["messages"]));
  EXPECT_LT(std::stod(values["seconds"]), 600);
}

TEST(LoadBinaryTest, InterruptedWhileMembersJoinItEnds) {
  absl::Notification under_way;
  RoomServer server({{.member = "load0", .act = RoomServer::Act::kIgnore}},
                    {.call = [&] { under_way.Notify(); }});
  ChildProcess load({kBinary, absl::StrCat("--connect=", server.addresses()[0]), "--members=1"});
  under_way.WaitForNotification();
  load.Signal(SIGINT);
  const ChildProcess::Result result = load.Wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\nmessages                     0\n"));
}

TEST(LoadBinaryTest, NoServerMakesItExitWithOneAndSayWhy) {
  const ChildProcess::Result result = RunLoad({"--connect=unix:/no/such/socket", "--members=3"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, StartsWith("load: 3 errors, the first: load0 at unix:/no/such/socket: "));
  EXPECT_THAT(result.err, HasSubstr("No such file or directory"));
}

TEST(LoadBinaryTest, BadFlagsAreRefusedInOneLine) {
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{"--members=0"}, "load: --members=0: must be a whole number from 1 to 1000000\n"},
      {{"--members=3", "--rooms=4"},
       "load: rooms must not be more than members: 4 rooms for 3 members\n"},
      {{"--message_bytes=31"},
       "load: --message_bytes=31: must be a whole number from 32 to 4096\n"},
      {{"--rate=0"}, "load: --rate=0: must be a whole number from 1 to 10000000\n"},
      {{"--duration=0s"}, "load: --duration=0s: must be 1ms or more\n"},
      {{"--drain=-1s"}, "load: --drain=-1s: must be 0 or more\n"},
      {{"--connect=nowhere"},
       "load: --connect=nowhere: address \"nowhere\": no port: expected ADDRESS:PORT or "
       "unix:PATH\n"},
      {{"--connect=*:7008"}, "load: *:7008 is not one address to connect to\n"},
      {{"--pipeline=3"}, "load: --pipeline: no such flag; see --help\n"},
      {{"--json=/no/such/folder/x"}, "load: --json=/no/such/folder/x: No such file or directory\n"},
  };
  for (const auto& [flags, error] : cases) {
    const ChildProcess::Result result = RunLoad(flags);
    EXPECT_EQ(result.exit_code, 1) << error;
    EXPECT_EQ(result.out, "") << error;
    EXPECT_EQ(result.err, error);
  }
}

TEST(LoadBinaryTest, HelpListsItsFlags) {
  const ChildProcess::Result result = RunLoad({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* flag :
       {"--connect=ADDRESS", "--threads=", "--members=", "--rooms=", "--rate=", "--message_bytes=",
        "--duration=", "--warmup=", "--drain=", "--json=", "127.0.0.1:7008"}) {
    EXPECT_THAT(result.out, HasSubstr(flag));
  }
  EXPECT_THAT(result.out, Not(HasSubstr("--pipeline")));
}

}  // namespace
}  // namespace millrace
