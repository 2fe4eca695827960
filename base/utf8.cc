// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace millrace {
namespace {

// What may follow a first byte: how many bytes the whole sequence has, 0 if none begins with it,
// and the range of the second one. All others are from 80 to BF.
struct Lead {
  uint8_t bytes = 0;
  uint8_t second_min = 0x80, second_max = 0xbf;
};

struct Row {
  int first_min, first_max;
  Lead lead;
};

// The rows of table 3-7. Where the second byte has a range of its own, that shuts out what is too
// long (E0, F0), the surrogates (ED) and what is above U+10FFFF (F4).
constexpr Row kRows[] = {
    {0x00, 0x7f, {1}},
    {0xc2, 0xdf, {2}},
    {0xe0, 0xe0, {3, 0xa0, 0xbf}},
    {0xe1, 0xec, {3}},
    {0xed, 0xed, {3, 0x80, 0x9f}},
    {0xee, 0xef, {3}},
    {0xf0, 0xf0, {4, 0x90, 0xbf}},
    {0xf1, 0xf3, {4}},
    {0xf4, 0xf4, {4, 0x80, 0x8f}},
};

constexpr std::array<Lead, 256> MakeLeads() {
  std::array<Lead, 256> leads;
  for (const Row& row : kRows) {
    for (int first = row.first_min; first <= row.first_max; ++first) leads[first] = row.lead;
  }
  return leads;
}

constexpr std::array<Lead, 256> kLeads = MakeLeads();

const Lead& LeadOf(absl::string_view text) { return kLeads[static_cast<uint8_t>(text[0])]; }

// How many bytes at the front of `text`, at most `lead.bytes`, can belong to one code point.
size_t FittingBytes(absl::string_view text, const Lead& lead) {
  const size_t room = std::min<size_t>(lead.bytes, text.size());
  size_t fitting = std::min<size_t>(room, 1);
  while (fitting < room) {
    const auto byte = static_cast<uint8_t>(text[fitting]);
    const uint8_t min = fitting == 1 ? lead.second_min : 0x80;
    const uint8_t max = fitting == 1 ? lead.second_max : 0xbf;
    if (byte < min || byte > max) break;
    ++fitting;
  }
  return fitting;
}

// Of the first code point; 0 if `text` begins with none. Requires: it is not empty.
size_t FirstCodePointBytes(absl::string_view text) {
  const Lead& lead = LeadOf(text);
  return FittingBytes(text, lead) == lead.bytes ? lead.bytes : 0;
}

bool BeginsWithEightOfAscii(absl::string_view text) {
  uint64_t bytes;
  if (text.size() < sizeof(bytes)) return false;
  std::memcpy(&bytes, text.data(), sizeof(bytes));
  return (bytes & 0x8080808080808080) == 0;
}

}  // namespace

bool IsValidUtf8(absl::string_view text) {
  while (!text.empty()) {
    const size_t bytes = BeginsWithEightOfAscii(text) ? 8 : FirstCodePointBytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

CodePoint FirstCodePoint(absl::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  const size_t bytes = FirstCodePointBytes(text);
  if (bytes == 0) return {.value = first, .bytes = 1, .valid = false};
  char32_t value = bytes == 1 ? first : first & (0x7f >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    value = (value << 6) | (static_cast<uint8_t>(text[i]) & 0x3f);
  }
  return {.value = value, .bytes = bytes, .valid = true};
}

size_t CodePointBefore(absl::string_view text, size_t end) {
  for (size_t bytes = 2; bytes <= 4 && bytes <= end; ++bytes) {
    if (FirstCodePointBytes(text.substr(end - bytes, bytes)) == bytes) return end - bytes;
  }
  return end - 1;
}

bool IsUtf8Prefix(absl::string_view bytes) {
  if (bytes.empty()) return true;
  const Lead& lead = LeadOf(bytes);
  return bytes.size() < lead.bytes && FittingBytes(bytes, lead) == bytes.size();
}

}  // namespace millrace
