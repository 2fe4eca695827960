// SPDX-License-Identifier: Apache-2.0
//
// UTF-8 told in another way than base/utf8.cc does: by the bits, and by the code point that they
// make. For tests of it. Functions of their arguments; any thread.
//
//   EXPECT_EQ(IsValidUtf8(text), DecodesAsUtf8(text));

#ifndef MILLRACE_TESTS_BASE_UTF8_MODEL_H_
#define MILLRACE_TESTS_BASE_UTF8_MODEL_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace millrace {

inline constexpr uint32_t kCodePointMax = 0x10ffff;

inline bool IsSurrogate(uint32_t code_point) {
  return code_point >= 0xd800 && code_point <= 0xdfff;
}

// How many bytes it takes.
inline int Utf8Bytes(uint32_t code_point) {
  return code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
}

// In `bytes` bytes, from 1 to 4, though it may need more or fewer, or be no code point.
inline std::string EncodeInBytes(uint32_t code_point, int bytes) {
  std::string encoded(static_cast<size_t>(bytes), '\0');
  for (int i = bytes - 1; i > 0; --i, code_point >>= 6) {
    encoded[static_cast<size_t>(i)] = static_cast<char>(0x80 | (code_point & 0x3f));
  }
  const uint32_t mark = bytes == 1 ? 0 : 0xff00u >> bytes;  // So many ones, then a zero.
  encoded[0] = static_cast<char>(mark | code_point);
  return encoded;
}

inline std::string EncodeUtf8(uint32_t code_point) {
  return EncodeInBytes(code_point, Utf8Bytes(code_point));
}

// Takes the first code point off `text`; false if there is none that had to be encoded like this.
inline bool DecodeOne(absl::string_view& text) {
  const uint8_t first = static_cast<uint8_t>(text[0]);
  const int ones = std::countl_one(first), bytes = ones == 0 ? 1 : ones;
  if (ones == 1 || ones > 4 || text.size() < static_cast<size_t>(bytes)) return false;
  uint32_t code_point = first & (0x7f >> ones);
  for (int i = 1; i < bytes; ++i) {
    const uint8_t byte = static_cast<uint8_t>(text[static_cast<size_t>(i)]);
    if (byte >> 6 != 2) return false;
    code_point = code_point << 6 | (byte & 0x3f);
  }
  text.remove_prefix(static_cast<size_t>(bytes));
  return code_point <= kCodePointMax && !IsSurrogate(code_point) && Utf8Bytes(code_point) == bytes;
}

inline bool DecodesAsUtf8(absl::string_view text) {
  while (!text.empty()) {
    if (!DecodeOne(text)) return false;
  }
  return true;
}

}  // namespace millrace

#endif  // MILLRACE_TESTS_BASE_UTF8_MODEL_H_
