// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/load/room_log.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/monotonic_time.h"
#include "base/random.h"
#include "examples/chat/load/chat_load_options.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/loadgen/error_tally.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// One room of four, who send in turn: message 5 is the second of member 1.
class RoomLogTest : public testing::Test {
 protected:
  RoomLogTest() {
    for (int member = 0; member < 4; ++member) log_.Join(member);
  }

  void Get(int member, const std::vector<int64_t>& messages) {
    for (const int64_t message : messages) log_.Receive(member, message, now_);
  }
  void AllGet(const std::vector<int64_t>& messages) {
    for (int member = 0; member < 4; ++member) Get(member, messages);
  }
  bool Complete(int64_t sent) { return log_.Complete(sent, now_); }
  void Finish(int64_t sent) { log_.Finish(sent, now_); }
  std::string first_error() const { return errors_.first() ? errors_.first()->reason : "none"; }

  const MonotonicTime now_;
  ChatLoadOptions options_ = {.members = 4};
  ErrorTally errors_;
  RoomLog log_{options_, 0, errors_};
};

TEST_F(RoomLogTest, OneOrderForAllIsRightWhateverItIs) {
  AllGet({2, 0, 1, 3, 6, 5});
  EXPECT_TRUE(Complete(6));
  Finish(6);
  EXPECT_THAT(errors_.counts(), IsEmpty()) << first_error();
  EXPECT_THAT(log_.order(), ElementsAre(2, 0, 1, 3, 6, 5));
  EXPECT_TRUE(log_.clean());
}

TEST_F(RoomLogTest, AnyMemberMayBeTheFirstToGetAMessage) {
  Get(0, {0, 1});
  Get(1, {0, 1, 2});
  Get(2, {0});
  Get(0, {2, 3});
  Get(2, {1, 2, 3});
  Get(1, {3});
  EXPECT_FALSE(Complete(4));
  Get(3, {0, 1, 2, 3});
  EXPECT_TRUE(Complete(4));
  EXPECT_THAT(errors_.counts(), IsEmpty()) << first_error();
}

TEST_F(RoomLogTest, WhatNeverComesIsMissing) {
  Get(0, {0, 1, 2});
  Get(1, {0, 1, 2});
  Get(2, {0, 2});
  Get(3, {0, 1, 2});
  EXPECT_FALSE(Complete(3));
  Finish(3);
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("missing", 1)));
  EXPECT_EQ(first_error(),
            "load2 in room0, position 1: expected load1's message 1, got load2's message 1: 1 of 3 "
            "never came");
  EXPECT_FALSE(log_.clean());
}

TEST_F(RoomLogTest, TheEndMayBeMissing) {
  Get(0, {0, 1, 2});
  Get(1, {0});
  Get(2, {0, 1, 2});
  Get(3, {0, 1, 2});
  Finish(3);
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("missing", 2)));
  EXPECT_EQ(first_error(),
            "load1 in room0, position 1: expected load1's message 1, got nothing: 2 of 3 never "
            "came");
}

TEST_F(RoomLogTest, WhatNobodyGotIsMissingForAll) {
  AllGet({0, 1});
  EXPECT_FALSE(Complete(3));
  Finish(3);
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("missing", 4)));
  EXPECT_EQ(first_error(),
            "load0 in room0, position 2: got nothing more, and nobody did: 1 of 3 never came");
}

TEST_F(RoomLogTest, AGapInASendersMessagesThatAllSeeIsMissingForAll) {
  AllGet({0, 1, 8, 5});  // 4 is missing.
  Finish(5);
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("missing", 4)));
  EXPECT_EQ(first_error(),
            "load0 in room0, position 2: expected load0's message 2, got load0's message 3: 1 of 5 "
            "never came");
}

TEST_F(RoomLogTest, WhatComesAgainIsDuplicated) {
  AllGet({0, 1});
  Get(3, {1});
  Get(3, {2});
  for (const int member : {0, 1, 2}) Get(member, {2});
  EXPECT_TRUE(Complete(3));
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("duplicated", 1)));
  EXPECT_EQ(first_error(), "load3 in room0, position 2: got load1's message 1 again");
}

TEST_F(RoomLogTest, TheWriterMayGetADuplicate) {
  Get(0, {0, 0, 1});
  for (const int member : {1, 2, 3}) Get(member, {0, 1});
  EXPECT_TRUE(Complete(2));
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("duplicated", 1)));
}

TEST_F(RoomLogTest, WhatOthersGotEarlierIsReordered) {
  Get(0, {0, 1, 2, 3});
  Get(1, {0, 1, 2, 3});
  Get(2, {0, 2, 1, 3});
  Get(3, {0, 1, 2, 3});
  EXPECT_TRUE(Complete(4));
  Finish(4);
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("reordered", 1)));
  EXPECT_EQ(
      first_error(),
      "load2 in room0, position 1: expected load1's message 1, got load2's message 1: load1's "
      "message 1 came later");
}

