// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/report_text.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tools/loadgen/histogram.h"

namespace millrace {
namespace {

TEST(ReportTextTest, NumbersHaveCommas) {
  EXPECT_EQ(WithCommas(0), "0");
  EXPECT_EQ(WithCommas(999), "999");
  EXPECT_EQ(WithCommas(1000), "1,000");
  EXPECT_EQ(WithCommas(-1000), "-1,000");
  EXPECT_EQ(WithCommas(-999), "-999");
  EXPECT_EQ(WithCommas(1234567890), "1,234,567,890");
}

TEST(ReportTextTest, ATableAlignsNamesLeftAndValuesRight) {
  ReportTable table;
  table.Add("messages", "1,234");
  table.AddErrors({{"closed", 3}, {"timeout", 1000}});
  EXPECT_EQ(table.text(),
            "messages                 1,234\n"
            "errors                   1,003\n"
            "  closed                     3\n"
            "  timeout                1,000\n");
}

TEST(ReportTextTest, ATablesRowsCanBeReadOneByOne) {
  ReportTable table;
  table.Add("messages", "1,234");
  Histogram latency;
  latency.Add(absl::Seconds(2));
  table.AddLatency("latency", latency);
  ASSERT_EQ(table.rows().size(), 9u);
  EXPECT_EQ(table.rows()[0].name, "messages");
  EXPECT_EQ(table.rows()[0].value, "1,234");
  EXPECT_EQ(table.rows()[1].name, "latency");
  EXPECT_EQ(table.rows()[1].value, "");
  EXPECT_EQ(table.rows()[8].name, "  max");
  EXPECT_EQ(table.rows()[8].value, "2.000 s ");
}

// Zeros would be those of a perfect server.
TEST(ReportTextTest, WithoutTimesThereAreNoPercentiles) {
  ReportTable table;
  table.AddLatency("latency", Histogram());
  EXPECT_EQ(table.text(),
            "\nlatency\n"
            "  min                        -\n"
            "  p50                        -\n"
            "  p90                        -\n"
            "  p99                        -\n"
            "  p99.9                      -\n"
            "  p99.99                     -\n"
            "  max                        -\n");
  EXPECT_EQ(LatencyJson(Histogram()),
            R"({"min": null, "p50": null, "p90": null, "p99": null, "p999": null, )"
            R"("p9999": null, "max": null})");
}

TEST(ReportTextTest, ATitleIsARowWithoutAValue) {
  ReportTable table;
  table.AddTitle("so far");
  table.Add("messages", "1");
  EXPECT_EQ(table.text(), "so far\nmessages                     1\n");
  EXPECT_EQ(table.rows()[0].name, "so far");
  EXPECT_EQ(table.rows()[0].value, "");
}

TEST(ReportTextTest, JsonHasEachKindAndEachPercentile) {
  EXPECT_EQ(ErrorsJson({}), "{}");
  EXPECT_EQ(ErrorsJson({{"closed", 3}, {"timeout", 1000}}), R"({"closed": 3, "timeout": 1000})");
  Histogram latency;
  latency.Add(absl::Nanoseconds(1500));
  EXPECT_EQ(LatencyJson(latency),
            R"({"min": 1.500, "p50": 1.500, "p90": 1.500, "p99": 1.500, "p999": 1.500, )"
            R"("p9999": 1.500, "max": 1.500})");
}

}  // namespace
}  // namespace millrace
