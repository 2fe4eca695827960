// SPDX-License-Identifier: Apache-2.0
//
// The chat server as its users meet it, line by line.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/chat_fixture.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

TEST_F(ChatTest, ANewcomerIsAGuestInTheLobby) {
  Client ann = Connect();
  EXPECT_EQ(ann.Line(), "* welcome, guest1: you are in lobby, and /help lists the commands");
  EXPECT_EQ(ann.Line(), "* guest1 joined");
  Client bob = Connect();
  EXPECT_EQ(bob.Line(), "* welcome, guest2: you are in lobby, and /help lists the commands");
  EXPECT_EQ(ann.Line(), "* guest2 joined");
}

TEST_F(ChatTest, AMessageReachesAllInTheRoomAndTheSenderToo) {
  Client ann = Enter();
  Client bob = Enter();
  Client eve = Enter("attic");
  ann.Say("hello");
  EXPECT_EQ(ann.Message(), "[lobby] guest1: hello");
  EXPECT_EQ(bob.Message(), "[lobby] guest1: hello");
  eve.Say("anybody here?");
  EXPECT_EQ(eve.Line(), "[attic] guest3: anybody here?") << "and nothing of the lobby";
}

TEST_F(ChatTest, AMemberTakesAnotherName) {
  Client ann = Enter();
  Client bob = Enter();
  bob.Say("/nick bob");
  EXPECT_TRUE(ann.WaitFor("* guest2 is now bob"));
  EXPECT_EQ(bob.Line(), "* guest2 is now bob");
  bob.Say("hi");
  EXPECT_EQ(ann.Line(), "[lobby] bob: hi");
}

TEST_F(ChatTest, ANameIsUniqueOverTheServerUntilItsOwnerLeaves) {
  Client ann = Enter();
  ann.Say("/nick ann");
  EXPECT_EQ(ann.Line(), "* guest1 is now ann");
  Client bob = Enter("attic");
  bob.Say("/nick ann");
  EXPECT_EQ(bob.Line(), "! name taken");
  bob.Say("/nick Ann");
  EXPECT_EQ(bob.Line(), "* guest2 is now Ann") << "case matters";
  ann.Say("/quit");
  ann.Rest();
  bob.Say("/nick ann");
  EXPECT_EQ(bob.Line(), "* Ann is now ann");
  bob.Say("/nick ann");
  EXPECT_EQ(bob.Line(), "! name taken") << "by oneself";
}

TEST_F(ChatTest, AGuestNumberThatSomebodyTookAsANameIsPassedOver) {
  Client ann = Enter();
  ann.Say("/nick guest2");
  EXPECT_EQ(ann.Line(), "* guest1 is now guest2");
  EXPECT_EQ(Enter().name(), "guest3");
}

TEST_F(ChatTest, BadNamesAreRefused) {
  Client ann = Enter();
  const std::string longest(32, 'n');
  for (const std::string& bad : {std::string(), std::string("a b"), std::string("a.b"),
                                 std::string("n\xc3\xa9"), longest + "n", std::string("a\0b", 3)}) {
    for (const absl::string_view command : {"/nick ", "/join "}) {
      ann.Say(absl::StrCat(command, bad));
      EXPECT_EQ(ann.Line(), "! bad name: 1 to 32 of A-Z, a-z, 0-9, _ and -") << command << bad;
    }
  }
  ann.Say("/nick");
  EXPECT_THAT(ann.Line(), StartsWith("! bad name"));
  ann.Say(absl::StrCat("/nick ", longest));
  EXPECT_EQ(ann.Line(), absl::StrCat("* guest1 is now ", longest));
  ann.Say("/nick  -_9 ");
  EXPECT_EQ(ann.Line(), absl::StrCat("* ", longest, " is now -_9")) << "spaces around it are none";
}

TEST_F(ChatTest, MembersGoToAnotherRoomAndBack) {
  Client ann = Enter();
  Client bob = Enter();
  EXPECT_EQ(ann.Line(), "* guest2 joined");
  bob.Say("/join attic");
  EXPECT_EQ(ann.Line(), "* guest2 left");
  EXPECT_EQ(bob.Line(), "* you are in attic");
  EXPECT_EQ(bob.Line(), "* guest2 joined");
  bob.Say("/leave");
  EXPECT_EQ(bob.Line(), "* you are in lobby");
  EXPECT_EQ(bob.Line(), "* guest2 joined");
  EXPECT_EQ(ann.Line(), "* guest2 joined");
  bob.Say("/leave");
  EXPECT_EQ(bob.Line(), "! you are in lobby");
}

