// SPDX-License-Identifier: Apache-2.0
//
// Whole runs, on threads, against a small server in this process that can be told to do wrong.
#include "examples/chat/load/chat_load.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "examples/chat/load/chat_load_options.h"
#include "examples/chat/load/chat_load_report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "tests/examples/chat_load/room_server.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::StartsWith;
using Act = RoomServer::Act;

// 200 messages by 12 members in 3 rooms: 800 deliveries.
ChatLoadOptions Options(const RoomServer& server) {
  return {.addresses = server.addresses(),
          .members = 12,
          .rooms = 3,
          .rate = 2000,
          .duration = absl::Milliseconds(100),
          .warmup = absl::ZeroDuration(),
          .drain = absl::Minutes(10)};
}

// What a run finds at a server that does `act` to one member.
ChatLoadReport RunAgainst(Act act, absl::Duration drain = absl::Minutes(10)) {
  RoomServer server({{.member = "load7", .nth = 20, .act = act}});
  ChatLoadOptions options = Options(server);
  options.drain = drain;
  return RunChatLoad(options).value();
}

constexpr absl::Duration kShortDrain = absl::Milliseconds(300);  // For what never comes.

TEST(ChatLoadTest, WhatIsCountedAddsUp) {
  RoomServer server;
  const ChatLoadReport report = RunChatLoad(Options(server)).value();
  EXPECT_TRUE(report.ok()) << report.first_error;
  EXPECT_EQ(report.messages, 200);
  EXPECT_EQ(report.deliveries, 200 * 4);
  EXPECT_EQ(report.latency.count(), report.deliveries);
  EXPECT_GE(report.bytes, report.deliveries * 64);
  EXPECT_GE(report.sending, absl::Milliseconds(100));
  EXPECT_GE(report.measured, absl::Milliseconds(100));
  EXPECT_GT(report.notices, 0);
}

TEST(ChatLoadTest, RoomsAreFewerOrMoreThanThreads) {
  for (const auto& [threads, rooms] : std::vector<std::pair<int, int>>{{3, 1}, {2, 5}, {4, 3}}) {
    RoomServer server;
    ChatLoadOptions options = Options(server);
    options.threads = threads;
    options.rooms = rooms;
    const ChatLoadReport report = RunChatLoad(options).value();
    EXPECT_TRUE(report.ok()) << report.first_error;
    EXPECT_EQ(report.messages, 200);
    EXPECT_TRUE(rooms > 1 || report.deliveries == 200 * 12) << report.deliveries;
  }
}

TEST(ChatLoadTest, OneMemberTalksToItself) {
  RoomServer server;
  ChatLoadOptions options = Options(server);
  options.threads = 8;
  options.members = options.rooms = 1;
  const ChatLoadReport report = RunChatLoad(options).value();
  EXPECT_TRUE(report.ok()) << report.first_error;
  EXPECT_EQ(report.deliveries, 200);
}

TEST(ChatLoadTest, TheWarmUpIsNotMeasured) {
  RoomServer server;
  ChatLoadOptions options = Options(server);
  options.warmup = absl::Milliseconds(50);
  const ChatLoadReport report = RunChatLoad(options).value();
  EXPECT_TRUE(report.ok()) << report.first_error;
  EXPECT_EQ(report.messages, 200);
  EXPECT_EQ(report.deliveries, 800);
}

TEST(ChatLoadTest, TextsAreOfTheLengthAskedFor) {
  RoomServer server;
  for (const int bytes : {kChatTextHeaderBytes, kChatTextBytesMax}) {
    ChatLoadOptions options = Options(server);
    options.message_bytes = bytes;
    const ChatLoadReport report = RunChatLoad(options).value();
    EXPECT_TRUE(report.ok()) << report.first_error;
    const int64_t around = report.bytes - report.deliveries * bytes;
    // "[room0] load0: " and the newline, and one digit more for two of the twelve.
    EXPECT_GE(around, report.deliveries * 16);
    EXPECT_LT(around, report.deliveries * 17);
  }
}

