// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/pattern.h"

#include <optional>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

class PatternTest : public testing::Test {
 protected:
  // `n` bytes from `at` on, as they would be sent.
  std::string Text(Pattern::Position at, size_t n) const {
    std::string text;
    while (text.size() < n) {
      const absl::string_view piece = pattern_.Piece(at, n - text.size());
      at = pattern_.Skip(at, piece.size());
      text.append(piece);
    }
    return text;
  }

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

}  // namespace
}  // namespace millrace
