// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/text.h"

#include <langinfo.h>
#include <locale.h>
#include <wchar.h>

#include <cstdint>

#include "absl/strings/str_format.h"
#include "base/utf8.h"

namespace millrace {
namespace {

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
