// SPDX-License-Identifier: Apache-2.0
#include "net/codec/line_codec.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/net/codec/codec_contract.h"

namespace millrace {
namespace {

Decodings Lines(std::vector<std::string> lines, std::string rest = "") {
  return {std::move(lines), std::move(rest), absl::OkStatus()};
}

LineCodec Short() { return LineCodec({.line_bytes_max = 4}); }

TEST(LineCodecTest, LinesEndAtLf) {
  EXPECT_EQ(DecodedHoweverCut(LineCodec(), "one\ntwo\nthr"), Lines({"one", "two"}, "thr"));
}

TEST(LineCodecTest, AnEmptyLineIsALine) {
  EXPECT_EQ(DecodedHoweverCut(LineCodec(), "\n\n\r\n"), Lines({"", "", ""}));
}

TEST(LineCodecTest, OneCrBeforeTheLfIsDropped) {
  EXPECT_EQ(DecodedHoweverCut(LineCodec(), "one\r\ntwo\r\r\n"), Lines({"one", "two\r"}));
}

TEST(LineCodecTest, OtherCrsBelongToTheLine) {
  EXPECT_EQ(DecodedHoweverCut(LineCodec(), "\ro\rne\n\r"), Lines({"\ro\rne"}, "\r"));
}

TEST(LineCodecTest, ANulIsAByteLikeOthers) {
  const std::string line("a\0b", 3);
  EXPECT_EQ(DecodedHoweverCut(LineCodec(), line + "\n"), Lines({line}));
  ExpectRoundTrip(LineCodec(), {line, std::string(1, '\0')});
}

TEST(LineCodecTest, TheLongestLineIsFineHoweverItEnds) {
  EXPECT_EQ(DecodedHoweverCut(Short(), "four\nfour\r\nfou\r\r\n"),
            Lines({"four", "four", "fou\r"}));
  EXPECT_EQ(DecodedHoweverCut(Short(), "four"), Lines({}, "four"));
  EXPECT_EQ(DecodedHoweverCut(Short(), "four\r"), Lines({}, "four\r"));
}

TEST(LineCodecTest, OneByteMoreIsAnError) {
  const absl::Status error = absl::ResourceExhaustedError("a line of more than 4 bytes");
  for (const char* line :
       {"fives\n", "fives\r\n", "four\r\r\n", "four\rx\n", "fives", "four\r\r"}) {
    EXPECT_EQ(DecodedHoweverCut(Short(), line), (Decodings{{}, line, error}));
    EXPECT_EQ(DecodedHoweverCut(Short(), std::string("ok\n") + line),
              (Decodings{{"ok"}, line, error}));
  }
}

TEST(LineCodecTest, TheErrorComesAsSoonAsItIsCertain) {
  EXPECT_EQ(BytesUntilError(Short(), "endless..."), 5u);
  EXPECT_EQ(BytesUntilError(Short(), "four\rendless"), 6u);
  EXPECT_EQ(BytesUntilError(Short(), "four\r\r\n"), 6u);
}

TEST(LineCodecTest, ByDefaultALineMayHave4096Bytes) {
  const std::string longest(4096, 'x');
  EXPECT_EQ(DecodedInPieces(LineCodec(), {longest, "\r\n"}), Lines({longest}));
  EXPECT_EQ(DecodedByteByByte(LineCodec(), longest + "\r\n"), Lines({longest}));
  EXPECT_EQ(BytesUntilError(LineCodec(), longest + "xx"), 4097u);
  EXPECT_EQ(DecodedInPieces(LineCodec(), {longest, "x"}).status,
            absl::ResourceExhaustedError("a line of more than 4096 bytes"));
}

TEST(LineCodecTest, ABoundOfZeroAllowsEmptyLines) {
  const LineCodec codec({.line_bytes_max = 0});
  EXPECT_EQ(DecodedHoweverCut(codec, "\n\r\n"), Lines({"", ""}));
  EXPECT_EQ(BytesUntilError(codec, "x\n"), 1u);
}

TEST(LineCodecTest, WhatItEncodesItDecodes) {
  ExpectRoundTrip(LineCodec(), {"hello", "", "a\rb", "\rx", "\xff\x80", "last"});
  ExpectRoundTrip(Short(), {"four", "", "3\rx"});
}

TEST(LineCodecTest, RefusesToEncodeWhatWouldNotComeBack) {
  for (const char* line : {"\n", "a\nb", "a\n", "a\r", "\r"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Encoded(LineCodec(), line).status())) << line;
  }
  EXPECT_EQ(Encoded(Short(), "fives").status(),
            absl::ResourceExhaustedError("a line of more than 4 bytes"));
}

// A line that drips in would cost the square of its length otherwise. The bytes are swapped behind
// the codec's back, to see which it looks at.
TEST(LineCodecTest, SearchesEachByteOnce) {
  LineCodec codec;
  ASSERT_FALSE(codec.Decode("searched").value().has_value());
  ASSERT_FALSE(codec.Decode("\n\n\n\n\n\n\n\n").value().has_value());
  ASSERT_FALSE(codec.Decode("\n\n\n\n\n\n\n\nmore").value().has_value());
  const auto line = codec.Decode("searchedmore\nnext").value();
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->message, "searchedmore");
  EXPECT_EQ(line->bytes, 13u);
  EXPECT_EQ(codec.Decode("a\n").value()->message, "a")
      << "the next line is searched from its start";
}

TEST(LineCodecDeathTest, ABoundMustBound) {
  EXPECT_DEATH(LineCodec({.line_bytes_max = std::string::npos}), "no bound");
}

}  // namespace
}  // namespace millrace