TEST(ChatLoadTest, ADroppedDeliveryIsMissing) {
  const ChatLoadReport report = RunAgainst(Act::kDrop, kShortDrain);
  EXPECT_THAT(report.errors, ElementsAre(Pair("missing", 1)));
  EXPECT_THAT(report.first_error, StartsWith("load7 in room1, position 20: expected load"));
  EXPECT_THAT(report.first_error, HasSubstr("never came"));
  EXPECT_EQ(report.deliveries, 799);
}

TEST(ChatLoadTest, ADeliveryMadeTwiceIsDuplicated) {
  const ChatLoadReport report = RunAgainst(Act::kTwice);
  EXPECT_THAT(report.errors, ElementsAre(Pair("duplicated", 1)));
  EXPECT_THAT(report.first_error, StartsWith("load7 in room1, position 21: got load"));
}

TEST(ChatLoadTest, TheVeryLastDeliveryMadeTwiceIsDuplicated) {
  RoomServer server({{.member = "load0", .nth = 66, .act = Act::kTwice}});
  const ChatLoadReport report = RunChatLoad(Options(server)).value();
  EXPECT_THAT(report.errors, ElementsAre(Pair("duplicated", 1)));
}

TEST(ChatLoadTest, TwoSwappedForOneMemberAreReordered) {
  const ChatLoadReport report = RunAgainst(Act::kSwap);
  EXPECT_THAT(report.errors, ElementsAre(Pair("reordered", 1)));
  EXPECT_THAT(report.first_error, StartsWith("load7 in room1, position 20: expected load"));
}

TEST(ChatLoadTest, TwoSwappedForTheOnlyMemberOfAThreadAreReordered) {
  RoomServer server({{.member = "load2", .nth = 20, .act = Act::kSwap}});
  ChatLoadOptions options = Options(server);
  options.threads = options.members = 3;
  options.rooms = 1;
  const ChatLoadReport report = RunChatLoad(options).value();
  EXPECT_THAT(report.errors, ElementsAre(Pair("reordered", testing::Ge(1))));
  // It is seen in the thread if both are one sender's, and else by comparing threads.
  EXPECT_THAT(report.first_error, HasSubstr("position 20: "));
}

TEST(ChatLoadTest, AStalledMemberMissesTheRest) {
  const ChatLoadReport report = RunAgainst(Act::kStall, kShortDrain);
  // It is the second of three rooms: of messages 0 to 199 it gets each third, from 1 on.
  EXPECT_THAT(report.errors, ElementsAre(Pair("missing", 67 - 20)));
  EXPECT_THAT(report.first_error, HasSubstr("47 of 67 never came"));
}

TEST(ChatLoadTest, AMemberThatIsClosedIsTold) {
  const ChatLoadReport report = RunAgainst(Act::kClose, kShortDrain);
  EXPECT_EQ(report.errors.at("closed"), 1);
  EXPECT_THAT(report.first_error, StartsWith("load7 at "));
  EXPECT_THAT(report.first_error, HasSubstr("the server closed"));
}

TEST(ChatLoadTest, AMemberThatIsResetIsTold) {
  const ChatLoadReport report = RunAgainst(Act::kReset, kShortDrain);
  EXPECT_EQ(report.errors.at("broken"), 1);
  EXPECT_THAT(report.first_error, StartsWith("load7 at "));
}

TEST(ChatLoadTest, AChangedLetterIsForeign) {
  const ChatLoadReport report = RunAgainst(Act::kSpoil, kShortDrain);
  EXPECT_THAT(report.errors, ElementsAre(Pair("foreign", 1), Pair("missing", 1)));
  EXPECT_THAT(report.first_error, HasSubstr("expected a message of this run, got \"[room1] load"));
}

