// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/load/chat_load_report.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/loadgen/report_text.h"

namespace millrace {
namespace {

double PerSecond(double amount, absl::Duration time) {
  return time > absl::ZeroDuration() ? amount / absl::ToDoubleSeconds(time) : 0;
}

}  // namespace

int64_t ChatLoadReport::error_count() const { return TotalOf(errors); }

double ChatLoadReport::sent_per_second() const {
  return PerSecond(static_cast<double>(messages), sending);
}

double ChatLoadReport::deliveries_per_second() const {
  return PerSecond(static_cast<double>(deliveries), measured);
}

double ChatLoadReport::mib_per_second() const {
  return PerSecond(static_cast<double>(bytes) / (1 << 20), measured);
}

std::string ChatLoadReport::ToTable() const {
  ReportTable table;
  table.Add("members", WithCommas(members));
  table.Add("rooms", WithCommas(rooms));
  table.Add("seconds", absl::StrFormat("%.2f", absl::ToDoubleSeconds(measured)));
  table.Add("messages", WithCommas(messages));
  table.Add("sent/s", WithCommas(std::llround(sent_per_second())));
  table.Add("  asked for", WithCommas(rate));
  table.Add("deliveries", WithCommas(deliveries));
  table.Add("deliveries/s", WithCommas(std::llround(deliveries_per_second())));
  table.Add("MiB in", absl::StrFormat("%.1f", static_cast<double>(bytes) / (1 << 20)));
  table.Add("MiB/s in", absl::StrFormat("%.1f", mib_per_second()));
  table.Add("notices", WithCommas(notices));
  table.AddErrors(errors);
  table.AddLatency("delivery latency", latency);
  return table.text();
}

std::string ChatLoadReport::ToJson() const {
  std::string json = absl::StrFormat(
      "{\n  \"members\": %d,\n  \"rooms\": %d,\n  \"rate\": %d,\n  \"message_bytes\": %d,\n",
      members, rooms, rate, message_bytes);
  absl::StrAppendFormat(&json,
                        "  \"seconds\": %.6f,\n  \"messages\": %d,\n  \"deliveries\": %d,\n"
                        "  \"deliveries_per_second\": %.3f,\n  \"mib_per_second\": %.6f,\n",
                        absl::ToDoubleSeconds(measured), messages, deliveries,
                        deliveries_per_second(), mib_per_second());
  absl::StrAppend(&json, "  \"errors\": ", ErrorsJson(errors),
                  ",\n  \"latency_us\": ", LatencyJson(latency), "\n}\n");
  return json;
}

}  // namespace millrace
