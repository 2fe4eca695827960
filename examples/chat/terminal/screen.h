// SPDX-License-Identifier: Apache-2.0
//
// Screen keeps a line that is being typed in the bottom row of a terminal, and prints lines above
// it: each call is one write(2), which takes the row away, prints and draws it anew, so that nobody
// sees a torn line. Borrows the descriptor. One thread.
//
//   Screen screen(STDOUT_FILENO, /*colours=*/true);
//   screen.Print("* alice joined\n", {.prompt = "[lobby] ", .text = editor.text(), .cursor = 3});
//
// What is longer than the terminal is wide is shown by its part around the cursor, on one row.

#ifndef MILLRACE_EXAMPLES_CHAT_TERMINAL_SCREEN_H_
#define MILLRACE_EXAMPLES_CHAT_TERMINAL_SCREEN_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace millrace {

// The row at the bottom.
struct InputRow {
  absl::string_view prompt = "";
  absl::string_view text = "";  // As it was typed: the screen shows it Defused().
  size_t cursor = 0;            // Where in `text`, in bytes, between code points.
};

// What of `row` fits into `columns`, and in which column the cursor stands.
struct RowView {
  std::string prompt, text;
  int cursor_column = 0;
};
RowView ViewOf(const InputRow& row, int columns);

class Screen {
 public:
  Screen(int fd, bool colours) : fd_(fd), colours_(colours) {}

  // Errors: the terminal cannot be written to.
  absl::Status Draw(const InputRow& row);
  // `lines` end with a newline each, and may be coloured.
  absl::Status Print(absl::string_view lines, const InputRow& row);
  // Clears all of it, and draws.
  absl::Status ClearAndDraw(const InputRow& row);
  // Leaves an empty row, for others to write to.
  absl::Status TakeRowAway();

 private:
  int Columns() const;
  std::string Drawing(const InputRow& row) const;

  const int fd_;
  const bool colours_;
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_TERMINAL_SCREEN_H_