TEST_F(RoomLogTest, OneSendersMessagesSwappedAreReordered) {
  Get(0, {4, 0});  // It is the first of all, and has a gap.
  for (const int member : {1, 2, 3}) Get(member, {0, 4});
  EXPECT_TRUE(Complete(2));
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("reordered", 1)));
  EXPECT_THAT(log_.order(), ElementsAre(0, 4));
}

// Two against one.
TEST_F(RoomLogTest, AWriterThatMissedOneIsOutvoted) {
  Get(0, {1, 2});
  for (const int member : {1, 2, 3}) Get(member, {0, 1, 2});
  EXPECT_FALSE(Complete(3));
  Finish(3);
  EXPECT_THAT(log_.order(), ElementsAre(0, 1, 2));
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("missing", 1)));
  EXPECT_EQ(first_error().substr(0, 5), "load0");
}

TEST_F(RoomLogTest, AWriterThatGotTwoSwappedIsOutvoted) {
  Get(0, {1, 0, 2});
  for (const int member : {1, 2, 3}) Get(member, {0, 1, 2});
  EXPECT_TRUE(Complete(3));
  EXPECT_THAT(log_.order(), ElementsAre(0, 1, 2));
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("reordered", 1)));
  EXPECT_EQ(first_error().substr(0, 5), "load0");
}

// It is in doubt until another one agrees with the writer.
TEST_F(RoomLogTest, AMemberInTheWrongIsFoundByTheThird) {
  Get(0, {0, 1, 2});
  Get(1, {1, 2});
  EXPECT_THAT(errors_.counts(), IsEmpty());
  Get(2, {0, 1, 2});
  Get(3, {0, 1, 2});
  Finish(3);
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("missing", 1)));
  EXPECT_EQ(first_error().substr(0, 5), "load1");
}

TEST_F(RoomLogTest, TwoAgainstTwoIsAnErrorAllTheSame) {
  for (const int member : {0, 1}) Get(member, {0, 1, 2});
  for (const int member : {2, 3}) Get(member, {1, 0, 2});
  EXPECT_TRUE(Complete(3));
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("reordered", 2)));
}

TEST_F(RoomLogTest, EachInAnOrderOfItsOwnIsAnError) {
  Get(0, {0, 1, 2});
  Get(1, {1, 2, 0});
  Get(2, {2, 0, 1});
  Get(3, {2, 1, 0});
  EXPECT_TRUE(Complete(3));
  EXPECT_GE(errors_.total(), 3);
  EXPECT_EQ(errors_.counts().begin()->first, "reordered");
  EXPECT_EQ(errors_.counts().size(), 1u);
}

TEST_F(RoomLogTest, OneThatHasLeftIsNotAskedForTheRest) {
  for (const int member : {0, 1, 2}) Get(member, {0, 1});
  Get(3, {0});
  EXPECT_FALSE(Complete(2));
  log_.Leave(3);
  EXPECT_TRUE(Complete(2));
  Finish(2);
  EXPECT_THAT(errors_.counts(), IsEmpty());
}

TEST_F(RoomLogTest, AWriterMayLeave) {
  Get(0, {0, 1});
  log_.Leave(0);
  Get(1, {0, 1, 2});
  Get(2, {0, 1, 2});
  Get(3, {0, 1, 2});
  EXPECT_TRUE(Complete(3));
  EXPECT_THAT(errors_.counts(), IsEmpty()) << first_error();
}

TEST_F(RoomLogTest, OneInDoubtMayLeave) {
  Get(0, {0, 1});
  Get(1, {1, 0});
  log_.Leave(1);
  Get(2, {0, 1});
  Get(3, {0, 1});
  EXPECT_TRUE(Complete(2));
  EXPECT_THAT(errors_.counts(), IsEmpty()) << first_error();
}

TEST_F(RoomLogTest, NothingSentIsComplete) { EXPECT_TRUE(Complete(0)); }

// For one there is nobody to compare with, but senders count.
TEST(RoomLogOfOneTest, ALonelyMemberMissesWhatItsSendersSent) {
  const ChatLoadOptions options = {.members = 1};
  ErrorTally errors;
  RoomLog log(options, 0, errors);
  log.Join(0);
  for (const int64_t message : {0, 1, 3, 4}) log.Receive(0, message, {});
  log.Finish(5, {});
  EXPECT_THAT(errors.counts(), ElementsAre(Pair("missing", 1)));
}

