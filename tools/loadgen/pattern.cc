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

}  // namespace

Pattern::Pattern() : text_cord_(MakeText()) {
  const std::optional<absl::string_view> flat = text_cord_.TryFlat();
  CHECK(flat.has_value());
  text_ = *flat;
}

Pattern::Position Pattern::Start(uint64_t connection, uint64_t round) const {
  return static_cast<Position>(
      (connection % kPeriod * kConnectionStep + round % kPeriod * kRoundStep) % kPeriod);
}

Pattern::Position Pattern::Skip(Position at, uint64_t n) const {
  return static_cast<Position>((at + n) % kPeriod);
}

absl::string_view Pattern::Piece(Position at, uint64_t n) const {
  DCHECK_LT(at, kPeriod);
  return text_.substr(at, n);
}

absl::Cord Pattern::Bytes(Position at, uint64_t n) const {
  absl::Cord bytes;
  while (n > 0) {
    const uint64_t part = std::min(n, kPeriod - at);
    bytes.Append(text_cord_.Subcord(at, part));
    at = Skip(at, part);
    n -= part;
  }
  return bytes;
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
