// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/line_chart.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(LineChartTest, WhatHtmlWouldReadIsEscaped) {
  EXPECT_EQ(EscapeHtml("a<b> & \"c\" 'd'"), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
  EXPECT_EQ(EscapeHtml("a\x1b[2Jb\nc"), "a [2Jb\nc");
  EXPECT_EQ(EscapeHtml("caf\xc3\xa9"), "caf\xc3\xa9");
}

TEST(LineChartTest, AxesEndAtRoundFigures) {
  EXPECT_DOUBLE_EQ(RoundUpNicely(0.3), 0.5);
  EXPECT_DOUBLE_EQ(RoundUpNicely(1), 1);
  EXPECT_DOUBLE_EQ(RoundUpNicely(1.1), 2);
  EXPECT_DOUBLE_EQ(RoundUpNicely(4200), 5000);
  EXPECT_DOUBLE_EQ(RoundUpNicely(7000), 10'000);
  EXPECT_DOUBLE_EQ(RoundUpNicely(0), 1) << "an axis has a length";
}

// Right and down are more in SVG.
TEST(LineChartTest, PointsLieBetweenTheAxes) {
  LineChart chart("x", {.x_max = 10, .y_max = 100});
  chart.AddPoint(0, 0);
  chart.AddPoint(5, 50);
  chart.AddPoint(10, 100);
  EXPECT_THAT(chart.ToSvg(), HasSubstr("points=\"90.0,270.0 460.0,147.0 830.0,24.0 \""));
}

TEST(LineChartTest, APointOutsideIsDrawnAtTheEdge) {
  LineChart chart("x", {.x_max = 10, .y_max = 100});
  chart.AddPoint(-5, 200);
  EXPECT_THAT(chart.ToSvg(), HasSubstr("points=\"90.0,24.0 \""));
}

TEST(LineChartTest, AMarksLabelKeepsClearOfTheAxis) {
  LineChart chart("x", {.x_max = 10, .y_max = 100});
  chart.AddMark(0.5, 50, "near");
  chart.AddMark(5, 50, "far");
  EXPECT_THAT(chart.ToSvg(), HasSubstr("text-anchor=\"start\">near<"));
  EXPECT_THAT(chart.ToSvg(), HasSubstr("text-anchor=\"end\">far<"));
}

TEST(LineChartTest, LabelsAreEscaped) {
  LineChart chart("<title>", {});
  chart.AddXTick(0, "<x>");
  chart.AddYTick(0, "<y>");
  chart.AddMark(0, 0, "<mark>");
  const std::string svg = chart.ToSvg();
  for (const char* label : {"&lt;title&gt;", "&lt;x&gt;", "&lt;y&gt;", "&lt;mark&gt;"}) {
    EXPECT_THAT(svg, HasSubstr(label));
  }
  EXPECT_THAT(svg, Not(HasSubstr("<mark>")));
}

}  // namespace
}  // namespace millrace
