// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/text.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

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
