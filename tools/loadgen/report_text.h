// SPDX-License-Identifier: Apache-2.0
//
// How load reports are written, whatever they report: a table for people, with the same rows for
// errors and latency everywhere, and the same two objects in JSON. A value; one thread.
//
//   ReportTable table;
//   table.Add("messages", WithCommas(messages));
//   table.AddErrors(errors);
//   table.AddLatency("latency", latency);
//   PrintOutput(table.text());

#ifndef MILLRACE_TOOLS_LOADGEN_REPORT_TEXT_H_
#define MILLRACE_TOOLS_LOADGEN_REPORT_TEXT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tools/loadgen/histogram.h"

namespace millrace {

// How many there are of each kind.
using ErrorCounts = std::map<std::string, int64_t>;
int64_t TotalOf(const ErrorCounts& errors);

class ReportTable {
 public:
  struct Row {
    std::string name, value;  // Without a value: the title of those after it.
  };

  void Add(absl::string_view name, absl::string_view value);
  // How many, and below that how many of each kind.
  void AddErrors(const ErrorCounts& errors);
  // An empty line, the title and the percentiles: "-" if no time was taken, since a zero would be
  // the best of all servers.
  void AddLatency(absl::string_view title, const Histogram& latency);
  // A line of its own.
  void AddTitle(absl::string_view title);

  const std::string& text() const { return text_; }
  const std::vector<Row>& rows() const { return rows_; }

 private:
  std::string text_;
  std::vector<Row> rows_;
};

// "1234567" as "1,234,567".
std::string WithCommas(int64_t number);
// With the unit that leaves one to four digits before the point: "12.3 us", "1.000 s ".
std::string ReadableTime(absl::Duration time);

// {"closed": 3}
std::string ErrorsJson(const ErrorCounts& errors);
// As in a table: "-" if no time was taken.
std::string PercentileText(const Histogram& times, double percent);
// {"min": 1.000, "p50": 2.000, ...}: in microseconds; null if no time was taken.
std::string LatencyJson(const Histogram& latency);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_REPORT_TEXT_H_
