// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/load_report.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace millrace {
namespace {

struct Percentile {
  absl::string_view name;
  absl::string_view key;
  double percent;
};

constexpr Percentile kPercentiles[] = {
    {"min", "min", 0},       {"p50", "p50", 50},         {"p90", "p90", 90},  {"p99", "p99", 99},
    {"p99.9", "p999", 99.9}, {"p99.99", "p9999", 99.99}, {"max", "max", 100},
};

// With the unit that leaves one to four digits before the point.
std::string Readable(absl::Duration time) {
  const double us = absl::ToDoubleMicroseconds(time);
  if (us < 1000) return absl::StrFormat("%.1f us", us);
  if (us < 1'000'000) return absl::StrFormat("%.2f ms", us / 1000);
  return absl::StrFormat("%.3f s ", us / 1'000'000);
}

absl::string_view LatencyTitle(LoadMode mode) {
  if (mode == LoadMode::kChurn) return "connect, send, receive";
  return mode == LoadMode::kIdle ? "connect" : "latency";
}

}  // namespace

std::string WithCommas(int64_t number) {
  std::string text = absl::StrCat(number);
  const int first_digit = number < 0 ? 1 : 0;
  for (int at = static_cast<int>(text.size()) - 3; at > first_digit; at -= 3)
    text.insert(at, 1, ',');
  return text;
}

int64_t LoadReport::error_count() const {
  int64_t count = 0;
  for (const auto& [kind, n] : errors) count += n;
  return count;
}

double LoadReport::messages_per_second() const {
  const double seconds = absl::ToDoubleSeconds(measured);
  return seconds > 0 ? static_cast<double>(messages) / seconds : 0;
}

double LoadReport::mib_per_second() const {
  return messages_per_second() * message_bytes / (1 << 20);
}

std::string LoadReport::ToTable() const {
  std::vector<std::pair<std::string, std::string>> rows = {
      {"connections", WithCommas(connections)},
      {"seconds", absl::StrFormat("%.2f", absl::ToDoubleSeconds(measured))}};
  if (mode != LoadMode::kIdle) {
    rows.emplace_back("messages", WithCommas(messages));
    rows.emplace_back("messages/s", WithCommas(std::llround(messages_per_second())));
    rows.emplace_back("MiB/s", absl::StrFormat("%.1f", mib_per_second()));
  }
  rows.emplace_back("errors", WithCommas(error_count()));
  for (const auto& [kind, count] : errors) rows.emplace_back("  " + kind, WithCommas(count));
  if (latency.count() > 0) {
    rows.emplace_back("", "");
    rows.emplace_back(LatencyTitle(mode), "");
    for (const Percentile& each : kPercentiles) {
      rows.emplace_back(absl::StrCat("  ", each.name), Readable(latency.Percentile(each.percent)));
    }
  }
  std::string table;
  for (const auto& [name, value] : rows) {
    absl::StrAppend(&table, value.empty() ? absl::StrCat(name, "\n")
                                          : absl::StrFormat("%-14s%16s\n", name, value));
  }
  return table;
}

std::string LoadReport::ToJson() const {
  const auto add_count = [](std::string* out, const std::pair<const std::string, int64_t>& error) {
    absl::StrAppendFormat(out, "\"%s\": %d", error.first, error.second);
  };
  const auto add_latency = [this](std::string* out, const Percentile& each) {
    absl::StrAppendFormat(out, "\"%s\": %.3f", each.key,
                          absl::ToDoubleMicroseconds(latency.Percentile(each.percent)));
  };
  std::string json = absl::StrFormat(
      "{\n  \"mode\": \"%s\",\n  \"connections\": %d,\n  \"message_bytes\": %d,\n"
      "  \"pipeline\": %d,\n  \"rate\": 0,\n",
      LoadModeName(mode), connections, message_bytes, pipeline);
  absl::StrAppendFormat(&json,
                        "  \"seconds\": %.6f,\n  \"messages\": %d,\n"
                        "  \"messages_per_second\": %.3f,\n  \"mib_per_second\": %.6f,\n",
                        absl::ToDoubleSeconds(measured), messages, messages_per_second(),
                        mib_per_second());
  absl::StrAppend(&json, "  \"errors\": {", absl::StrJoin(errors, ", ", add_count), "},\n");
  absl::StrAppend(&json, "  \"latency_us\": {", absl::StrJoin(kPercentiles, ", ", add_latency),
                  "}\n}\n");
  return json;
}

}  // namespace millrace
