// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/pattern.h"

#include <optional>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

class PatternTest : public testing::Test {
 protected:
  // `n` bytes from `at` on, as they would be sent.
  static std::string TextOf(const Pattern& pattern, Pattern::Position at, size_t n) {
    std::string text;
    while (text.size() < n) {
      const absl::string_view piece = pattern.Piece(at, n - text.size());
      at = pattern.Skip(at, piece.size());
      text.append(piece);
    }
    return text;
  }
  std::string Text(Pattern::Position at, size_t n) const { return TextOf(pattern_, at, n); }

  const Pattern pattern_;
};

TEST_F(PatternTest, WhatIsSentIsRight) {
  for (const size_t n : {1, 64, 4096, 65'521, 200'000}) {
    const Pattern::Position at = pattern_.Start(n);
    EXPECT_EQ(pattern_.FindMismatch(at, Text(at, n)), std::nullopt) << n;
    EXPECT_EQ(std::string(pattern_.Bytes(at, n)), Text(at, n)) << n;
  }
}

TEST_F(PatternTest, ItIsOneTextHoweverItIsCut) {
  const Pattern::Position at = pattern_.Start(3);
  const std::string text = Text(at, 300'000);
  Pattern::Position here = at;
  for (size_t done = 0, n = 1; done < text.size(); done += n, n = n * 3 % 10'007) {
    const absl::string_view piece = absl::string_view(text).substr(done, n);
    ASSERT_EQ(pattern_.FindMismatch(here, piece), std::nullopt) << done;
    here = pattern_.Skip(here, piece.size());
  }
}

TEST_F(PatternTest, AFlippedBitIsFoundWhereItIs) {
  const Pattern::Position at = pattern_.Start(1);
  for (const size_t where : {0, 1, 65'520, 65'521, 99'999}) {
    std::string text = Text(at, 100'000);
    text[where] ^= 1;
    EXPECT_EQ(pattern_.FindMismatch(at, text), where);
    EXPECT_EQ(pattern_.ByteAt(pattern_.Skip(at, where)), text[where] ^ 1);
  }
}

// However much is lost or comes twice: only whole periods would go unseen.
TEST_F(PatternTest, ShiftedTextIsWrong) {
  const Pattern::Position at = pattern_.Start(5);
  for (size_t shift = 1; shift < 65'521; ++shift) {
    ASSERT_TRUE(pattern_.FindMismatch(at, Text(pattern_.Skip(at, shift), 16))) << shift;
  }
}

TEST_F(PatternTest, AnotherConnectionsTextIsWrong) {
  std::set<Pattern::Position> starts;
  for (uint64_t connection = 0; connection < 60'000; ++connection) {
    starts.insert(pattern_.Start(connection));
  }
  EXPECT_EQ(starts.size(), 60'000u);
}

TEST_F(PatternTest, EachRoundOfAConnectionStartsElsewhere) {
  std::set<Pattern::Position> starts;
  for (uint64_t round = 0; round < 60'000; ++round) starts.insert(pattern_.Start(7, round));
  EXPECT_EQ(starts.size(), 60'000u);
}

// 64 bytes each: their length is 60, and the text goes on behind it.
TEST_F(PatternTest, FramesAreLengthsBeforeThePiecesOfTheText) {
  const Pattern framed(64);
  const Pattern::Position at = framed.Start(5);
  const std::string frames = TextOf(framed, at, 10 * 64);
  std::string payload;
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(frames.substr(64 * i, 4), std::string("\0\0\0\x3c", 4));
    payload += frames.substr(64 * i + 4, 60);
  }
  EXPECT_EQ(payload, Text(pattern_.Start(5), 600));
}

TEST_F(PatternTest, ALengthHasItsHighestByteFirst) {
  const Pattern framed((64 << 20) + 4 - 0x010203);
  const uint32_t length = (64 << 20) - 0x010203;
  const std::string prefix(framed.Piece(framed.Start(0), 1000));
  ASSERT_EQ(prefix.size(), 4u) << "it is a piece by itself";
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(static_cast<uint8_t>(prefix[i]), length >> (24 - 8 * i) & 255) << i;
  }
}

TEST_F(PatternTest, FramesOfEverySizeAreOneStreamHoweverItIsCut) {
  for (const uint32_t frame_bytes : {4, 5, 64, 1000, 65'525, 70'000}) {
    const Pattern framed(frame_bytes);
    const Pattern::Position at = framed.Start(3);
    const std::string text = TextOf(framed, at, 200'000);
    EXPECT_EQ(std::string(framed.Bytes(at, text.size())), text) << frame_bytes;
    Pattern::Position here = at;
    for (size_t done = 0, n = 1; done < text.size(); done += n, n = n * 3 % 10'007) {
      std::string piece = text.substr(done, n);
      ASSERT_EQ(framed.FindMismatch(here, piece), std::nullopt) << frame_bytes << ", " << done;
      ASSERT_EQ(here, framed.Skip(at, done));
      std::string copy(piece.size(), '\0');
      framed.Copy(here, absl::MakeSpan(copy));
      ASSERT_EQ(copy, piece);
      piece.back() ^= 1;
      ASSERT_EQ(framed.FindMismatch(here, piece), piece.size() - 1);
      ASSERT_EQ(framed.ByteAt(framed.Skip(here, piece.size() - 1)), piece.back() ^ 1);
      here = framed.Skip(here, piece.size());
    }
  }
}

// Whole ones that are lost, or come twice, or change places: neighbours are never alike.
TEST_F(PatternTest, AnotherFrameIsWrong) {
  const Pattern framed(64);
  const Pattern::Position at = framed.Start(2);
  for (size_t frames = 1; frames < 10'000; ++frames) {
    ASSERT_TRUE(framed.FindMismatch(at, TextOf(framed, framed.Skip(at, 64 * frames), 64)));
  }
}

}  // namespace
}  // namespace millrace
