// SPDX-License-Identifier: Apache-2.0
//
// UTF-8, as far as a server of text needs it: is it valid, and where does its last character begin.
// Functions of their arguments; any thread.
//
//   if (!IsValidUtf8(line)) return Refuse("not valid UTF-8");
//   typed.resize(typed.size() - LastCodePointBytes(typed));       // Backspace.

#ifndef MILLRACE_BASE_UTF8_H_
#define MILLRACE_BASE_UTF8_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace millrace {

// Whether all of `text` is well-formed as table 3-7 of the Unicode standard has it: no surrogates,
// nothing above U+10FFFF, nothing longer than it must be, nothing cut off. NUL is a character like
// others. O(size), and much faster where it is ASCII.
bool IsValidUtf8(absl::string_view text);

// Of how many bytes, 1 to 4, the last code point is; 0 of nothing. A character that the reader sees
// may be made of several. Requires: `text` is valid; of other text it is some number up to its
// size.
size_t LastCodePointBytes(absl::string_view text);

}  // namespace millrace

#endif  // MILLRACE_BASE_UTF8_H_
