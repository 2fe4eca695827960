// SPDX-License-Identifier: Apache-2.0
//
// How lines look on a terminal: the first two columns tell whose they are, colours say it again,
// and nothing in them can command the terminal. Plain functions and a value; any thread.
//
//   Dress("[lobby] alice: hi", "bob", {})     // "  [lobby] alice: hi"
//   Dress("[lobby] bob: hi", "bob", {})       // "> [lobby] bob: hi"
//   Dress("* alice left", "bob", {})          // "* alice left"; so with "! name taken".

#ifndef MILLRACE_EXAMPLES_CHAT_TERMINAL_APPEARANCE_H_
#define MILLRACE_EXAMPLES_CHAT_TERMINAL_APPEARANCE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace millrace {

struct Appearance {
  bool colours = false;
};

// `line` of the server or of ours, as it is to stand on a terminal, without a newline. Messages of
// `own_name` are marked.
std::string Dress(absl::string_view line, absl::string_view own_name, Appearance appearance);

// What the streams and the environment of this process allow.
struct Surroundings {
  bool edits = false;        // Keyboard and screen are a terminal that can move its cursor.
  bool on_terminal = false;  // Stdout is a terminal of whatever kind.
  Appearance appearance;     // No colours if NO_COLOR is set and not empty (no-color.org).
};
Surroundings SurroundingsOf(int in_fd, int out_fd);

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_TERMINAL_APPEARANCE_H_
