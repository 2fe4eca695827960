// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/load_report.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "tools/loadgen/report_text.h"

namespace millrace {
namespace {

absl::string_view LatencyTitle(LoadMode mode) {
  if (mode == LoadMode::kChurn) return "connect, send, receive";
  return mode == LoadMode::kIdle ? "connect" : "latency";
}

}  // namespace

int64_t LoadReport::error_count() const { return TotalOf(errors); }

double LoadReport::messages_per_second() const {
  const double seconds = absl::ToDoubleSeconds(measured);
  return seconds > 0 ? static_cast<double>(messages) / seconds : 0;
}

double LoadReport::mib_per_second() const {
  return messages_per_second() * message_bytes / (1 << 20);
}

std::string LoadReport::ToTable() const {
  ReportTable table;
  table.Add("connections", WithCommas(connections));
  table.Add("seconds", absl::StrFormat("%.2f", absl::ToDoubleSeconds(measured)));
  if (mode != LoadMode::kIdle) {
    table.Add("messages", WithCommas(messages));
    table.Add("messages/s", WithCommas(std::llround(messages_per_second())));
    table.Add("MiB/s", absl::StrFormat("%.1f", mib_per_second()));
  }
  table.AddErrors(errors);
  table.AddLatency(LatencyTitle(mode), latency);
  return table.text();
}

std::string LoadReport::ToJson() const {
  std::string json = absl::StrFormat(
      "{\n  \"mode\": \"%s\",\n  \"connections\": %d,\n  \"message_bytes\": %d,\n"
      "  \"pipeline\": %d,\n  \"rate\": 0,\n",
      LoadModeName(mode), connections, message_bytes, pipeline);
  absl::StrAppendFormat(&json,
                        "  \"seconds\": %.6f,\n  \"messages\": %d,\n"
                        "  \"messages_per_second\": %.3f,\n  \"mib_per_second\": %.6f,\n",
                        absl::ToDoubleSeconds(measured), messages, messages_per_second(),
                        mib_per_second());
  absl::StrAppend(&json, "  \"errors\": ", ErrorsJson(errors),
                  ",\n  \"latency_us\": ", LatencyJson(latency), "\n}\n");
  return json;
}

}  // namespace millrace
