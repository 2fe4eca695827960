// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/load/chat_text.h"

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "examples/chat/load/chat_load_options.h"
#include "gtest/gtest.h"
#include "tools/loadgen/send_schedule.h"

namespace millrace {
namespace {

const MonotonicTime kStart = MonotonicTime::FromNanoseconds(0x1234);

class ChatTextTest : public testing::Test {
 protected:
  std::string TextOf(int64_t message) const {
    std::string line;
    ChatText(options_, schedule_).AppendLine(message, line);
    EXPECT_EQ(line.back(), '\n');
    line.pop_back();
    return line;
  }
  // What the server makes of it.
  std::string LineOf(int64_t message) const {
    const int sender = options_.sender_of(message);
    return absl::StrCat("[", RoomName(options_.room_of(sender)), "] ", MemberName(sender), ": ",
                        TextOf(message));
  }
  std::optional<int64_t> Read(absl::string_view line, int room) const {
    return ChatText(options_, schedule_).Read(line, room, now_);
  }

  ChatLoadOptions options_ = {.members = 100, .rooms = 12, .rate = 1000, .message_bytes = 40};
  SendSchedule schedule_{kStart, 1000};
  MonotonicTime now_ = kStart + absl::Seconds(10);
};

TEST_F(ChatTextTest, ATextSaysWhoWhichAndWhen) {
  EXPECT_EQ(TextOf(0), "00000000000000000000000000001234abcdefgh");
  EXPECT_EQ(TextOf(1317), absl::StrCat("000000110000000d", "000000004e7fe574", "9.ABCDEF"));
}

TEST_F(ChatTextTest, EveryMessageIsReadBack) {
  for (const int bytes : {32, 33, 64, 4096}) {
    options_.message_bytes = bytes;
    for (int64_t message = 0; message < 5000; message += 7) {
      const std::string line = LineOf(message);
      EXPECT_EQ(TextOf(message).size(), static_cast<size_t>(bytes));
      ASSERT_EQ(Read(line, options_.room_of(options_.sender_of(message))), message) << line;
    }
  }
}

TEST_F(ChatTextTest, AMessageOfAnotherRoomIsForeign) {
  const std::string line = LineOf(1);
  EXPECT_EQ(line.substr(0, 14), "[room1] load1:");
  EXPECT_EQ(Read(line, 1), 1);
  EXPECT_EQ(Read(line, 2), std::nullopt);
  EXPECT_EQ(Read(absl::StrCat("[room2] load1: ", TextOf(1)), 2), std::nullopt)
      << "its sender is not in that room";
  EXPECT_EQ(Read(line, 11), std::nullopt);
}

TEST_F(ChatTextTest, AnotherOrABadlyWrittenNameIsForeign) {
  EXPECT_EQ(Read(absl::StrCat("[room1] load1: ", TextOf(1)), 1), 1);
  for (const char* name : {"load2", "load13", "load", "load01", "load1x", "bob", "load10000001"}) {
    EXPECT_EQ(Read(absl::StrCat("[room1] ", name, ": ", TextOf(1)), 1), std::nullopt) << name;
  }
  EXPECT_EQ(Read(absl::StrCat("[room0] load: ", TextOf(0)), 0), std::nullopt);
}

TEST_F(ChatTextTest, EveryByteThatIsNotAsSentIsForeign) {
  const std::string line = LineOf(1);
  for (size_t at = 0; at < line.size(); ++at) {
    std::string spoilt = line;
    spoilt[at] ^= 1;
    EXPECT_EQ(Read(spoilt, 1), std::nullopt) << spoilt;
  }
}

TEST_F(ChatTextTest, CutOrLengthenedItIsForeign) {
  const std::string line = LineOf(1);
  for (size_t size = 0; size < line.size(); ++size) {
    EXPECT_EQ(Read(absl::string_view(line).substr(0, size), 1), std::nullopt) << size;
  }
  EXPECT_EQ(Read(line + "x", 1), std::nullopt);
  EXPECT_EQ(Read(line + "\r", 1), std::nullopt);
}

TEST_F(ChatTextTest, WhatIsNotDueYetCannotHaveBeenSent) {
  now_ = schedule_.due(1);
  EXPECT_EQ(Read(LineOf(1), 1), 1);
  EXPECT_EQ(Read(LineOf(13), 1), std::nullopt);
}

}  // namespace
}  // namespace millrace
