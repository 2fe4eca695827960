// SPDX-License-Identifier: Apache-2.0
//
// TerminalLine is a line on stderr that tells how far a program is: on a terminal it is written
// over each time, elsewhere there is a line each time. For one thread.
//
//   TerminalLine line;
//   line.Show("3.0 of 10.0 s");
//   line.Clear();                       // Before the result is printed.

#ifndef MILLRACE_TOOLS_LOADGEN_TERMINAL_LINE_H_
#define MILLRACE_TOOLS_LOADGEN_TERMINAL_LINE_H_

#include "absl/strings/string_view.h"

namespace millrace {

class TerminalLine {
 public:
  TerminalLine();

  bool on_terminal() const { return on_terminal_; }
  void Show(absl::string_view line);
  // Takes the line off the terminal.
  void Clear();

 private:
  const bool on_terminal_;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_TERMINAL_LINE_H_
