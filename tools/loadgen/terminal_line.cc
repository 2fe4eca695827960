// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/terminal_line.h"

#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

// To the first column, and nothing left of what stood there.
constexpr absl::string_view kClearLine = "\r\033[K";

void Write(absl::string_view text) { fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace

TerminalLine::TerminalLine() : on_terminal_(isatty(STDERR_FILENO) == 1) {}

void TerminalLine::Show(absl::string_view line) {
  Write(on_terminal_ ? absl::StrCat(kClearLine, line) : absl::StrCat(line, "\n"));
}

void TerminalLine::Clear() {
  if (on_terminal_) Write(kClearLine);
}

}  // namespace millrace
