// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/report_text.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

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

}  // namespace

int64_t TotalOf(const ErrorCounts& errors) {
  int64_t total = 0;
  for (const auto& [kind, count] : errors) total += count;
  return total;
}

void ReportTable::Add(absl::string_view name, absl::string_view value) {
  absl::StrAppendFormat(&text_, "%-14s%16s\n", name, value);
  rows_.push_back({std::string(name), std::string(value)});
}

void ReportTable::AddErrors(const ErrorCounts& errors) {
  Add("errors", WithCommas(TotalOf(errors)));
  for (const auto& [kind, count] : errors) Add("  " + kind, WithCommas(count));
}

void ReportTable::AddTitle(absl::string_view title) {
  absl::StrAppend(&text_, title, "\n");
  rows_.push_back({std::string(title), ""});
}

void ReportTable::AddLatency(absl::string_view title, const Histogram& latency) {
  absl::StrAppend(&text_, "\n");
  AddTitle(title);
  for (const Percentile& each : kPercentiles) {
    Add(absl::StrCat("  ", each.name), PercentileText(latency, each.percent));
  }
}

std::string WithCommas(int64_t number) {
  std::string text = absl::StrCat(number);
  const int first_digit = number < 0 ? 1 : 0;
  for (int at = static_cast<int>(text.size()) - 3; at > first_digit; at -= 3)
    text.insert(at, 1, ',');
  return text;
}

std::string ReadableTime(absl::Duration time) {
  const double us = absl::ToDoubleMicroseconds(time);
  if (us < 1000) return absl::StrFormat("%.1f us", us);
  if (us < 1'000'000) return absl::StrFormat("%.2f ms", us / 1000);
  return absl::StrFormat("%.3f s ", us / 1'000'000);
}

std::string PercentileText(const Histogram& times, double percent) {
  return times.count() == 0 ? "-" : ReadableTime(times.Percentile(percent));
}

std::string ErrorsJson(const ErrorCounts& errors) {
  const auto add = [](std::string* out, const std::pair<const std::string, int64_t>& error) {
    absl::StrAppendFormat(out, "\"%s\": %d", error.first, error.second);
  };
  return absl::StrCat("{", absl::StrJoin(errors, ", ", add), "}");
}

std::string LatencyJson(const Histogram& latency) {
  const auto add = [&latency](std::string* out, const Percentile& each) {
    absl::StrAppendFormat(out, "\"%s\": ", each.key);
    if (latency.count() == 0) return absl::StrAppend(out, "null");
    absl::StrAppendFormat(out, "%.3f",
                          absl::ToDoubleMicroseconds(latency.Percentile(each.percent)));
  };
  return absl::StrCat("{", absl::StrJoin(kPercentiles, ", ", add), "}");
}

}  // namespace millrace
