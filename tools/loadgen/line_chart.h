// SPDX-License-Identifier: Apache-2.0
//
// LineChart draws one line over two axes as an SVG element to stand in a page, whose style sheet
// gives the colours: classes chart, grid, axis, line, mark. A value; one thread.
//
//   LineChart chart("Messages per second", {.x_max = 10, .y_max = 5000});
//   chart.AddXTick(5, "5 s");
//   chart.AddPoint(0.1, 4200);
//   absl::StrAppend(&page, chart.ToSvg());

#ifndef MILLRACE_TOOLS_LOADGEN_LINE_CHART_H_
#define MILLRACE_TOOLS_LOADGEN_LINE_CHART_H_

#include <string>

#include "absl/strings/string_view.h"

namespace millrace {

// & < > " and ' as HTML, and XML, want them; what is a control character is shown as a space.
std::string EscapeHtml(absl::string_view text);

// The least of 1, 2, 5, 10, 20, 50, ... times some power of ten that is not below `value`.
double RoundUpNicely(double value);

class LineChart {
 public:
  // Both axes begin at 0 and end here. Requires: more than 0.
  struct Axes {
    double x_max = 1;
    double y_max = 1;
  };

  LineChart(absl::string_view title, Axes axes) : title_(title), axes_(axes) {}

  // A line across the chart, and its label.
  void AddXTick(double x, absl::string_view label);
  void AddYTick(double y, absl::string_view label);
  // The line goes through them in this order.
  void AddPoint(double x, double y);
  // A dot, and beside it its label.
  void AddMark(double x, double y, absl::string_view label);

  std::string ToSvg() const;

 private:
  double Left(double x) const;
  double Top(double y) const;

  std::string title_;
  Axes axes_;
  std::string grid_, points_, marks_;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_LINE_CHART_H_
