// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/line_editor.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using Event = LineEditor::Event;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kLeft[] = "\033[D";
constexpr char kRight[] = "\033[C";
constexpr char kUp[] = "\033[A";
constexpr char kDown[] = "\033[B";
constexpr char kBackspace[] = "\177";

class LineEditorTest : public ::testing::Test {
 protected:
  // All that happens; lines are finished.
  std::vector<Event> Type(absl::string_view keys) {
    std::vector<Event> events;
    while (!keys.empty()) {
      const Event event = editor_.Take(keys);
      if (event == Event::kNone) break;
      events.push_back(event);
      if (event != Event::kEnter) continue;
      lines_.push_back(editor_.text());
      editor_.Finish();
    }
    return events;
  }
  std::vector<Event> Type(std::initializer_list<absl::string_view> keys) {
    std::vector<Event> events;
    for (absl::string_view each : keys) {
      for (Event event : Type(each)) events.push_back(event);
    }
    return events;
  }
  // The text with the cursor in it, as |.
  std::string Shown() const {
    std::string shown = editor_.text();
    return shown.insert(editor_.cursor(), "|");
  }

  LineEditor editor_;
  std::vector<std::string> lines_;
};

TEST_F(LineEditorTest, EnterTellsOfTheLine) {
  EXPECT_THAT(Type("hello\n"), ElementsAre(Event::kEnter));
  EXPECT_THAT(lines_, ElementsAre("hello"));
  EXPECT_EQ(Shown(), "|");
}

TEST_F(LineEditorTest, ALineThatNobodyFinishesStays) {
  absl::string_view keys = "hello\n!";
  EXPECT_EQ(editor_.Take(keys), Event::kEnter);
  EXPECT_EQ(keys, "!");
  EXPECT_EQ(editor_.Take(keys), Event::kNone);
  EXPECT_EQ(Shown(), "hello!|");
}

TEST_F(LineEditorTest, PastedNewlinesEndLines) {
  EXPECT_THAT(Type("\033[200~one\ntwo\rthree\033[201~"), ElementsAre(Event::kEnter, Event::kEnter));
  EXPECT_THAT(lines_, ElementsAre("one", "two"));
  EXPECT_EQ(Shown(), "three|");
}

TEST_F(LineEditorTest, ArrowsMoveByCodePointAndStopAtTheEnds) {
  Type({"a\u20ACb", kLeft, kLeft});
  EXPECT_EQ(Shown(), "a|\u20ACb");
  Type({kLeft, kLeft, "x"});
  EXPECT_EQ(Shown(), "x|a\u20ACb");
  Type({kRight, kRight});
  EXPECT_EQ(Shown(), "xa\u20AC|b");
  Type({kRight, kRight, "y"});
  EXPECT_EQ(Shown(), "xa\u20ACby|");
}

TEST_F(LineEditorTest, ControlLettersMoveToo) {
  Type({"abc", "\x02", "\x02"});
  EXPECT_EQ(Shown(), "a|bc");
  Type("\x06");
  EXPECT_EQ(Shown(), "ab|c");
  Type("\x01");
  EXPECT_EQ(Shown(), "|abc");
  Type("\x05");
  EXPECT_EQ(Shown(), "abc|");
}

TEST_F(LineEditorTest, HomeAndEndInEveryDialect) {
  for (const char* home : {"\033[H", "\033OH", "\033[1~", "\033[7~"}) {
    for (const char* end : {"\033[F", "\033OF", "\033[4~", "\033[8~"}) {
      LineEditor fresh;
      std::swap(editor_, fresh);
      Type({"abc", home});
      EXPECT_EQ(Shown(), "|abc") << home + 1;
      Type(end);
      EXPECT_EQ(Shown(), "abc|") << end + 1;
    }
  }
}

TEST_F(LineEditorTest, BackspaceTakesACodePoint) {
  Type({"a\u00E9\U0001F600", kBackspace});
  EXPECT_EQ(Shown(), "a\u00E9|");
  Type("\b\b\b");
  EXPECT_EQ(Shown(), "|");
}

TEST_F(LineEditorTest, DeleteTakesTheOneAfter) {
  Type({"a\u20ACb", "\x01", "\033[3~", "\033[3~"});
  EXPECT_EQ(Shown(), "|b");
  EXPECT_THAT(Type("\x04\x04"), ElementsAre(Event::kEnd)) << "once the line is empty";
}

TEST_F(LineEditorTest, KillsToTheFrontToTheEndAndTheWordBefore) {
  Type({"one two", kLeft, kLeft, "\x15"});
  EXPECT_EQ(Shown(), "|wo");
  Type({kRight, "\x0B"});
  EXPECT_EQ(Shown(), "w|");
  Type({" three  four \x17"});
  EXPECT_EQ(Shown(), "w three  |");
  Type("\x17");
  EXPECT_EQ(Shown(), "w |");
  Type("\033\177\x17");
  EXPECT_EQ(Shown(), "|");
}