TEST(ChatLoadTest, SomebodyElsesMessageIsForeign) {
  const ChatLoadReport report = RunAgainst(Act::kForeign);
  EXPECT_THAT(report.errors, ElementsAre(Pair("foreign", 1)));
  EXPECT_EQ(report.first_error,
            "load7 in room1: expected a message of this run, got \"[room1] bob: hello\"");
}

TEST(ChatLoadTest, AnErrorOfTheServersIsTold) {
  const ChatLoadReport report = RunAgainst(Act::kError);
  EXPECT_THAT(report.errors, ElementsAre(Pair("server_error", 1)));
  EXPECT_THAT(report.first_error, HasSubstr("got \"! too much\""));
}

TEST(ChatLoadTest, IfOneDoesNotGetInNothingIsSent) {
  RoomServer server({{.member = "load7", .act = Act::kRefuse}});
  ChatLoadOptions options = Options(server);
  options.duration = absl::Hours(10);
  const ChatLoadReport report = RunChatLoad(options).value();
  EXPECT_THAT(report.errors, ElementsAre(Pair("server_error", 1)));
  EXPECT_THAT(report.first_error, HasSubstr("! name taken"));
  EXPECT_EQ(report.messages, 0);
  EXPECT_EQ(report.measured, absl::ZeroDuration());
}

TEST(ChatLoadTest, AServerThatLetsOneWaitDoesNotHangTheRun) {
  RoomServer server({{.member = "load7", .act = Act::kIgnore}});
  ChatLoadOptions options = Options(server);
  options.join_timeout = absl::Milliseconds(50);
  const ChatLoadReport report = RunChatLoad(options).value();
  EXPECT_GE(report.errors.at("timeout"), 1);
  EXPECT_THAT(report.first_error, HasSubstr("has not got into its room in time"));
}

TEST(ChatLoadTest, NoServerIsAnErrorOfEachMember) {
  Socket bound = Socket::CreateFor(SocketAddress::Loopback(0)).value();
  ASSERT_TRUE(bound.Bind(SocketAddress::Loopback(0)).ok());
  const ChatLoadReport report =
      RunChatLoad({.addresses = {bound.LocalAddress().value()}, .threads = 2, .members = 300})
          .value();
  EXPECT_THAT(report.errors, ElementsAre(Pair("connect", 300)));
  EXPECT_THAT(report.first_error, HasSubstr("Connection refused"));
}

TEST(ChatLoadTest, WhenAllAreGoneTheRunIsOver) {
  std::vector<RoomServer::Misdeed> misdeeds;
  for (const char* member : {"load0", "load1", "load2"}) {
    misdeeds.push_back({.member = member, .nth = 5, .act = Act::kClose});
  }
  RoomServer server(misdeeds);
  ChatLoadOptions options = Options(server);
  options.threads = 2;
  options.members = 3;
  options.rooms = 1;
  options.duration = absl::Hours(10);
  options.rate = 1000;
  const ChatLoadReport report = RunChatLoad(options).value();
  EXPECT_EQ(report.errors.at("closed"), 3);
  EXPECT_LT(report.measured, absl::Hours(10));
}

TEST(ChatLoadTest, OptionsThatCannotBeAreRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(RunChatLoad({.members = 1, .rooms = 2}).status()));
}

TEST(ChatLoadProgressTest, TheLineTellsHowFarItIs) {
  ChatLoadProgress progress = {.members = 1000};
  EXPECT_EQ(progress.ToLine(absl::Seconds(10)),
            "joining         1,000 members            0 deliveries/s");
  progress.phase = ChatLoadProgress::Phase::kMeasuring;
  progress.measured = absl::Milliseconds(3100);
  progress.deliveries_per_second = 123'456.7;
  progress.errors = 2;
  EXPECT_EQ(progress.ToLine(absl::Seconds(10)),
            "3.1 of 10.0 s    1,000 members      123,457 deliveries/s  2 errors");
}

}  // namespace
}  // namespace millrace
