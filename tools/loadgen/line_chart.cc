// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/line_chart.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace millrace {
namespace {

// In the units of the picture.
constexpr int kWidth = 860, kHeight = 320;
constexpr int kLeft = 90, kRight = 830, kTop = 24, kBottom = 270;
constexpr int kLabelWidth = 70;

}  // namespace

std::string EscapeHtml(absl::string_view text) {
  std::string clean(text);
  for (char& c : clean) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c)) && c != '\n') c = ' ';
  }
  return absl::StrReplaceAll(
      clean, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

double RoundUpNicely(double value) {
  if (!(value > 0)) return 1;
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double digit : {1.0, 2.0, 5.0}) {
    if (digit * power >= value) return digit * power;
  }
  return 10 * power;
}

double LineChart::Left(double x) const {
  return kLeft + (kRight - kLeft) * std::clamp(x / axes_.x_max, 0.0, 1.0);
}

double LineChart::Top(double y) const {
  return kBottom - (kBottom - kTop) * std::clamp(y / axes_.y_max, 0.0, 1.0);
}

void LineChart::AddXTick(double x, absl::string_view label) {
  absl::StrAppendFormat(&grid_,
                        "<path class=\"grid\" d=\"M%.1f %d V%d\"/>"
                        "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
                        Left(x), kTop, kBottom, Left(x), kBottom + 22, EscapeHtml(label));
}

void LineChart::AddYTick(double y, absl::string_view label) {
  absl::StrAppendFormat(&grid_,
                        "<path class=\"grid\" d=\"M%d %.1f H%d\"/>"
                        "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                        kLeft, Top(y), kRight, kLeft - 8, Top(y) + 5, EscapeHtml(label));
}

void LineChart::AddPoint(double x, double y) {
  absl::StrAppendFormat(&points_, "%.1f,%.1f ", Left(x), Top(y));
}

// Left of the dot and above it, where a rising line does not pass, unless the axis is too near.
void LineChart::AddMark(double x, double y, absl::string_view label) {
  const bool near_axis = Left(x) < kLeft + kLabelWidth;
  absl::StrAppendFormat(&marks_,
                        "<circle class=\"mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>"
                        "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n",
                        Left(x), Top(y), Left(x) + (near_axis ? -2 : -6), Top(y) - 9,
                        near_axis ? "start" : "end", EscapeHtml(label));
}

std::string LineChart::ToSvg() const {
  const std::string title = EscapeHtml(title_);
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 %d %d\" "
      "role=\"img\" aria-label=\"%s\">\n<title>%s</title>\n",
      kWidth, kHeight, title, title);
  absl::StrAppend(&svg, grid_);
  absl::StrAppendFormat(&svg, "<path class=\"axis\" d=\"M%d %d V%d H%d\"/>\n", kLeft, kTop, kBottom,
                        kRight);
  absl::StrAppend(&svg, "<polyline class=\"line\" points=\"", points_, "\"/>\n", marks_,
                  "</svg>\n");
  return svg;
}

}  // namespace millrace
