// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/progress_printer.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace millrace {
namespace {

// To the first column, and nothing left of what stood there.
constexpr absl::string_view kClearLine = "\r\033[K";

void Write(absl::string_view text) { fwrite(text.data(), 1, text.size(), stderr); }

std::string PhaseText(const LoadProgress& progress, absl::Duration duration) {
  switch (progress.phase) {
    case LoadProgress::Phase::kConnecting:
      return "connecting";
    case LoadProgress::Phase::kWarmingUp:
      return "warming up";
    case LoadProgress::Phase::kMeasuring:
      return absl::StrFormat("%.1f of %.1f s", absl::ToDoubleSeconds(progress.measured),
                             absl::ToDoubleSeconds(duration));
    case LoadProgress::Phase::kEnding:
      return "ending";
  }
  return "";
}

}  // namespace

ProgressPrinter::ProgressPrinter(absl::Duration duration)
    : duration_(duration), on_terminal_(isatty(STDERR_FILENO) == 1) {}

std::string ProgressPrinter::Line(const LoadProgress& progress, absl::Duration duration) {
  std::string line = absl::StrFormat(
      "%-12s %8s connections %12s messages/s", PhaseText(progress, duration),
      WithCommas(progress.connections), WithCommas(std::llround(progress.messages_per_second)));
  if (progress.errors > 0) absl::StrAppend(&line, "  ", WithCommas(progress.errors), " errors");
  return line;
}

void ProgressPrinter::Print(const LoadProgress& progress) {
  const std::string line = Line(progress, duration_);
  Write(on_terminal_ ? absl::StrCat(kClearLine, line) : absl::StrCat(line, "\n"));
}

void ProgressPrinter::Clear() {
  if (on_terminal_) Write(kClearLine);
}

}  // namespace millrace
