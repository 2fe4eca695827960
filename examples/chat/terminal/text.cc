// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/text.h"

#include <langinfo.h>
#include <locale.h>
#include <wchar.h>

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_format.h"

namespace millrace {
namespace {

// What the first byte of a code point promises. `bytes` is 0 for one that begins none.
struct Lead {
  size_t bytes;
  uint8_t second_min, second_max;  // Tighter than 80 to BF where RFC 3629 says so.
};

Lead LeadOf(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// How many bytes at the front of `text`, at most `lead.bytes`, can belong to one code point.
size_t FittingBytes(absl::string_view text, const Lead& lead) {
  const size_t room = std::min(lead.bytes, text.size());
  size_t fitting = std::min<size_t>(room, 1);
  while (fitting < room) {
    const auto byte = static_cast<uint8_t>(text[fitting]);
    const uint8_t min = fitting == 1 ? lead.second_min : 0x80;
    const uint8_t max = fitting == 1 ? lead.second_max : 0xBF;
    if (byte < min || byte > max) break;
    ++fitting;
  }
  return fitting;
}

bool TurnsDirection(char32_t value) {
  return (value >= 0x202A && value <= 0x202E) || (value >= 0x2066 && value <= 0x2069) ||
         value == 0x061C || value == 0x200E || value == 0x200F;
}

void AppendDefused(std::string& out, absl::string_view bytes, const CodePoint& point) {
  const auto value = static_cast<uint32_t>(point.value);
  if (!point.valid) {
    absl::StrAppendFormat(&out, "\\x%02X", value);
  } else if (value == '\t') {
    out.append("    ");
  } else if (value < 0x20 || value == 0x7F) {
    out.push_back('^');
    out.push_back(static_cast<char>(value ^ 0x40));
  } else if (value < 0xA0 && value >= 0x80) {
    absl::StrAppendFormat(&out, "\\u%04X", value);
  } else if (TurnsDirection(point.value) || value == 0x2028 || value == 0x2029) {
    absl::StrAppendFormat(&out, "\\u%04X", value);
  } else {
    out.append(bytes.data(), bytes.size());
  }
}

}  // namespace

void UseUtf8Locale() {
  if (setlocale(LC_CTYPE, "") != nullptr && absl::string_view(nl_langinfo(CODESET)) == "UTF-8") {
    return;
  }
  setlocale(LC_CTYPE, "C.UTF-8");
}

CodePoint FirstCodePoint(absl::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  const Lead lead = LeadOf(first);
  if (lead.bytes == 0 || FittingBytes(text, lead) < lead.bytes) {
    return {.value = first, .bytes = 1, .valid = false};
  }
  char32_t value = lead.bytes == 1 ? first : first & (0x7F >> lead.bytes);
  for (size_t i = 1; i < lead.bytes; ++i) {
    value = (value << 6) | (static_cast<uint8_t>(text[i]) & 0x3F);
  }
  return {.value = value, .bytes = lead.bytes, .valid = true};
}

size_t CodePointBefore(absl::string_view text, size_t end) {
  for (size_t bytes = 2; bytes <= 4 && bytes <= end; ++bytes) {
    const size_t start = end - bytes;
    const CodePoint point = FirstCodePoint(text.substr(start, bytes));
    if (point.valid && point.bytes == bytes) return start;
  }
  return end - 1;
}

bool IsUtf8Prefix(absl::string_view bytes) {
  if (bytes.empty()) return true;
  const Lead lead = LeadOf(static_cast<uint8_t>(bytes[0]));
  return bytes.size() < lead.bytes && FittingBytes(bytes, lead) == bytes.size();
}

std::string Defused(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint point = FirstCodePoint(text);
    AppendDefused(out, text.substr(0, point.bytes), point);
    text.remove_prefix(point.bytes);
  }
  return out;
}

int Columns(absl::string_view text) {
  int columns = 0;
  while (!text.empty()) {
    const CodePoint point = FirstCodePoint(text);
    const int width = wcwidth(static_cast<wchar_t>(point.value));
    columns += width < 0 ? 1 : width;  // One that the library does not know yet.
    text.remove_prefix(point.bytes);
  }
  return columns;
}

}  // namespace millrace
