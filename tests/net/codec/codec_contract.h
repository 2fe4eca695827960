// SPDX-License-Identifier: Apache-2.0
//
// What every codec promises, for a test to try on its own: what a stream is decoded to does not
// depend on how it was cut, and what was encoded is decoded to itself. The test's thread.
//
//   EXPECT_EQ(DecodedHoweverCut(LineCodec(), "a\nb\nc"), (Decodings{{"a", "b"}, "c", {}}));
//   ExpectRoundTrip(LineCodec(), {"", "hello"});

#ifndef MILLRACE_TESTS_NET_CODEC_CODEC_CONTRACT_H_
#define MILLRACE_TESTS_NET_CODEC_CODEC_CONTRACT_H_

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "tests/net/codec/cut_stream.h"

namespace millrace {

inline void PrintTo(const Decodings& decodings, std::ostream* out) {
  for (const std::string& message : decodings.messages) {
    *out << '"' << absl::CHexEscape(message) << "\" ";
  }
  *out << "rest \"" << absl::CHexEscape(decodings.rest) << "\" " << decodings.status;
}

// Streams up to here are also cut in three, everywhere.
inline constexpr size_t kThreePiecesBytesMax = 64;

template <Codec C>
Decodings DecodedInPieces(const C& codec, const std::vector<absl::string_view>& pieces) {
  CutStream<C> stream(codec);
  for (absl::string_view piece : pieces) stream.Take(piece);
  return stream;
}

template <Codec C>
Decodings DecodedByteByByte(const C& codec, absl::string_view stream) {
  std::vector<absl::string_view> pieces;
  for (size_t i = 0; i < stream.size(); ++i) pieces.push_back(stream.substr(i, 1));
  return DecodedInPieces(codec, pieces);
}

// What the whole stream is decoded to. However it is cut, that must be the same. (After an error
// the rest is as long as what was there when it became certain, so only its being there is
// compared.)
template <Codec C>
Decodings DecodedHoweverCut(const C& codec, absl::string_view stream) {
  const Decodings whole = DecodedInPieces(codec, {stream});
  const auto expect_same = [&](Decodings pieces) {
    if (!whole.status.ok()) pieces.rest = whole.rest;
    ASSERT_EQ(pieces, whole);
  };
  expect_same(DecodedByteByByte(codec, stream));
  for (size_t i = 0; i <= stream.size(); ++i) {
    const absl::string_view first = stream.substr(0, i), others = stream.substr(i);
    SCOPED_TRACE(testing::Message() << "cut at " << i);
    expect_same(DecodedInPieces(codec, {first, others}));
    if (testing::Test::HasFatalFailure()) break;
    if (stream.size() > kThreePiecesBytesMax) continue;
    for (size_t j = 0; j <= others.size(); ++j) {
      expect_same(DecodedInPieces(codec, {first, others.substr(0, j), others.substr(j)}));
    }
  }
  return whole;
}

// All in one stream.
template <Codec C>
void ExpectRoundTrip(const C& codec, const std::vector<std::string>& messages) {
  std::string stream;
  for (const std::string& message : messages) {
    const absl::StatusOr<std::string> frame = Encoded(codec, message);
    ASSERT_TRUE(frame.ok()) << frame.status() << " of \"" << absl::CHexEscape(message) << '"';
    stream += *frame;
  }
  EXPECT_EQ(DecodedHoweverCut(codec, stream), (Decodings{messages, "", absl::OkStatus()}));
}

// After how many bytes of `stream`, dripping in one by one, the codec gives up; 0 if it does not.
template <Codec C>
size_t BytesUntilError(const C& codec, absl::string_view stream) {
  CutStream<C> cut(codec);
  for (size_t i = 0; i < stream.size(); ++i) {
    cut.Take(stream.substr(i, 1));
    if (!cut.status.ok()) return i + 1;
  }
  return 0;
}

}  // namespace millrace

#endif  // MILLRACE_TESTS_NET_CODEC_CODEC_CONTRACT_H_
