// SPDX-License-Identifier: Apache-2.0
//
// Pattern is the endless text that load connections send and expect back. Each begins at a place of
// its own, and no piece of it is like another: so bytes that are lost, repeated, out of order or
// another connection's are seen as such, and not only those that are plainly wrong. Immutable; any
// thread.
//
//   Pattern::Position at = pattern.Start(connection);
//   absl::string_view piece = pattern.Piece(at, n);      // To send; at = pattern.Skip(at, n) then.
//   if (std::optional<size_t> bad = pattern.FindMismatch(at, received)) ...
//
// It is random bytes, repeated after a prime number of them, which no message size or buffer size
// is a multiple of. They are made once, so that a check is a memcmp, and few enough (64 KiB) to
// stay in the cache.
//
// For servers of requests it is cut into frames, each of the same size: four bytes that tell how
// many follow, the highest first, and then those, which go on in the text where the frame before
// ended. The lengths are part of what comes back, and checked like the rest.

#ifndef MILLRACE_TOOLS_LOADGEN_PATTERN_H_
#define MILLRACE_TOOLS_LOADGEN_PATTERN_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace millrace {

class Pattern {
 public:
  static constexpr uint32_t kPrefixBytes = 4;

  // Where one is: in the text, and in the frame, if there are any.
  struct Position {
    uint32_t in_text = 0;
    uint32_t in_frame = 0;
    auto operator<=>(const Position&) const = default;
  };

  // In frames of `frame_bytes`, the length with what follows; 0: in none. Requires: 0, or
  // kPrefixBytes or more.
  explicit Pattern(uint32_t frame_bytes = 0);

  // Different for each `connection` up to a period, and for each `round` of it.
  Position Start(uint64_t connection, uint64_t round = 0) const;
  Position Skip(Position at, uint64_t n) const;

  // The first `n` bytes from `at` on, or as many of them as lie in one piece: at least one. A
  // length is a piece by itself.
  absl::string_view Piece(Position at, uint64_t n) const;
  // The next bytes from `at` on, as many as `into` holds.
  void Copy(Position at, absl::Span<char> into) const;
  // All `n` of them, without copying.
  absl::Cord Bytes(Position at, uint64_t n) const;

  // Where `bytes` first differ from the text at `at`.
  std::optional<size_t> FindMismatch(Position at, absl::string_view bytes) const;
  char ByteAt(Position at) const { return Piece(at, 1)[0]; }

 private:
  bool in_prefix(Position at) const { return frame_bytes_ > 0 && at.in_frame < kPrefixBytes; }
  uint64_t TextBytesIn(uint64_t framed_bytes) const;

  const uint32_t frame_bytes_;
  const absl::Cord prefix_cord_, text_cord_;
  const absl::string_view prefix_, text_;  // Their only chunks.
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_PATTERN_H_
