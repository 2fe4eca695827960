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

#ifndef MILLRACE_TOOLS_LOADGEN_PATTERN_H_
#define MILLRACE_TOOLS_LOADGEN_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"

namespace millrace {

class Pattern {
 public:
  // Where in the text one is.
  using Position = uint32_t;

  Pattern();

  // Different for each `connection` up to a period, and for each `round` of it.
  Position Start(uint64_t connection, uint64_t round = 0) const;
  Position Skip(Position at, uint64_t n) const;

  // The first `n` bytes from `at` on, or as many of them as lie in one piece: at least one.
  absl::string_view Piece(Position at, uint64_t n) const;
  // All `n` of them, without copying.
  absl::Cord Bytes(Position at, uint64_t n) const;

  // Where `bytes` first differ from the text at `at`.
  std::optional<size_t> FindMismatch(Position at, absl::string_view bytes) const;
  char ByteAt(Position at) const { return text_[at]; }

 private:
  absl::Cord text_cord_;
  absl::string_view text_;  // The cord's only chunk.
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_PATTERN_H_