TEST_F(LineEditorTest, HistoryGoesBackAndForthAndKeepsTheDraft) {
  Type({"one\n", "two\n", "dra", kUp});
  EXPECT_EQ(Shown(), "two|");
  Type({kUp, kUp});
  EXPECT_EQ(Shown(), "one|");
  Type({kDown, kDown});
  EXPECT_EQ(Shown(), "dra|");
  Type({kDown, "ft"});
  EXPECT_EQ(Shown(), "draft|");
}

TEST_F(LineEditorTest, AnOldLineCanBeEditedAndSentAnew) {
  Type({"one\n", "two\n", "\x10\x10", "!\n"});
  EXPECT_THAT(lines_, ElementsAre("one", "two", "one!"));
  Type("\x10\x10\x10\x0E");
  EXPECT_EQ(Shown(), "two|") << "the old ones are as they were";
}

TEST_F(LineEditorTest, HistoryHoldsTheLastHundredAndNoRepetitions) {
  for (int i = 0; i < 105; ++i) Type(absl::StrCat("line ", i, "\n"));
  Type("line 104\n\n");
  for (int i = 0; i < 200; ++i) Type(kUp);
  EXPECT_EQ(Shown(), "line 5|");
  for (int i = 0; i < 99; ++i) Type(kDown);
  EXPECT_EQ(Shown(), "line 104|");
}

TEST_F(LineEditorTest, CtrlCAndCtrlLAreTold) {
  EXPECT_THAT(Type("ab\x0C\x03"), ElementsAre(Event::kClearScreen, Event::kInterrupt));
  EXPECT_EQ(Shown(), "ab|");
}

TEST_F(LineEditorTest, CodePointsMayComeInPieces) {
  for (const char byte : std::string("\u00E9\u20AC\U0001F600")) Type({&byte, 1});
  EXPECT_EQ(Shown(), "\u00E9\u20AC\U0001F600|");
}

TEST_F(LineEditorTest, HalfACodePointIsNotShown) {
  Type("a\xE2\x82");
  EXPECT_EQ(Shown(), "a|");
  Type("\xAC");
  EXPECT_EQ(Shown(), "a\u20AC|");
}

TEST_F(LineEditorTest, WhatIsNotUtf8IsKeptAsItCame) {
  Type("a\xE2\x82z\xFF");
  EXPECT_EQ(Shown(), "a\xE2\x82z\xFF|");
  Type({kBackspace, kBackspace, kBackspace});
  EXPECT_EQ(Shown(), "a\xE2|") << "and goes byte by byte";
  Type("\xC3\n");
  EXPECT_THAT(lines_, ElementsAre("a\xE2\xC3"));
}

TEST_F(LineEditorTest, SequencesMayComeInPieces) {
  Type({"ab", "\033", "[", "D", "x"});
  EXPECT_EQ(Shown(), "ax|b");
  Type({"\033[", "3", "~"});
  EXPECT_EQ(Shown(), "ax|");
}

TEST_F(LineEditorTest, UnknownSequencesAreSwallowed) {
  // Shift-F5, a mouse click's head, an answer about the cursor, Alt-x, F1 in three dialects, and
  // one that is longer than any.
  for (const char* sequence : {"\033[15;2~", "\033[<0;1;2M", "\033[24;80R", "\033x", "\033OP",
                               "\033[[A", "\033[11~", "\033[1;2;3;4;5;6;7;8;9;10;11;12z"}) {
    EXPECT_THAT(Type(sequence), IsEmpty());
    EXPECT_EQ(Shown(), "|") << sequence + 1;
  }
  Type("text");
  EXPECT_EQ(Shown(), "text|");
}

TEST_F(LineEditorTest, AnEscapeThatStandsAloneTakesNoEnterWithIt) {
  EXPECT_THAT(Type("a\033\nb\033[\nc\033O\n"),
              ElementsAre(Event::kEnter, Event::kEnter, Event::kEnter));
  EXPECT_THAT(lines_, ElementsAre("a", "b", "c"));
  Type("\033\033[D\033\u00E9");
  EXPECT_EQ(Shown(), "\u00E9|");
}

TEST_F(LineEditorTest, OtherControlCharactersDoNothingAndATabIsASpace) {
  Type("a\tb\x07\x0F\x19");
  EXPECT_EQ(Shown(), "a b|");
}

TEST_F(LineEditorTest, WhenItIsFullItSaysSoOnce) {
  Type(std::string(LineEditor::kTextBytesMax, 'x'));
  EXPECT_EQ(editor_.text().size(), LineEditor::kTextBytesMax);
  EXPECT_THAT(Type("yyy"), ElementsAre(Event::kFull));
  EXPECT_THAT(Type({kBackspace, "yz"}), ElementsAre(Event::kFull));
  EXPECT_EQ(editor_.text().back(), 'y');
}

}  // namespace
}  // namespace millrace
