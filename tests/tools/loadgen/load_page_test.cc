// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/load_page.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/loadgen/load_report.h"
#include "tools/loadgen/rate_series.h"
#include "tools/loadgen/report_text.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

LoadReport Report() {
  LoadReport report = {.connections = 1000, .message_bytes = 4096, .pipeline = 2, .rate = 5000};
  report.measured = absl::Seconds(2);
  report.messages = 9876;
  report.sent = 9912;
  const MonotonicTime begin;
  report.throughput = RateSeries(begin, report.measured);
  for (int i = 0; i < 2000; ++i) {
    report.throughput.Add(begin + absl::Milliseconds(i));
    report.latency.Add(absl::Microseconds(3 * i));
  }
  report.lateness.Add(absl::Microseconds(17));
  return report;
}

// What of `html` is no good as XML; empty if nothing is. Elements without content must end in "/>".
std::string FaultOf(absl::string_view html) {
  constexpr absl::string_view kDoctype = "<!DOCTYPE html>\n";
  if (!absl::StartsWith(html, kDoctype)) return "no doctype";
  html.remove_prefix(kDoctype.size());
  std::vector<std::string> open;
  while (!html.empty()) {
    const size_t at = html.find_first_of("<>&");
    if (at == absl::string_view::npos) break;
    html.remove_prefix(at);
    const size_t end = html.find(html[0] == '&' ? ';' : '>');
    if (html[0] == '>' || end == absl::string_view::npos) {
      return absl::StrCat("at ", html.substr(0, 30));
    }
    const absl::string_view inside = html.substr(1, end - 1);
    const std::string name(inside.substr(0, inside.find_first_of(" \n/", 1)));
    if (html[0] == '&') {
      if (inside.size() > 5) return absl::StrCat("entity ", inside);
    } else if (inside[0] == '/') {
      if (open.empty() || open.back() != inside.substr(1)) return absl::StrCat("end of ", inside);
      open.pop_back();
    } else if (!absl::EndsWith(inside, "/")) {
      open.push_back(name);
    }
    html.remove_prefix(end + 1);
  }
  return open.empty() ? "" : absl::StrCat("open: ", open.back());
}

TEST(LoadPageTest, AFaultIsFound) {
  EXPECT_EQ(FaultOf("<!DOCTYPE html>\n<p a=\"1\">&lt;<br/></p>"), "");
  for (const char* bad : {"<p>", "<p></b>", "a > b", "a & b", "<p></p></p>"}) {
    EXPECT_NE(FaultOf(absl::StrCat("<!DOCTYPE html>\n", bad)), "") << bad;
  }
}

TEST(LoadPageTest, ItIsWellFormed) { EXPECT_EQ(FaultOf(LoadPage(Report(), "loadgen")), ""); }

TEST(LoadPageTest, EveryRowOfTheTableIsThere) {
  LoadReport report = Report();
  report.errors = {{"closed", 3}, {"timeout", 1234}};
  report.first_error = "connection 7: the server closed";
  report.unsent = 321;
  report.interrupted = true;
  const std::string page = LoadPage(report, "loadgen");
  const ReportTable table = report.Rows();
  EXPECT_GE(table.rows().size(), 18u);
  for (const ReportTable::Row& row : table.rows()) {
    const std::string value(absl::StripAsciiWhitespace(row.value));
    const std::string cells = value.empty() ? absl::StrCat(row.name, "</th>")
                                            : absl::StrCat(row.name, "</th><td>", value, "</td>");
    EXPECT_THAT(page, HasSubstr(cells));
  }
  EXPECT_THAT(page, HasSubstr("1,237 errors, the first: connection 7: the server closed"));
  EXPECT_THAT(page, HasSubstr("The pipelines were full"));
  EXPECT_THAT(page, HasSubstr(">interrupted after 2.00 s of "));
  EXPECT_EQ(FaultOf(page), "");
}

