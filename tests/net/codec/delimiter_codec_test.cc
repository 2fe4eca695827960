// SPDX-License-Identifier: Apache-2.0
#include "net/codec/delimiter_codec.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/net/codec/codec_contract.h"

namespace millrace {
namespace {

Decodings Messages(std::vector<std::string> messages, std::string rest = "") {
  return {std::move(messages), std::move(rest), absl::OkStatus()};
}

const absl::Status& TooLong4() {
  static const auto* const error =
      new absl::Status(absl::ResourceExhaustedError("a message of more than 4 bytes"));
  return *error;
}

// All strings of up to `bytes_max` bytes a and b: with few letters, what can match in part does.
std::vector<std::string> AllOfTwoLetters(size_t bytes_max) {
  std::vector<std::string> all = {""};
  for (size_t i = 0; all[i].size() < bytes_max; ++i) {
    all.push_back(all[i] + "a");
    all.push_back(all[i] + "b");
  }
  return all;
}

TEST(DelimiterCodecTest, AMessageEndsAtTheDelimiter) {
  EXPECT_EQ(DecodedHoweverCut(DelimiterCodec(";"), "one;two;thr"), Messages({"one", "two"}, "thr"));
  EXPECT_EQ(DecodedHoweverCut(DelimiterCodec("END"), "oneENDtwoENDEN"),
            Messages({"one", "two"}, "EN"));
  EXPECT_EQ(DecodedHoweverCut(DelimiterCodec("\r\n"), "o\rne\r\r\n\n\r\n"),
            Messages({"o\rne\r", "\n"}));
}

TEST(DelimiterCodecTest, AnEmptyMessageIsAMessage) {
  EXPECT_EQ(DecodedHoweverCut(DelimiterCodec("--"), "-----"), Messages({"", ""}, "-"));
}

TEST(DelimiterCodecTest, ADelimiterMayHaveANul) {
  ExpectRoundTrip(DelimiterCodec(std::string("\0;", 2)), {"a", std::string(3, '\0'), ";", ""});
}

TEST(DelimiterCodecTest, FindsADelimiterWhoseBeginIsRepeatedBeforeIt) {
  EXPECT_EQ(DecodedHoweverCut(DelimiterCodec("aab"), "aaabaab"), Messages({"a", ""}));
  EXPECT_EQ(DecodedHoweverCut(DelimiterCodec("abac"), "ababacabac"), Messages({"ab", ""}));
}

TEST(DelimiterCodecTest, FindsWhatAPlainSearchFinds) {
  const std::vector<std::string> streams = AllOfTwoLetters(9);
  for (const std::string& delimiter : AllOfTwoLetters(5)) {
    if (delimiter.empty()) continue;
    for (const std::string& stream : streams) {
      Decodings expected = Messages({}, stream);
      for (size_t at; (at = expected.rest.find(delimiter)) != std::string::npos;) {
        expected.messages.push_back(expected.rest.substr(0, at));
        expected.rest.erase(0, at + delimiter.size());
      }
      ASSERT_EQ(DecodedInPieces(DelimiterCodec(delimiter), {stream}), expected) << delimiter;
      ASSERT_EQ(DecodedByteByByte(DelimiterCodec(delimiter), stream), expected) << delimiter;
    }
  }
}

TEST(DelimiterCodecTest, EncodesExactlyWhatComesBack) {
  for (const std::string& delimiter : AllOfTwoLetters(4)) {
    if (delimiter.empty()) continue;
    for (const std::string& message : AllOfTwoLetters(6)) {
      const absl::StatusOr<std::string> frame = Encoded(DelimiterCodec(delimiter), message);
      const bool comes_back = (message + delimiter).find(delimiter) == message.size();
      ASSERT_EQ(frame.ok(), comes_back) << message << " before " << delimiter;
      if (frame.ok()) {
        ASSERT_EQ(*frame, message + delimiter);
      } else {
        ASSERT_TRUE(absl::IsInvalidArgument(frame.status())) << frame.status();
      }
    }
  }
}

TEST(DelimiterCodecTest, WhatItEncodesItDecodes) {
  ExpectRoundTrip(DelimiterCodec(";"), {"hello", "", "\n", "\xff", "last"});
  ExpectRoundTrip(DelimiterCodec("ab"), {"a", "", "b", "aaaa", "ba"});
}

TEST(DelimiterCodecTest, TheLongestMessageIsFineAndOneByteMoreAnError) {
  const DelimiterCodec codec("ab", {.message_bytes_max = 4});
  EXPECT_EQ(DecodedHoweverCut(codec, "fourabaaaaab"), Messages({"four", "aaaa"}));
  EXPECT_EQ(DecodedHoweverCut(codec, "foura"), Messages({}, "foura"));
  for (const char* stream : {"fivesab", "fives", "aaaaaab", "fourax"}) {
    EXPECT_EQ(DecodedHoweverCut(codec, stream), (Decodings{{}, stream, TooLong4()}));
    EXPECT_EQ(DecodedHoweverCut(codec, absl::StrCat("okab", stream)),
              (Decodings{{"ok"}, stream, TooLong4()}));
  }
  EXPECT_EQ(Encoded(codec, "fives").status(), TooLong4());
}

TEST(DelimiterCodecTest, TheErrorComesAsSoonAsItIsCertain) {
  const DelimiterCodec codec("aab", {.message_bytes_max = 4});
  EXPECT_EQ(BytesUntilError(codec, "endless..."), 5u);
  EXPECT_EQ(BytesUntilError(codec, "fouraax"), 7u);
  EXPECT_EQ(BytesUntilError(codec, "fouraaa"), 7u);
  EXPECT_EQ(BytesUntilError(codec, "fouraab"), 0u);
}

TEST(DelimiterCodecTest, ByDefaultAMessageMayHave4096Bytes) {
  const std::string longest(4096, 'x');
  EXPECT_EQ(DecodedByteByByte(DelimiterCodec("xy"), longest + "xy"), Messages({longest}));
  EXPECT_EQ(BytesUntilError(DelimiterCodec("y"), longest + "x"), 4097u);
}

// As in LineCodecTest: the bytes are swapped behind the codec's back, to see which it looks at.
TEST(DelimiterCodecTest, SearchesEachByteOnce) {
  DelimiterCodec codec("--");
  ASSERT_FALSE(codec.Decode("searched-").value().has_value());
  ASSERT_FALSE(codec.Decode("---------").value().has_value());
  const auto message = codec.Decode("xxxxxxxxx-next").value();
  ASSERT_TRUE(message.has_value()) << "its first half was there already";
  EXPECT_EQ(message->message.size(), 8u);
  EXPECT_EQ(message->bytes, 10u);
  EXPECT_EQ(codec.Decode("a--").value()->message, "a") << "searched from its start";
}

TEST(DelimiterCodecDeathTest, TakesNoEmptyDelimiterAndNoEndlessBound) {
  EXPECT_DEATH(DelimiterCodec(""), "empty delimiter");
  EXPECT_DEATH(DelimiterCodec(";", {.message_bytes_max = std::string::npos}), "no bound");
}

}  // namespace
}  // namespace millrace
