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
    ASSERT_EQ(CodePointBefore(text, text.size()), 2u) << code_point;
    ASSERT_EQ(FirstCodePoint(text.substr(2)).value, char32_t{code_point}) << code_point;
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

TEST(Utf8Test, CodePointsOfAllLengthsAreFound) {
  EXPECT_EQ(FirstCodePoint("a\xC3").bytes, 1u);
  EXPECT_EQ(FirstCodePoint("\u00E9x").value, U'\u00E9');
  EXPECT_EQ(FirstCodePoint("\u20AC").value, U'\u20AC');
  EXPECT_EQ(FirstCodePoint("\U0001F600").value, U'\U0001F600');
  EXPECT_EQ(FirstCodePoint("\U0001F600").bytes, 4u);
}

TEST(Utf8Test, WhatIsNoCodePointIsOneByteThatIsNotValid) {
  for (const char* bytes : {"\x80", "\xC0\xAF", "\xC3", "\xE0\x9F\xBF", "\xED\xA0\x80",
                            "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    EXPECT_FALSE(FirstCodePoint(bytes).valid) << absl::CHexEscape(bytes);
    EXPECT_EQ(FirstCodePoint(bytes).bytes, 1u) << absl::CHexEscape(bytes);
  }
}

TEST(Utf8Test, ThePointBeforeIsTheOneThatEndsThere) {
  const std::string text = "a\u00E9\u20AC\U0001F600";
  EXPECT_EQ(CodePointBefore(text, 1), 0u);
  EXPECT_EQ(CodePointBefore(text, 3), 1u);
  EXPECT_EQ(CodePointBefore(text, 6), 3u);
  EXPECT_EQ(CodePointBefore(text, 10), 6u);
  EXPECT_EQ(CodePointBefore("\u00E9\x80", 3), 2u) << "a byte that belongs to nothing";
}

TEST(Utf8Test, APrefixIsWhatMoreBytesCouldComplete) {
  const std::string smile = "\U0001F600";
  for (size_t n = 1; n < 4; ++n) EXPECT_TRUE(IsUtf8Prefix(smile.substr(0, n)));
  EXPECT_FALSE(IsUtf8Prefix(smile));
  EXPECT_FALSE(IsUtf8Prefix("a"));
  EXPECT_FALSE(IsUtf8Prefix("\xE2\x41"));
  EXPECT_FALSE(IsUtf8Prefix("\xED\xA0"));
  EXPECT_FALSE(IsUtf8Prefix("\xFF"));
}

TEST(Utf8Test, TakingTheLastCodePointOffAgainAndAgainLeavesValidText) {
  std::string text = "aß世🦆e\u0301";
  std::vector<size_t> taken;
  while (!text.empty()) {
    const size_t last = CodePointBefore(text, text.size());
    taken.push_back(text.size() - last);
    text.resize(last);
    EXPECT_TRUE(IsValidUtf8(text));
  }
  EXPECT_EQ(taken, (std::vector<size_t>{2, 1, 4, 3, 2, 1}));
}

TEST(Utf8Test, BytesThatBelongToNothingAreTakenOffOneByOne) {
  EXPECT_EQ(CodePointBefore("\x80", 1), 0u);
  EXPECT_EQ(CodePointBefore("\x80\x80", 2), 1u);
  EXPECT_EQ(CodePointBefore("\x80\x80\x80\x80\x80\x80", 6), 5u);
}

}  // namespace
}  // namespace millrace