TEST_F(ChatTest, ListsAreTrue) {
  Client ann = Enter();
  Client bob = Enter("attic");
  Client eve = Enter("attic");
  eve.Say("/nick eve");
  EXPECT_EQ(eve.Line(), "* guest3 is now eve");
  eve.Say("/who");
  EXPECT_EQ(eve.Line(), "* in attic: eve, guest2");
  eve.Say("/rooms");
  EXPECT_EQ(eve.Line(), "* rooms: attic (2), lobby (1)");
}

TEST_F(ChatTest, ARoomThatBecomesEmptyIsForgotten) {
  Client ann = Enter("attic");
  ann.Say("/join cellar");
  EXPECT_TRUE(ann.WaitFor("* you are in cellar"));
  EXPECT_EQ(ann.Line(), "* guest1 joined");
  ann.Say("/rooms");
  EXPECT_EQ(ann.Line(), "* rooms: cellar (1)");
  ann.Say("/quit");
  EXPECT_THAT(ann.Rest(), SizeIs(0));
  Client bob = Enter();
  bob.Say("/rooms");
  EXPECT_EQ(bob.Line(), "* rooms: lobby (1)");
}

TEST_F(ChatTest, LongListsSayHowManyMoreThereAre) {
  std::vector<Client> crowd;
  for (int i = 0; i < 93; ++i) crowd.push_back(Enter());
  crowd[0].Say("/who");
  std::string line;
  while (line.substr(0, 5) != "* in ") line = crowd[0].Line();
  EXPECT_THAT(line, HasSubstr(" and 3 more"));
}

TEST_F(ChatTest, HelpListsEachCommand) {
  Client ann = Enter();
  ann.Say("/help");
  for (const absl::string_view command :
       {"/nick NAME", "/join ROOM", "/leave", "/who", "/rooms", "/help", "/quit", "//text"}) {
    EXPECT_THAT(ann.Line(), StartsWith(absl::StrCat("* ", command, ": ")));
  }
}

TEST_F(ChatTest, UnknownCommandsAreAnError) {
  Client ann = Enter();
  for (const absl::string_view line : {"/", "/nickname x", "/NICK x", "/ nick x"}) {
    ann.Say(line);
    EXPECT_EQ(ann.Line(), "! unknown command: /help lists them") << line;
  }
}

TEST_F(ChatTest, TwoSlashesSayOne) {
  Client ann = Enter();
  ann.Say("//nick bob");
  EXPECT_EQ(ann.Line(), "[lobby] guest1: /nick bob");
  ann.Say("///");
  EXPECT_EQ(ann.Line(), "[lobby] guest1: //");
}

TEST_F(ChatTest, AnEmptyLineIsAMessage) {
  Client ann = Enter();
  ann.Say("");
  EXPECT_EQ(ann.Line(), "[lobby] guest1: ");
}

TEST_F(ChatTest, ManyLinesInOnePieceAreAnsweredInOrder) {
  Client ann = Enter();
  ann.peer().Send("one\n/nick ann\ntwo\n/who\n/nick a b\nthree");
  EXPECT_EQ(ann.Line(), "[lobby] guest1: one");
  EXPECT_EQ(ann.Line(), "* guest1 is now ann");
  EXPECT_EQ(ann.Line(), "[lobby] ann: two");
  EXPECT_EQ(ann.Line(), "* in lobby: ann");
  EXPECT_THAT(ann.Line(), StartsWith("! bad name"));
  ann.peer().Send("\n");
  EXPECT_EQ(ann.Line(), "[lobby] ann: three");
}

TEST_F(ChatTest, WhoEndsItsHalfHearsWhatItSaidAndThenTheEnd) {
  Client ann = Connect();
  ann.peer().Send("hi\nthere\nno end of line");
  ann.peer().CloseWrite();
  EXPECT_THAT(ann.Rest(), ElementsAre(StartsWith("* welcome"), "* guest1 joined",
                                      "[lobby] guest1: hi", "[lobby] guest1: there"));
}

TEST_F(ChatTest, QuitClosesBehindWhatWasSaid) {
  Client ann = Enter();
  Client bob = Enter();
  EXPECT_EQ(ann.Line(), "* guest2 joined");
  bob.peer().Send("bye\n/quit\nnobody hears this\n");
  EXPECT_THAT(bob.Rest(), ElementsAre("[lobby] guest2: bye"));
  EXPECT_EQ(ann.Line(), "[lobby] guest2: bye");
  EXPECT_EQ(ann.Line(), "* guest2 left");
}

}  // namespace
}  // namespace millrace
