// SPDX-License-Identifier: Apache-2.0
//
// What a terminal client must know of text: how many columns it takes, and how to show what must
// not reach a terminal as it is. Plain functions; any thread.
//
//   Defused("\033[2J")             // "^[[2J": seen, not obeyed.
//   Columns("日本")                // 4, once UseUtf8Locale() was called.

#ifndef MILLRACE_EXAMPLES_CHAT_TERMINAL_TEXT_H_
#define MILLRACE_EXAMPLES_CHAT_TERMINAL_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace millrace {

// Has Columns() know wide characters, whatever the environment says of the language. For main(),
// before other threads start.
void UseUtf8Locale();

// `text` with control characters and invalid bytes in a visible form (^[, \u009B, \xFF), because a
// terminal would obey them, and a tab as four spaces. Characters that turn the direction of text
// around count among them: with these a line can pretend to say something else.
std::string Defused(absl::string_view text);

// How many columns `text` takes on a terminal. Requires: Defused() changes nothing in it.
int Columns(absl::string_view text);

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_TERMINAL_TEXT_H_
