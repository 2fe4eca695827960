// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/load_page.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "tools/loadgen/histogram.h"
#include "tools/loadgen/line_chart.h"
#include "tools/loadgen/report_text.h"

namespace millrace {
namespace {

constexpr int kYTicksMax = 5;
constexpr int kPointsPerDecade = 60;

// Each colour is readable on the background of its scheme.
constexpr absl::string_view kHead = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>Load report</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2em auto; padding: 0 1em;
         color: #1f2328; background: #ffffff }
  h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
  pre { padding: .8em; background: #f6f8fa; white-space: pre-wrap; overflow-wrap: anywhere }
  td, th { padding: .1em 2.5em .1em 0; text-align: left; font-weight: normal; white-space: pre }
  td { text-align: right; font-variant-numeric: tabular-nums; padding-right: 0 }
  th.title { font-weight: 600; padding-top: .6em }
  .error { color: #cf222e } .note { color: #57606a }
  .chart { width: 100%; height: auto; font-size: 13px } .chart text { fill: #1f2328 }
  .grid { stroke: #d0d7de; fill: none } .axis { stroke: #57606a; fill: none }
  .line { stroke: #0969da; stroke-width: 2; fill: none } .mark { fill: #bf3989 }
  @media (prefers-color-scheme: dark) {
    body { color: #f0f6fc; background: #0d1117 } pre { background: #21262d }
    .error { color: #ff7b72 } .note { color: #9198a1 } .chart text { fill: #f0f6fc }
    .grid { stroke: #30363d } .axis { stroke: #9198a1 }
    .line { stroke: #4493f8 } .mark { fill: #db61a2 }
  }
</style>
</head>
<body>
<h1>Load report</h1>
)";

std::string TableHtml(const ReportTable& table) {
  std::string html = "<table>\n";
  for (const ReportTable::Row& row : table.rows()) {
    const std::string name = EscapeHtml(row.name);
    if (row.value.empty()) {
      absl::StrAppend(&html, "<tr><th class=\"title\" colspan=\"2\">", name, "</th></tr>\n");
    } else {
      absl::StrAppend(&html, "<tr><th>", name, "</th><td>",
                      EscapeHtml(absl::StripAsciiWhitespace(row.value)), "</td></tr>\n");
    }
  }
  return absl::StrCat(html, "</table>\n");
}

// Round figures along an axis, the last of which is not below what is to be drawn.
struct Ticks {
  explicit Ticks(double value)
      : step(RoundUpNicely(value / kYTicksMax)),
        count(std::max(1, static_cast<int>(std::ceil(value / step - 1e-9)))) {}

  double top() const { return step * count; }

  double step;
  int count;
};

std::string ThroughputSvg(const LoadReport& report, const std::vector<double>& rates) {
  const double seconds = absl::ToDoubleSeconds(report.measured);
  const Ticks ticks(*std::max_element(rates.begin(), rates.end()));
  LineChart chart("Messages per second over time", {.x_max = seconds, .y_max = ticks.top()});
  const double x_step = RoundUpNicely(seconds / 8);
  for (double x = 0; x <= seconds * 1.001; x += x_step) {
    chart.AddXTick(x, absl::StrFormat("%g s", x));
  }
  for (int i = 0; i <= ticks.count; ++i) {
    const double y = ticks.step * i;
    chart.AddYTick(y, ticks.step < 1 ? absl::StrFormat("%g", y) : WithCommas(std::llround(y)));
  }
  const double interval = absl::ToDoubleSeconds(report.throughput.interval());
  for (size_t i = 0; i < rates.size(); ++i) {
    chart.AddPoint(std::min(seconds, (static_cast<double>(i) + 0.5) * interval), rates[i]);
  }
  return chart.ToSvg();
}

// Where a percentile is: each decade of what is above it is as wide as the one before.
double DecadesOf(double percent) { return -std::log10(1 - percent / 100); }

std::string LatencySvg(const Histogram& latency) {
  const double decades = latency.count() > 100'000 ? 5 : 4.2;
  const absl::Duration worst = latency.Percentile(100 - 100 * std::pow(10, -decades));
  // In the unit in which it is told, so that ticks are round figures.
  const absl::Duration unit = worst < absl::Milliseconds(1) ? absl::Microseconds(1)
                              : worst < absl::Seconds(1)    ? absl::Milliseconds(1)
                                                            : absl::Seconds(1);
  // Room for the labels above the line.
  const Ticks ticks(absl::FDivDuration(worst, unit) * 1.1);
  LineChart chart("Latency by percentile", {.x_max = decades, .y_max = ticks.top()});
  for (int i = 0; i <= ticks.count; ++i) {
    chart.AddYTick(ticks.step * i, ReadableTime(unit * (ticks.step * i)));
  }
  for (int i = 0; i <= static_cast<int>(decades * kPointsPerDecade); ++i) {
    const double x = static_cast<double>(i) / kPointsPerDecade;
    const absl::Duration time = latency.Percentile(100 - 100 * std::pow(10, -x));
    chart.AddPoint(x, absl::FDivDuration(time, unit));
  }
  chart.AddXTick(0, "0 %");
  for (const double percent : {50.0, 90.0, 99.0, 99.9, 99.99}) {
    const absl::Duration time = latency.Percentile(percent);
    chart.AddXTick(DecadesOf(percent), absl::StrFormat("%g %%", percent));
    chart.AddMark(DecadesOf(percent), absl::FDivDuration(time, unit), ReadableTime(time));
  }
  return chart.ToSvg();
}

// As it is, if a shell takes it for one word.
std::string ShellWord(absl::string_view text) {
  const auto plain = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::string_view("-_=./:,+@%").find(c) != absl::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return std::string(text);
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

}  // namespace

std::string CommandLineOf(int argc, const char* const* argv) {
  std::string line;
  for (int i = 0; i < argc; ++i) {
    absl::string_view word = argv[i];
    if (i == 0) word.remove_prefix(word.rfind('/') + 1);  // npos + 1 is 0.
    absl::StrAppend(&line, i == 0 ? "" : " ", ShellWord(word));
  }
  return line;
}

std::string LoadPage(const LoadReport& report, absl::string_view command_line) {
  std::string html(kHead);
  absl::StrAppend(&html, "<pre>", EscapeHtml(command_line), "</pre>\n");
  if (!report.ok()) {
    absl::StrAppend(&html, "<p class=\"error\">", WithCommas(report.error_count()),
                    " errors, the first: ", EscapeHtml(report.first_error), "</p>\n");
  }
  absl::StrAppend(&html, TableHtml(report.Rows()));
  if (const std::string note = report.Note(); !note.empty()) {
    absl::StrAppend(&html, "<p class=\"note\">", EscapeHtml(note), "</p>\n");
  }
  const std::vector<double> rates = report.throughput.RatesUntil(report.measured);
  if (report.messages > 0 && !rates.empty()) {
    absl::StrAppend(&html, "<h2>Messages per second, each ",
                    absl::FormatDuration(report.throughput.interval()), "</h2>\n",
                    ThroughputSvg(report, rates));
  }
  if (report.latency.count() > 0) {
    absl::StrAppend(&html, "<h2>Latency: the time that so many do not exceed</h2>\n",
                    LatencySvg(report.latency));
  }
  return absl::StrCat(html, "</body>\n</html>\n");
}

}  // namespace millrace
