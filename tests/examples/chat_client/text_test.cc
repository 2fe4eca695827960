// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/text.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(TextTest, CodePointsOfAllLengthsAreFound) {
  EXPECT_EQ(FirstCodePoint("a\xC3").bytes, 1u);
  EXPECT_EQ(FirstCodePoint("\u00E9x").value, U'\u00E9');
  EXPECT_EQ(FirstCodePoint("\u20AC").value, U'\u20AC');
  EXPECT_EQ(FirstCodePoint("\U0001F600").value, U'\U0001F600');
  EXPECT_EQ(FirstCodePoint("\U0001F600").bytes, 4u);
}

TEST(TextTest, WhatIsNoCodePointIsOneByteThatIsNotValid) {
  for (const char* bytes : {"\x80", "\xC0\xAF", "\xC3", "\xE0\x9F\xBF", "\xED\xA0\x80",
                            "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    EXPECT_FALSE(FirstCodePoint(bytes).valid) << Defused(bytes);
    EXPECT_EQ(FirstCodePoint(bytes).bytes, 1u) << Defused(bytes);
  }
}

TEST(TextTest, ThePointBeforeIsTheOneThatEndsThere) {
  const std::string text = "a\u00E9\u20AC\U0001F600";
  EXPECT_EQ(CodePointBefore(text, 1), 0u);
  EXPECT_EQ(CodePointBefore(text, 3), 1u);
  EXPECT_EQ(CodePointBefore(text, 6), 3u);
  EXPECT_EQ(CodePointBefore(text, 10), 6u);
  EXPECT_EQ(CodePointBefore("\u00E9\x80", 3), 2u) << "a byte that belongs to nothing";
}

TEST(TextTest, APrefixIsWhatMoreBytesCouldComplete) {
  const std::string smile = "\U0001F600";
  for (size_t n = 1; n < 4; ++n) EXPECT_TRUE(IsUtf8Prefix(smile.substr(0, n)));
  EXPECT_FALSE(IsUtf8Prefix(smile));
  EXPECT_FALSE(IsUtf8Prefix("a"));
  EXPECT_FALSE(IsUtf8Prefix("\xE2\x41"));
  EXPECT_FALSE(IsUtf8Prefix("\xED\xA0"));
  EXPECT_FALSE(IsUtf8Prefix("\xFF"));
}

TEST(TextTest, WhatATerminalWouldObeyIsMadeVisible) {
  EXPECT_EQ(Defused("\033[2J\a"), "^[[2J^G");
  EXPECT_EQ(Defused("\x7F"), "^?");
  EXPECT_EQ(Defused("a\tb"), "a    b");
  EXPECT_EQ(Defused("\u009B2J"), "\\u009B2J") << "a C1 control, CSI in one";
  EXPECT_EQ(Defused("\u0080\u009F"), "\\u0080\\u009F");
  EXPECT_EQ(Defused("\x9B"), "\\x9B") << "not even UTF-8, but some terminals take it";
  EXPECT_EQ(Defused("\u202Egpj.exe"), "\\u202Egpj.exe");
  EXPECT_EQ(Defused(absl::string_view("\0", 1)), "^@");
}

TEST(TextTest, OrdinaryTextIsLeftAlone) {
  const std::string text = "Grüße, 日本 \u00A0 \U0001F600";
  EXPECT_EQ(Defused(text), text);
}

TEST(TextTest, WideAndCombiningCharactersCountAsTheyLook) {
  UseUtf8Locale();
  EXPECT_EQ(Columns("abc"), 3);
  EXPECT_EQ(Columns("\u00E9"), 1);
  EXPECT_EQ(Columns("日本"), 4);
  EXPECT_EQ(Columns("e\u0301"), 1);
}

}  // namespace
}  // namespace millrace
