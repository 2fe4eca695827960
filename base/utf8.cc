// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

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

bool IsContinuation(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) == 0x80; }

// Of the first code point; 0 if `text` begins with none. Requires: it is not empty.
size_t FirstCodePointBytes(absl::string_view text) {
  const Lead lead = kLeads[static_cast<uint8_t>(text[0])];
  if (lead.bytes <= 1) return lead.bytes;
  if (text.size() < lead.bytes) return 0;
  const uint8_t second = static_cast<uint8_t>(text[1]);
  if (second < lead.second_min || second > lead.second_max) return 0;
  for (size_t i = 2; i < lead.bytes; ++i) {
    if (!IsContinuation(text[i])) return 0;
  }
  return lead.bytes;
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

size_t LastCodePointBytes(absl::string_view text) {
  size_t bytes = text.empty() ? 0 : 1;
  while (bytes < text.size() && bytes < 4 && IsContinuation(text[text.size() - bytes])) ++bytes;
  return bytes;
}

}  // namespace millrace