// A doubt that nobody resolves does not grow for ever.
TEST(RoomLogOfOneTest, AGapIsJudgedOnceMuchHasComeAfterIt) {
  const ChatLoadOptions options = {.members = 1};
  ErrorTally errors;
  RoomLog log(options, 0, errors);
  log.Join(0);
  for (int64_t message = 1; message < 5000; ++message) log.Receive(0, message, {});
  EXPECT_GE(log.order().size(), 4000u);
  log.Finish(5000, {});
  EXPECT_THAT(errors.counts(), ElementsAre(Pair("missing", 1)));
}

// Members of other rooms and threads are nobody's business here.
TEST(RoomLogOfManyTest, ARoomsMembersMayLiveOnOtherThreads) {
  const ChatLoadOptions options = {.threads = 2, .members = 9, .rooms = 3};
  ErrorTally errors;
  RoomLog log(options, 1, errors);  // Of 1, 4 and 7.
  log.Join(4);
  for (const int64_t message : {1, 4, 7, 10}) log.Receive(4, message, {});
  EXPECT_TRUE(log.Complete(4, {}));
  log.Finish(4, {});
  EXPECT_THAT(errors.counts(), IsEmpty());
}

class CompareLogsTest : public testing::Test {
 protected:
  CompareLogsTest() {
    here_.Join(0);
    there_.Join(1);
  }
  void Compare(const std::vector<int64_t>& here, const std::vector<int64_t>& there) {
    for (const int64_t message : here) here_.Receive(0, message, {});
    for (const int64_t message : there) there_.Receive(1, message, {});
    CompareLogs(options_, here_, there_, {}, errors_);
  }

  const ChatLoadOptions options_ = {.threads = 2, .members = 4};
  ErrorTally errors_;
  RoomLog here_{options_, 0, errors_}, there_{options_, 0, errors_};
};

TEST_F(CompareLogsTest, TheSameOrderIsRight) {
  Compare({0, 2, 1}, {0, 2, 1});
  EXPECT_THAT(errors_.counts(), IsEmpty());
}

TEST_F(CompareLogsTest, AnotherOrderIsAnError) {
  Compare({0, 2, 1}, {0, 1, 2});
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("reordered", 1)));
  EXPECT_EQ(errors_.first()->reason,
            "members of room0 on two threads, position 1: load2's message 1 for one and load1's "
            "message 1 for the other");
}

TEST_F(CompareLogsTest, WhatIsKnownToBeWrongIsNotToldTwice) {
  there_.Receive(1, 2, {});
  there_.Receive(1, 2, {});
  Compare({0, 2, 1}, {0, 1});
  EXPECT_THAT(errors_.counts(), ElementsAre(Pair("duplicated", 1)));
}

// One fault in a long run, wherever it is and whoever is ahead, is named as what it is.
TEST(RoomLogFaultTest, EveryFaultAtEveryPlaceIsNamed) {
  constexpr int kMembers = 5;
  constexpr int kMessages = 25;
  const ChatLoadOptions options = {.members = kMembers};
  for (const std::string kind : {"missing", "duplicated", "reordered"}) {
    for (int64_t at = 0; at < kMessages - 1; ++at) {
      for (uint64_t seed = 0; seed < 20; ++seed) {
        Random random(seed);
        std::vector<std::vector<int64_t>> streams(kMembers);
        for (std::vector<int64_t>& stream : streams) {
          for (int64_t k = 0; k < kMessages; ++k) stream.push_back(k);
        }
        std::vector<int64_t>& bad = streams[random.Below(kMembers)];
        if (kind == "missing") bad.erase(bad.begin() + at);
        if (kind == "duplicated") bad.insert(bad.begin() + at, bad[at]);
        if (kind == "reordered") std::swap(bad[at], bad[at + 1]);
        ErrorTally errors;
        RoomLog log(options, 0, errors);
        for (int member = 0; member < kMembers; ++member) log.Join(member);
        std::vector<size_t> got(kMembers);
        for (int left = 5 * kMembers * kMessages; left > 0; --left) {
          const size_t member = random.Below(kMembers);
          if (got[member] == streams[member].size()) continue;
          log.Receive(static_cast<int>(member), streams[member][got[member]++], {});
        }
        for (size_t member = 0; member < kMembers; ++member) {
          while (got[member] < streams[member].size()) {
            log.Receive(static_cast<int>(member), streams[member][got[member]++], {});
          }
        }
        EXPECT_EQ(log.Complete(kMessages, {}), kind != "missing");
        log.Finish(kMessages, {});
        ASSERT_THAT(errors.counts(), ElementsAre(Pair(kind, 1)))
            << "message " << at << ", seed " << seed << ": " << errors.first()->reason;
      }
    }
  }
}

}  // namespace
}  // namespace millrace