TEST(LoadPageTest, WhatItWasToldIsEscaped) {
  LoadReport report = Report();
  report.errors = {{"<kind>", 1}};
  report.first_error = "<b>&";
  const std::string page = LoadPage(report, "loadgen --json='</pre><script>alert(\"1\")</script>'");
  EXPECT_THAT(page, HasSubstr("loadgen --json=&#39;&lt;/pre&gt;&lt;script&gt;alert(&quot;1&quot;)"
                              "&lt;/script&gt;&#39;"));
  EXPECT_THAT(page, HasSubstr("&lt;kind&gt;"));
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;&amp;"));
  EXPECT_EQ(FaultOf(page), "");
}

TEST(LoadPageTest, ItNeedsNothingFromElsewhere) {
  const std::string page = LoadPage(Report(), "loadgen");
  for (const char* word : {"<script", "src=", "href=", "url(", "@import"}) {
    EXPECT_THAT(page, Not(HasSubstr(word)));
  }
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme: dark"));
}

TEST(LoadPageTest, BothChartsAreDrawn) {
  const std::string page = LoadPage(Report(), "loadgen");
  EXPECT_THAT(page, HasSubstr("<title>Messages per second over time</title>"));
  EXPECT_THAT(page, HasSubstr("Messages per second, each 100ms"));
  EXPECT_THAT(page, HasSubstr("<title>Latency by percentile</title>"));
  for (const double percent : {50.0, 90.0, 99.0, 99.9, 99.99}) {
    EXPECT_THAT(page, HasSubstr(absl::StrCat(">", percent, " %</text>")));
    const std::string time = ReadableTime(Report().latency.Percentile(percent));
    EXPECT_THAT(page, HasSubstr(absl::StrCat(">", time, "</text>")));
  }
}

// A percentile's distance from the left end: the same for each nine.
TEST(LoadPageTest, TheTailIsAsWideAsTheRest) {
  const std::string page = LoadPage(Report(), "loadgen");
  // 4.2 decades on 740 units, from 90 on.
  EXPECT_THAT(page, HasSubstr("x=\"266.2\" y=\"292\" text-anchor=\"middle\">90 %<"));
  EXPECT_THAT(page, HasSubstr("x=\"442.4\" y=\"292\" text-anchor=\"middle\">99 %<"));
  EXPECT_THAT(page, HasSubstr("x=\"618.6\" y=\"292\" text-anchor=\"middle\">99.9 %<"));
}

// 1,000 a second, and a worst latency of 6 ms: neither fills half of its chart only.
TEST(LoadPageTest, AxesEndSoonAboveTheLine) {
  const std::string page = LoadPage(Report(), "loadgen");
  EXPECT_THAT(page, HasSubstr("text-anchor=\"end\">1,000</text>"));
  EXPECT_THAT(page, Not(HasSubstr("text-anchor=\"end\">1,200</text>")));
  EXPECT_THAT(page, HasSubstr("text-anchor=\"end\">8.00 ms</text>"));
  EXPECT_THAT(page, Not(HasSubstr("text-anchor=\"end\">10.00 ms</text>")));
}

TEST(LoadPageTest, WhereNothingWasMeasuredThereIsNoChart) {
  const std::string page = LoadPage(LoadReport(), "loadgen");
  EXPECT_THAT(page, Not(HasSubstr("<svg")));
  EXPECT_EQ(FaultOf(page), "");
}

TEST(LoadPageTest, TheCommandLineMayBeTypedAgain) {
  const char* const argv[] = {"/some/where/loadgen", "--connect=[::1]:7007", "--json=a b", "",
                              "--report=it's"};
  EXPECT_EQ(CommandLineOf(5, argv),
            "loadgen '--connect=[::1]:7007' '--json=a b' '' '--report=it'\\''s'");
  EXPECT_EQ(CommandLineOf(1, argv), "loadgen");
}

}  // namespace
}  // namespace millrace
