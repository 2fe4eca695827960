// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/load/chat_load_options.h"

#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/socket_address.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ErrorOf(const ChatLoadOptions& options) {
  return std::string(options.Check().message());
}

TEST(ChatLoadOptionsTest, DefaultsAreFine) { EXPECT_TRUE(ChatLoadOptions().Check().ok()); }

TEST(ChatLoadOptionsTest, EachThatCannotBeIsNamed) {
  EXPECT_THAT(ErrorOf({.addresses = {}}), HasSubstr("no address"));
  EXPECT_THAT(ErrorOf({.addresses = {SocketAddress::Any(7008)}}), HasSubstr("*:7008"));
  EXPECT_EQ(ErrorOf({.threads = 0}), "threads must be 1 to 1024, not 0");
  EXPECT_EQ(ErrorOf({.members = 0}), "members must be 1 to 1000000, not 0");
  EXPECT_EQ(ErrorOf({.rooms = 0}), "rooms must be 1 to 1000000, not 0");
  EXPECT_EQ(ErrorOf({.members = 3, .rooms = 4}),
            "rooms must not be more than members: 4 rooms for 3 members");
  EXPECT_EQ(ErrorOf({.rate = 0}), "rate must be 1 to 10000000, not 0");
  EXPECT_EQ(ErrorOf({.message_bytes = 31}), "message_bytes must be 32 to 4096, not 31");
  EXPECT_EQ(ErrorOf({.message_bytes = 4097}), "message_bytes must be 32 to 4096, not 4097");
  EXPECT_EQ(ErrorOf({.duration = absl::ZeroDuration()}), "duration must be more than 0");
}

TEST(ChatLoadOptionsTest, TheOrderOfAllMessagesMustFitInMemory) {
  ChatLoadOptions options = {.rate = 134'217, .duration = absl::Seconds(999)};
  EXPECT_TRUE(options.Check().ok());
  options.duration = absl::Seconds(1000);
  EXPECT_EQ(ErrorOf(options),
            "rate and duration make 134351217 messages, and the order of no more than 134217728 "
            "can be kept");
  options.duration = absl::Seconds(999);
  options.threads = 2;  // Each keeps that of the one room.
  EXPECT_THAT(ErrorOf(options), HasSubstr("no more than 67108864"));
  options.rooms = 2;
  EXPECT_TRUE(options.Check().ok());
  options.duration = absl::InfiniteDuration();
  EXPECT_FALSE(options.Check().ok());
}

TEST(ChatLoadOptionsTest, MembersAreSpreadOverRooms) {
  const ChatLoadOptions options = {.members = 8, .rooms = 3};
  std::vector<int> sizes;
  for (int room = 0; room < 3; ++room) sizes.push_back(options.members_of(room));
  EXPECT_THAT(sizes, ElementsAre(3, 3, 2));
  for (int member = 0; member < 8; ++member) {
    EXPECT_EQ(options.seat_of(member) * 3 + options.room_of(member), member);
    EXPECT_LT(options.seat_of(member), options.members_of(options.room_of(member)));
  }
}

TEST(ChatLoadOptionsTest, ARoomIsOnOneThreadIfThereAreRoomsEnough) {
  const ChatLoadOptions options = {.threads = 3, .members = 40, .rooms = 5};
  std::vector<std::set<int>> threads(5);
  std::set<int> all;
  for (int member = 0; member < 40; ++member) {
    threads[static_cast<size_t>(options.room_of(member))].insert(options.thread_of(member));
    all.insert(options.thread_of(member));
  }
  for (const std::set<int>& of_room : threads) EXPECT_EQ(of_room.size(), 1u);
  EXPECT_THAT(all, ElementsAre(0, 1, 2));
}

TEST(ChatLoadOptionsTest, FewRoomsAreSpreadOverAllThreads) {
  const ChatLoadOptions options = {.threads = 3, .members = 40, .rooms = 2};
  std::set<int> all;
  for (int member = 0; member < 40; ++member) all.insert(options.thread_of(member));
  EXPECT_THAT(all, ElementsAre(0, 1, 2));
}

TEST(ChatLoadOptionsTest, MoreThreadsThanMembersAreNotUsed) {
  const ChatLoadOptions options = {.threads = 8, .members = 2};
  EXPECT_EQ(options.threads_used(), 2);
  EXPECT_EQ(options.thread_of(1), 1);
}

TEST(ChatLoadOptionsTest, AMessagesNumberSaysWhoseItIs) {
  const ChatLoadOptions options = {.members = 7};
  for (const int message : {0, 6, 7, 100}) {
    EXPECT_EQ(options.message_of(options.sender_of(message), options.sequence_of(message)),
              message);
  }
  EXPECT_EQ(DescribeMessage(options, 9), "load2's message 2");
}

}  // namespace
}  // namespace millrace
