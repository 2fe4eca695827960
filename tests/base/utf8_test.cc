// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "tests/base/utf8_model.h"

namespace millrace {
namespace {

std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (int byte : bytes) text += static_cast<char>(byte);
  return text;
}

// The first and last sequence of each row of table 3-7.
const std::vector<std::string>& RowEnds() {
  static const auto* const ends = new std::vector<std::string>{
      Bytes({0x00}),      Bytes({0x7f}),      Bytes({0xc2, 0x80}), Bytes({0xdf, 0xbf}),
      "\xe0\xa0\x80",     "\xe0\xbf\xbf",     "\xe1\x80\x80",      "\xec\xbf\xbf",
      "\xed\x80\x80",     "\xed\x9f\xbf",     "\xee\x80\x80",      "\xef\xbf\xbf",
      "\xf0\x90\x80\x80", "\xf0\xbf\xbf\xbf", "\xf1\x80\x80\x80",  "\xf3\xbf\xbf\xbf",
      "\xf4\x80\x80\x80", "\xf4\x8f\xbf\xbf",
  };
  return *ends;
}

// Validity, wherever it stands in the eight bytes that are looked at together.
void ExpectValid(bool valid, absl::string_view text) {
  for (size_t before = 0; before < 9; ++before) {
    const std::string line = std::string(before, 'x') + std::string(text);
    ASSERT_EQ(IsValidUtf8(line), valid) << absl::CHexEscape(line);
    ASSERT_EQ(IsValidUtf8(line + "12345678"), valid) << absl::CHexEscape(line) << "12345678";
  }
}

TEST(Utf8Test, NothingIsValid) { EXPECT_TRUE(IsValidUtf8("")); }

TEST(Utf8Test, TextIsValid) {
  ExpectValid(true, "plain");
  ExpectValid(true, "Grüße, 世界, 🦆");
  ExpectValid(true, Bytes({'a', 0, 'b'}));
}

TEST(Utf8Test, OneByteIsValidIfItIsAscii) {
  for (int byte = 0; byte < 256; ++byte) ExpectValid(byte < 0x80, Bytes({byte}));
}

TEST(Utf8Test, TwoBytesAreValidIfEachIsAsciiOrTheyAreTheirRow) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const bool row = first >= 0xc2 && first <= 0xdf && second >= 0x80 && second <= 0xbf;
      ASSERT_EQ(IsValidUtf8(Bytes({first, second})), row || (first < 0x80 && second < 0x80))
          << first << " " << second;
    }
  }
}

TEST(Utf8Test, ThreeBytesAreValidIfTheyDecode) {
  for (int first = 0xe0; first <= 0xef; ++first) {
    for (int others = 0; others < 0x10000; ++others) {
      const std::string text = Bytes({first, others >> 8, others & 0xff});
      ASSERT_EQ(IsValidUtf8(text), DecodesAsUtf8(text)) << absl::CHexEscape(text);
    }
  }
}

TEST(Utf8Test, FourBytesAreValidIfTheyDecode) {
  const int edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0xbf, 0xc0, 0xff};
  for (int first = 0xf0; first <= 0xff; ++first) {
    for (int second = 0; second < 256; ++second) {
      for (int third : edges) {
        for (int fourth : edges) {
          const std::string text = Bytes({first, second, third, fourth});
          ASSERT_EQ(IsValidUtf8(text), DecodesAsUtf8(text)) << absl::CHexEscape(text);
        }
      }
    }
  }
}

TEST(Utf8Test, EachCodePointIsValidAndTheLastOfItsText) {
  for (uint32_t code_point = 0; code_point <= kCodePointMax; ++code_point) {
    if (IsSurrogate(code_point)) continue;
    const std::string text = "ü" + EncodeUtf8(code_point);
    ASSERT_TRUE(IsValidUtf8(text)) << code_point;
    ASSERT_EQ(LastCodePointBytes(text), text.size() - 2) << code_point;
  }
}

TEST(Utf8Test, NoSurrogateIsValid) {
  for (uint32_t code_point = 0xd800; code_point <= 0xdfff; ++code_point) {
    ASSERT_FALSE(IsValidUtf8(EncodeInBytes(code_point, 3))) << code_point;
  }
}

TEST(Utf8Test, NothingAboveTheLastCodePointIsValid) {
  for (uint32_t code_point = kCodePointMax + 1; code_point < 0x200000; ++code_point) {
    ASSERT_FALSE(IsValidUtf8(EncodeInBytes(code_point, 4))) << code_point;
  }
}

TEST(Utf8Test, NothingIsLongerThanItMustBe) {
  for (uint32_t code_point = 0; code_point < 0x10000; ++code_point) {
    for (int bytes = Utf8Bytes(code_point) + 1; bytes <= 4; ++bytes) {
      ASSERT_FALSE(IsValidUtf8(EncodeInBytes(code_point, bytes))) << code_point;
    }
  }
}

TEST(Utf8Test, TheEndsOfEachRowAreValid) {
  for (const std::string& text : RowEnds()) ExpectValid(true, text);
}

TEST(Utf8Test, WhatIsCutOffIsInvalid) {
  for (const std::string& text : RowEnds()) {
    for (size_t n = 1; n < text.size(); ++n) ExpectValid(false, text.substr(0, n));
  }
}

TEST(Utf8Test, WhatBeginsInTheMiddleIsInvalid) {
  for (const std::string& text : RowEnds()) {
    for (size_t n = 1; n < text.size(); ++n) ExpectValid(false, text.substr(n));
  }
}

TEST(Utf8Test, EachContinuationMustBeOne) {
  for (const std::string& text : RowEnds()) {
    for (size_t i = 1; i < text.size(); ++i) {
      for (int byte : {0x00, 0x7f, 0xc0, 0xc2, 0xe1, 0xf1, 0xff}) {
        std::string broken = text;
        broken[i] = static_cast<char>(byte);
        ExpectValid(false, broken);
      }
    }
  }
}

TEST(Utf8Test, NothingHasNoLastCodePoint) { EXPECT_EQ(LastCodePointBytes(""), 0u); }

TEST(Utf8Test, TakingTheLastCodePointOffAgainAndAgainLeavesValidText) {
  std::string text = "aß世🦆e\u0301";
  std::vector<size_t> taken;
  while (!text.empty()) {
    taken.push_back(LastCodePointBytes(text));
    text.resize(text.size() - taken.back());
    EXPECT_TRUE(IsValidUtf8(text));
  }
  EXPECT_EQ(taken, (std::vector<size_t>{2, 1, 4, 3, 2, 1}));
}

TEST(Utf8Test, TheLastCodePointOfInvalidTextIsNoMoreThanThereIs) {
  EXPECT_EQ(LastCodePointBytes("\x80"), 1u);
  EXPECT_EQ(LastCodePointBytes("\x80\x80"), 2u);
  EXPECT_EQ(LastCodePointBytes("\x80\x80\x80\x80\x80\x80"), 4u);
}

}  // namespace
}  // namespace millrace
