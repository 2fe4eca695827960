// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/progress_printer.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/loadgen/report_text.h"

namespace millrace {
namespace {

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

std::string ProgressPrinter::Line(const LoadProgress& progress, absl::Duration duration) {
  std::string line = absl::StrFormat(
      "%-12s %8s connections %12s messages/s", PhaseText(progress, duration),
      WithCommas(progress.connections), WithCommas(std::llround(progress.messages_per_second)));
  if (progress.errors > 0) absl::StrAppend(&line, "  ", WithCommas(progress.errors), " errors");
  return line;
}

void ProgressPrinter::Print(const LoadProgress& progress) { line_.Show(Line(progress, duration_)); }

}  // namespace millrace
