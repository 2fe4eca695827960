// SPDX-License-Identifier: Apache-2.0
//
// ProgressPrinter shows on stderr how far a load run is: on a terminal in one line that is written
// over, elsewhere in a line each time. For the thread that runs the load.
//
//   ProgressPrinter progress(duration);
//   auto report = RunLoad(options, [&](const LoadProgress& now) { progress.Print(now); });
//   progress.Clear();

#ifndef MILLRACE_TOOLS_LOADGEN_PROGRESS_PRINTER_H_
#define MILLRACE_TOOLS_LOADGEN_PROGRESS_PRINTER_H_

#include <string>

#include "absl/time/time.h"
#include "tools/loadgen/load.h"
#include "tools/loadgen/terminal_line.h"

namespace millrace {

class ProgressPrinter {
 public:
  explicit ProgressPrinter(absl::Duration duration) : duration_(duration) {}

  bool on_terminal() const { return line_.on_terminal(); }
  void Print(const LoadProgress& progress);
  // Takes the line off the terminal.
  void Clear() { line_.Clear(); }

  // Without the newline.
  static std::string Line(const LoadProgress& progress, absl::Duration duration);

 private:
  const absl::Duration duration_;
  TerminalLine line_;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_PROGRESS_PRINTER_H_
