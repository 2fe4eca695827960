// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/pattern.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/log/check.h"
#include "base/random.h"

namespace millrace {
namespace {

constexpr uint64_t kPeriod = 65'521;  // The largest prime of 16 bits.

// Multipliers that send neighbours far from each other. Both are prime to kPeriod.
constexpr uint64_t kConnectionStep = 40'503;
constexpr uint64_t kRoundStep = 17'389;

// The same in every run: what was captured of one can be compared with the next.
std::string MakeText() {
  Random random(7007);
  std::string text(kPeriod, '\0');
  for (char& byte : text) byte = static_cast<char>(random.Next() >> 56);
  return text;
}

std::string MakePrefix(uint32_t frame_bytes) {
  if (frame_bytes == 0) return "";
  const uint32_t length = frame_bytes - Pattern::kPrefixBytes;
  std::string prefix;
  for (int shift = 24; shift >= 0; shift -= 8) prefix += static_cast<char>(length >> shift);
  return prefix;
}

absl::string_view ChunkOf(const absl::Cord& cord) {
  const std::optional<absl::string_view> flat = cord.TryFlat();
  CHECK(flat.has_value());
  return *flat;
}

}  // namespace

Pattern::Pattern(uint32_t frame_bytes)
    : frame_bytes_(frame_bytes),
      prefix_cord_(MakePrefix(frame_bytes)),
      text_cord_(MakeText()),
      prefix_(ChunkOf(prefix_cord_)),
      text_(ChunkOf(text_cord_)) {
  CHECK(frame_bytes == 0 || frame_bytes >= kPrefixBytes) << frame_bytes;
}

Pattern::Position Pattern::Start(uint64_t connection, uint64_t round) const {
  return {.in_text = static_cast<uint32_t>(
              (connection % kPeriod * kConnectionStep + round % kPeriod * kRoundStep) % kPeriod)};
}

// How much of the text is in the first so many bytes from the beginning of a frame on.
uint64_t Pattern::TextBytesIn(uint64_t framed_bytes) const {
  const uint64_t rest = framed_bytes % frame_bytes_;
  return framed_bytes / frame_bytes_ * (frame_bytes_ - kPrefixBytes) +
         (rest > kPrefixBytes ? rest - kPrefixBytes : 0);
}

Pattern::Position Pattern::Skip(Position at, uint64_t n) const {
  if (frame_bytes_ == 0) return {.in_text = static_cast<uint32_t>((at.in_text + n) % kPeriod)};
  const uint64_t end = at.in_frame + n;
  const uint64_t text_bytes = TextBytesIn(end) - TextBytesIn(at.in_frame);
  return {.in_text = static_cast<uint32_t>((at.in_text + text_bytes) % kPeriod),
          .in_frame = static_cast<uint32_t>(end % frame_bytes_)};
}

absl::string_view Pattern::Piece(Position at, uint64_t n) const {
  DCHECK_LT(at.in_text, kPeriod);
  if (in_prefix(at)) return prefix_.substr(at.in_frame, n);
  if (frame_bytes_ > 0) n = std::min<uint64_t>(n, frame_bytes_ - at.in_frame);
  return text_.substr(at.in_text, n);
}

absl::Cord Pattern::Bytes(Position at, uint64_t n) const {
  absl::Cord bytes;
  while (n > 0) {
    const uint64_t part = Piece(at, n).size();
    bytes.Append(in_prefix(at) ? prefix_cord_.Subcord(at.in_frame, part)
                               : text_cord_.Subcord(at.in_text, part));
    at = Skip(at, part);
    n -= part;
  }
  return bytes;
}

void Pattern::Copy(Position at, absl::Span<char> into) const {
  while (!into.empty()) {
    const absl::string_view piece = Piece(at, into.size());
    memcpy(into.data(), piece.data(), piece.size());
    into.remove_prefix(piece.size());
    at = Skip(at, piece.size());
  }
}

std::optional<size_t> Pattern::FindMismatch(Position at, absl::string_view bytes) const {
  for (size_t done = 0; done < bytes.size();) {
    const absl::string_view expected = Piece(at, bytes.size() - done);
    const absl::string_view got = bytes.substr(done, expected.size());
    if (memcmp(got.data(), expected.data(), got.size()) != 0) {
      return done + (std::mismatch(got.begin(), got.end(), expected.begin()).first - got.begin());
    }
    done += got.size();
    at = Skip(at, got.size());
  }
  return std::nullopt;
}

}  // namespace millrace
