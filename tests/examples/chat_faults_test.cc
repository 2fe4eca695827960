// SPDX-License-Identifier: Apache-2.0
//
// The chat server with members who send rubbish, vanish, do not read, or come in crowds.

#include <algorithm>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/chat_fixture.h"

namespace millrace {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::StartsWith;

class ChatFaultsTest : public ChatTest {
 protected:
  // What the server keeps in memory now.
  int64_t ResidentBytes() {
    std::ifstream status(absl::StrCat("/proc/", server_.pid(), "/status"));
    std::string line;
    int64_t kilobytes = 0;
    while (std::getline(status, line)) {
      absl::string_view text = line;
      if (!absl::ConsumePrefix(&text, "VmRSS:") || !absl::ConsumeSuffix(&text, "kB")) continue;
      EXPECT_TRUE(absl::SimpleAtoi(text, &kilobytes)) << line;
    }
    EXPECT_GT(kilobytes, 0);
    return kilobytes * 1024;
  }
};

// --- Lines ---

TEST_F(ChatFaultsTest, TheLongestLineIsAMessageAndOneByteMoreTheEnd) {
  Client ann = Enter();
  ann.Say(std::string(4096, 'x'));
  EXPECT_EQ(ann.Line(), absl::StrCat("[lobby] guest1: ", std::string(4096, 'x')));
  ann.peer().Send(absl::StrCat(std::string(4096, 'y'), "\r\n"));
  EXPECT_EQ(ann.Line(), absl::StrCat("[lobby] guest1: ", std::string(4096, 'y')));
  ann.Say(std::string(4097, 'z'));
  EXPECT_THAT(ann.Rest(), ElementsAre("! line too long"));
}

TEST_F(ChatFaultsTest, ALineWithoutEndIsNotWaitedFor) {
  Client ann = Enter();
  ann.peer().Send(absl::StrCat("one\n", std::string(100'000, 'x')));
  EXPECT_THAT(ann.Rest(), ElementsAre("[lobby] guest1: one", "! line too long"));
}

TEST_F(ChatFaultsTest, ACrIsDroppedBeforeTheEndOnly) {
  Client ann = Enter();
  ann.peer().Send("one\r\ntwo\rthree\n\r\n");
  EXPECT_EQ(ann.Line(), "[lobby] guest1: one");
  EXPECT_EQ(ann.Line(), "! control characters are not sent");
  EXPECT_EQ(ann.Line(), "[lobby] guest1: ");
}

TEST_F(ChatFaultsTest, BrokenUtf8IsRefusedAndTheMemberStays) {
  Client ann = Enter();
  Client bob = Enter();
  EXPECT_EQ(ann.Line(), "* guest2 joined");
  for (const absl::string_view bad :
       {"\xff", "cut \xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "/nick \x80"}) {
    bob.Say(bad);
    EXPECT_EQ(bob.Line(), "! not valid UTF-8");
  }
  bob.Say("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80");
  EXPECT_EQ(ann.Line(), "[lobby] guest2: gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80")
      << "and nothing else";
}

// Who came with nc has a terminal that obeys them: "hi\r[lobby] admin: ..." would fake a line.
TEST_F(ChatFaultsTest, ControlCharactersReachNobody) {
  Client ann = Enter();
  Client bob = Enter();
  EXPECT_EQ(ann.Line(), "* guest2 joined");
  for (const absl::string_view bad :
       {absl::string_view("\x1b[2J"), absl::string_view("hi\rho"), absl::string_view("\b\b"),
        absl::string_view("\a"), absl::string_view("a\0b", 3), absl::string_view("\x7f"),
        absl::string_view("\xc2\x9b"
                          "2J")}) {
    bob.Say(bad);
    EXPECT_EQ(bob.Line(), "! control characters are not sent");
  }
  bob.Say("a\ttab and \xc2\xa0 are text");
  EXPECT_EQ(ann.Line(), "[lobby] guest2: a\ttab and \xc2\xa0 are text") << "and nothing else";
}

TEST_F(ChatFaultsTest, AFloodOfCommandsIsAnsweredWhole) {
  Client ann = Enter();
  std::string flood;
  for (int i = 0; i < 2000; ++i) flood += "/who\n";
  ann.peer().Send(flood);
  ann.peer().CloseWrite();
  const std::vector<std::string> answers = ann.Rest();
  EXPECT_EQ(answers.size(), 2000u);
  for (const std::string& answer : answers) ASSERT_EQ(answer, "* in lobby: guest1");
}

// More than a turn delivers, with a line at its end that is answered, or ends it.
class LongSpeechTest : public ChatFaultsTest {
 protected:
  // All lines that come back when `end` follows 60,000 others and the client then ends its half.
  std::vector<std::string> Answers(absl::string_view end) {
    Client ann = Enter();
    std::string speech;
    for (int i = 0; i < kLines; ++i) speech += "a\n";
    speech += end;
    ann.peer().Send(speech);
    ann.peer().CloseWrite();
    return ann.Rest();
  }
  void ExpectAllOf(const std::vector<std::string>& answers) {
    ASSERT_GE(answers.size(), static_cast<size_t>(kLines));
    for (int i = 0; i < kLines; ++i) ASSERT_EQ(answers[i], "[lobby] guest1: a") << i;
  }
  static constexpr int kLines = 60'000;
};

TEST_F(LongSpeechTest, ComesBackWholeBeforeTheEnd) {
  const std::vector<std::string> answers = Answers("");
  ExpectAllOf(answers);
  EXPECT_EQ(answers.size(), static_cast<size_t>(kLines));
}

TEST_F(LongSpeechTest, ComesBackWholeBeforeAnAnswer) {
  const std::vector<std::string> answers = Answers("/who\n");
  ExpectAllOf(answers);
  EXPECT_EQ(answers.back(), "* in lobby: guest1");
}

TEST_F(LongSpeechTest, ComesBackWholeBeforeALineThatIsTooLong) {
  const std::vector<std::string> answers = Answers(std::string(5000, 'x'));
  ExpectAllOf(answers);
  EXPECT_EQ(answers.back(), "! line too long");
}

TEST_F(LongSpeechTest, ComesBackWholeBeforeANewRoom) {
  const std::vector<std::string> answers = Answers("/join den\nxx\n");
  ExpectAllOf(answers);
  ASSERT_EQ(answers.size(), kLines + 3u);
  EXPECT_EQ(answers[kLines], "* you are in den");
  EXPECT_EQ(answers[kLines + 1], "* guest1 joined");
  EXPECT_EQ(answers[kLines + 2], "[den] guest1: xx");
}

TEST_F(ChatFaultsTest, FloodersInRoomsOfTheirOwnTakeLittleMemory) {
  constexpr int kFlooders = 20;
  std::vector<Client> flooders;
  for (int i = 0; i < kFlooders; ++i) flooders.push_back(Enter(absl::StrCat("room", i)));
  const int64_t before = ResidentBytes();
  int64_t most = before;
  const std::string flood(100'000, '\n');
  for (int round = 0; round < 10; ++round) {
    for (Client& flooder : flooders) flooder.peer().SendSome(flood);  // Nobody reads.
    most = std::max(most, ResidentBytes());
  }
#if !defined(ABSL_HAVE_ADDRESS_SANITIZER) && !defined(ABSL_HAVE_THREAD_SANITIZER)
  EXPECT_LT(most - before, int64_t{kFlooders * 3} << 20)
      << "input, output and what waits, each 1 MiB";
#endif
  Client ann = Enter();
  ann.Say("hello");
  EXPECT_EQ(ann.Message(), "[lobby] guest21: hello");
}

// --- Crowds ---

TEST_F(ChatFaultsTest, AllMembersOfARoomSeeOneSequence) {
  constexpr int kMembers = 100, kRooms = 4, kMessages = 40;
  std::vector<Client> crowd;
  for (int i = 0; i < kMembers; ++i) crowd.push_back(Enter(absl::StrCat("room", i % kRooms)));
  for (int k = 0; k < kMessages; ++k) {
    for (int i = 0; i < kMembers; ++i) crowd[(i * 37) % kMembers].Say(absl::StrCat("message ", k));
  }
  const int in_room = kMembers / kRooms * kMessages;
  std::vector<std::vector<std::string>> first(kRooms);
  for (int i = 0; i < kMembers; ++i) {
    std::vector<std::string> seen;
    for (int k = 0; k < in_room; ++k) seen.push_back(crowd[i].Message());
    if (i < kRooms) first[i] = seen;
    EXPECT_EQ(seen, first[i % kRooms]) << "member " << i;
  }
  for (const std::vector<std::string>& sequence : first) {
    std::map<std::string, int> next;  // Of each sender.
    for (const std::string& line : sequence) {
      const size_t text = line.find(": message ");
      ASSERT_NE(text, line.npos) << line;
      EXPECT_EQ(line.substr(text), absl::StrCat(": message ", next[line.substr(0, text)]++));
    }
    EXPECT_EQ(next.size(), static_cast<size_t>(kMembers / kRooms));
  }
}

TEST_F(ChatFaultsTest, TenThousandMovesRaceWithMessages) {
  constexpr int kMovers = 10, kMoves = 1000;
  Client ann = Enter("attic");
  Client bob = Enter("attic");
  std::vector<Client> movers;
  for (int i = 0; i < kMovers; ++i) movers.push_back(Enter());
  for (int k = 0; k < kMoves; k += 50) {
    std::string moves;
    for (int j = 0; j < 25; ++j) moves += "/join attic\nhello\n/leave\n";
    for (Client& mover : movers) mover.peer().Send(moves);
    ann.Say(absl::StrCat("message ", k));
    for (Client* stayer : {&ann, &bob}) {
      EXPECT_TRUE(stayer->WaitFor(absl::StrCat("[attic] guest1: message ", k)));
    }
    for (Client& mover : movers) {
      for (int j = 0; j < 25; ++j) EXPECT_TRUE(mover.WaitFor("* you are in lobby"));
    }
  }
  ann.Say("/rooms");
  EXPECT_TRUE(ann.WaitFor(absl::StrCat("* rooms: attic (2), lobby (", kMovers, ")")));
}

TEST_F(ChatFaultsTest, MembersWhoVanishInMidBroadcastHurtNobody) {
  Client ann = Enter();
  std::vector<Client> vanishing;
  for (int i = 0; i < 20; ++i) vanishing.push_back(Enter());
  for (int k = 0; k < 200; ++k) {
    ann.Say(absl::StrCat("message ", k));
    if (k % 10 == 5) vanishing[k / 10].peer().Reset();
  }
  int messages = 0, left = 0;  // Of those who vanish each is told once, at any time.
  while (messages < 200 || left < 20) {
    const std::string line = ann.Line();
    if (absl::StartsWith(line, "[")) {
      ASSERT_EQ(line, absl::StrCat("[lobby] guest1: message ", messages++));
    } else if (absl::EndsWith(line, " left")) {
      ++left;
    }
    ASSERT_FALSE(ann.over());
  }
  ann.Say("/who");
  EXPECT_EQ(ann.Line(), "* in lobby: guest1");
}

// --- Slow members ---

TEST_F(ChatFaultsTest, AMemberThatNeverReadsIsClosedAndHurtsNobody) {
  constexpr int kRounds = 500, kLines = 50, kBytes = 4000;  // 100 MB in all.
  Client ann = Enter();
  Client bob = Enter();
  Client eve = Enter();
  const int64_t before = ResidentBytes();
  int64_t most = before;
  std::string lines;
  for (int i = 0; i < kLines; ++i) absl::StrAppend(&lines, std::string(kBytes, 'x'), "\n");
  const std::string expected = absl::StrCat("[lobby] guest1: ", std::string(kBytes, 'x'));
  for (int round = 0; round < kRounds; ++round) {
    ann.peer().Send(lines);
    for (Client* reader : {&ann, &bob}) {
      for (int i = 0; i < kLines; ++i) ASSERT_TRUE(reader->Message() == expected) << round;
    }
    most = std::max(most, ResidentBytes());
  }
  EXPECT_TRUE(server_.WaitForError("slow consumer"));
  // The sanitizers keep freed memory for a while, to see who still uses it.
#if !defined(ABSL_HAVE_ADDRESS_SANITIZER) && !defined(ABSL_HAVE_THREAD_SANITIZER)
  EXPECT_LT(most - before, int64_t{64} << 20);
#endif
  RecordProperty("resident_bytes_grown", absl::StrCat(most - before));
  ann.Say("/who");
  EXPECT_TRUE(ann.WaitFor("* in lobby: guest1, guest2"));
}

// --- The end ---

TEST_F(ChatFaultsTest, SigtermInMidBroadcastTellsAllInWholeLines) {
  std::vector<Client> crowd;
  for (int i = 0; i < 20; ++i) crowd.push_back(Enter());
  std::string lines;
  for (int k = 0; k < 200; ++k) absl::StrAppend(&lines, "message ", k, " of many\n");
  for (Client& client : crowd) client.peer().Send(lines);
  const ChildProcess::Result result = Stop();
  EXPECT_EQ(result.exit_code, 0);
  for (Client& client : crowd) {
    bool told = false;
    for (const std::string& line : client.Rest()) {
      if (line == "* the server is going down") told = true;
      EXPECT_THAT(line, AnyOf(StartsWith("* "), testing::EndsWith(" of many")));
    }
    EXPECT_TRUE(told);
    EXPECT_TRUE(client.peer().ended()) << "and was not reset";
  }
}

TEST_F(ChatFaultsTest, SigtermOfAQuietServerTellsAll) {
  Client ann = Enter();
  Client bob = Enter("attic");
  EXPECT_EQ(Stop().exit_code, 0);
  EXPECT_THAT(ann.Rest(), testing::Contains("* the server is going down"));
  EXPECT_THAT(bob.Rest(), ElementsAre("* the server is going down"));  // And no more.
}

}  // namespace
}  // namespace millrace
