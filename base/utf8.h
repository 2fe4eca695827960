// SPDX-License-Identifier: Apache-2.0
//
// UTF-8, as far as a program that takes text from others needs it: is it valid, and where do its
// code points begin. Functions of their arguments; any thread.
//
//   if (!IsValidUtf8(line)) return Refuse("not valid UTF-8");
//   typed.resize(CodePointBefore(typed, typed.size()));           // Backspace.

#ifndef MILLRACE_BASE_UTF8_H_
#define MILLRACE_BASE_UTF8_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace millrace {

// Whether all of `text` is well-formed as table 3-7 of the Unicode standard has it: no surrogates,
// nothing above U+10FFFF, nothing longer than it must be, nothing cut off. NUL is a character like
// others. O(size), and much faster where it is ASCII.
bool IsValidUtf8(absl::string_view text);

struct CodePoint {
  char32_t value = 0;  // Of the byte, if it is not valid.
  size_t bytes = 1;
  bool valid = false;  // As IsValidUtf8() has it.
};

// The first one of `text`; a byte that begins none is one that is not valid.
// Requires: `text` is not empty.
CodePoint FirstCodePoint(absl::string_view text);

// Where the code point begins that ends at `end`. A character that the reader sees may be made of
// several. Requires: 0 < end <= text.size().
size_t CodePointBefore(absl::string_view text, size_t end);

// `bytes` may be the beginning of one valid code point, and is not yet a whole one.
bool IsUtf8Prefix(absl::string_view bytes);

}  // namespace millrace

#endif  // MILLRACE_BASE_UTF8_H_
