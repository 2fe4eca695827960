// SPDX-License-Identifier: Apache-2.0
#include "net/codec/length_prefix_codec.h"

#include <bit>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/limits.h"
#include "tests/net/codec/codec_contract.h"

namespace millrace {
namespace {

using std::string_literals::operator""s;
using Options = LengthPrefixCodec::Options;

Decodings Messages(std::vector<std::string> messages, std::string rest = "") {
  return {std::move(messages), std::move(rest), absl::OkStatus()};
}

absl::Status TooLong(uint64_t bytes, uint64_t max) {
  return absl::ResourceExhaustedError(
      absl::StrCat("a message of ", bytes, " bytes, more than ", max));
}

TEST(LengthPrefixCodecTest, AMessageComesAfterItsLength) {
  const std::string stream = "\0\0\0\5hello\0\0\0\0\0\0\0\3you\0\0"s;
  EXPECT_EQ(DecodedHoweverCut(LengthPrefixCodec(), stream),
            Messages({"hello", "", "you"}, "\0\0"s));
}

TEST(LengthPrefixCodecTest, WritesTheLengthInTheChosenSizeAndOrder) {
  const std::string message(0x0102, 'x');
  const auto frame = [&](Options options) { return *Encoded(LengthPrefixCodec(options), message); };
  constexpr std::endian kLittle = std::endian::little;
  EXPECT_EQ(frame({.prefix_bytes = 2}), "\1\2" + message);
  EXPECT_EQ(frame({.prefix_bytes = 2, .byte_order = kLittle}), "\2\1" + message);
  EXPECT_EQ(frame({}), "\0\0\1\2"s + message);
  EXPECT_EQ(frame({.byte_order = kLittle}), "\2\1\0\0"s + message);
  EXPECT_EQ(frame({.prefix_bytes = 8}), "\0\0\0\0\0\0\1\2"s + message);
  EXPECT_EQ(frame({.prefix_bytes = 8, .byte_order = kLittle}), "\2\1\0\0\0\0\0\0"s + message);
  EXPECT_EQ(frame({.prefix_bytes = 2, .counts_prefix = true}), "\1\4" + message);
  EXPECT_EQ(*Encoded(LengthPrefixCodec({.prefix_bytes = 1}), "hello"), "\5hello");
}

TEST(LengthPrefixCodecTest, WhatItEncodesItDecodes) {
  for (int prefix_bytes : {1, 2, 4, 8}) {
    for (std::endian byte_order : {std::endian::big, std::endian::little}) {
      for (bool counts_prefix : {false, true}) {
        SCOPED_TRACE(absl::StrCat(prefix_bytes, byte_order == std::endian::big, counts_prefix));
        const LengthPrefixCodec codec({.prefix_bytes = prefix_bytes,
                                       .byte_order = byte_order,
                                       .counts_prefix = counts_prefix});
        ExpectRoundTrip(codec, {"hello", "", "\0\0"s, "\n\xff", "", "last"});
        ExpectRoundTrip(codec, {std::string(247, 'x'), "y"});
      }
    }
  }
}

TEST(LengthPrefixCodecTest, ALengthMayCountItsPrefix) {
  const LengthPrefixCodec codec({.prefix_bytes = 2, .counts_prefix = true});
  EXPECT_EQ(DecodedHoweverCut(codec, "\0\7hello\0\2\0\3x"s), Messages({"hello", "", "x"}));
  for (char length : {'\0', '\1'}) {
    const std::string stream = {'\0', '\3', 'x', '\0', length, 'y'};
    const Decodings decodings = DecodedHoweverCut(codec, stream);
    EXPECT_EQ(decodings.messages, std::vector<std::string>{"x"});
    EXPECT_TRUE(absl::IsInvalidArgument(decodings.status)) << decodings.status;
  }
}

TEST(LengthPrefixCodecTest, TheLongestMessageIsFineAndOneByteMoreAnError) {
  for (bool counts_prefix : {false, true}) {
    const LengthPrefixCodec codec({.message_bytes_max = 4, .counts_prefix = counts_prefix});
    const char length = counts_prefix ? 8 : 4, too_long = counts_prefix ? 9 : 5;
    EXPECT_EQ(DecodedHoweverCut(codec, "\0\0\0"s + length + "four"), Messages({"four"}));
    EXPECT_EQ(DecodedHoweverCut(codec, "\0\0\0"s + too_long + "fives").status, TooLong(5, 4));
    EXPECT_EQ(Encoded(codec, "fives").status(), TooLong(5, 4));
  }
}

TEST(LengthPrefixCodecTest, TheErrorComesBeforeTheMessage) {
  EXPECT_EQ(BytesUntilError(LengthPrefixCodec({.message_bytes_max = 4}), "\0\0\0\5fives"s), 4u);
  EXPECT_EQ(BytesUntilError(LengthPrefixCodec(), "\0\xff\xff\xf9"s), 4u);
  EXPECT_EQ(BytesUntilError(LengthPrefixCodec(), "\0\x0f\xff\xf8"s), 0u);
}

// Added to the size of anything, these would come out small.
TEST(LengthPrefixCodecTest, LengthsNearTheLargestDoNotOverflow) {
  constexpr uint64_t kMax = kInputBytesMax - 8;
  for (bool counts_prefix : {false, true}) {
    const LengthPrefixCodec codec({.prefix_bytes = 8, .counts_prefix = counts_prefix});
    for (uint64_t less = 0; less <= 16; ++less) {
      std::string stream(7, '\xff');
      stream += static_cast<char>(0xff - less);
      const uint64_t length = ~uint64_t{0} - less;
      EXPECT_EQ(DecodedHoweverCut(codec, stream + "0123456789").status,
                TooLong(counts_prefix ? length - 8 : length, kMax));
    }
  }
}

TEST(LengthPrefixCodecTest, AShortPrefixBoundsTheMessage) {
  const LengthPrefixCodec one({.prefix_bytes = 1});
  ExpectRoundTrip(one, {std::string(255, 'x')});
  EXPECT_EQ(Encoded(one, std::string(256, 'x')).status(), TooLong(256, 255));
  const LengthPrefixCodec counting({.prefix_bytes = 1, .counts_prefix = true});
  ExpectRoundTrip(counting, {std::string(254, 'x')});
  EXPECT_EQ(Encoded(counting, std::string(255, 'x')).status(), TooLong(255, 254));
  EXPECT_EQ(Encoded(LengthPrefixCodec({.prefix_bytes = 2}), std::string(65'536, 'x')).status(),
            TooLong(65'536, 65'535));
}

TEST(LengthPrefixCodecTest, ByDefaultTheLongestFrameIsTheMostInputThatMayWait) {
  const LengthPrefixCodec codec({.prefix_bytes = 8});
  const std::string longest(kInputBytesMax - 8, 'x');
  const std::string frame = *Encoded(codec, longest);
  EXPECT_EQ(frame.size(), kInputBytesMax);
  EXPECT_EQ(DecodedInPieces(codec, {frame}), Messages({longest}));
  EXPECT_EQ(Encoded(codec, longest + "x").status(),
            TooLong(kInputBytesMax - 7, kInputBytesMax - 8));
}

TEST(LengthPrefixCodecDeathTest, ThereAreFourSizesOfAPrefix) {
  for (int prefix_bytes : {-1, 0, 3, 16}) {
    EXPECT_DEATH(LengthPrefixCodec({.prefix_bytes = prefix_bytes}), "a length of");
  }
  EXPECT_DEATH(LengthPrefixCodec({.message_bytes_max = std::string::npos}), "no bound");
}

}  // namespace
}  // namespace millrace
