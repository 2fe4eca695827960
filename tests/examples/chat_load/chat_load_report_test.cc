// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/load/chat_load_report.h"

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/loadgen/json_reader.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

ChatLoadReport Report() {
  ChatLoadReport report = {.members = 1000,
                           .rooms = 10,
                           .rate = 2000,
                           .message_bytes = 64,
                           .sending = absl::Seconds(2),
                           .measured = absl::Milliseconds(2500),
                           .messages = 3999,
                           .deliveries = 399'900,
                           .bytes = 3 << 20,
                           .notices = 12'345};
  report.latency.Add(absl::Microseconds(100));
  report.latency.Add(absl::Milliseconds(25));
  return report;
}

TEST(ChatLoadReportTest, RatesAreOverTheTimesTheyTook) {
  const ChatLoadReport report = Report();
  EXPECT_DOUBLE_EQ(report.sent_per_second(), 3999 / 2.0);
  EXPECT_DOUBLE_EQ(report.deliveries_per_second(), 399'900 / 2.5);
  EXPECT_DOUBLE_EQ(report.mib_per_second(), 3 / 2.5);
  EXPECT_EQ(ChatLoadReport().sent_per_second(), 0);
  EXPECT_EQ(ChatLoadReport().deliveries_per_second(), 0);
}

TEST(ChatLoadReportTest, TheTableIsAligned) {
  ChatLoadReport report = Report();
  report.errors = {{"closed", 1}, {"missing", 1234}};
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(report.error_count(), 1235);
  EXPECT_EQ(report.ToTable(),
            "members                  1,000\n"
            "rooms                       10\n"
            "seconds                   2.50\n"
            "messages                 3,999\n"
            "sent/s                   2,000\n"
            "  asked for              2,000\n"
            "deliveries             399,900\n"
            "deliveries/s           159,960\n"
            "MiB in                     3.0\n"
            "MiB/s in                   1.2\n"
            "notices                 12,345\n"
            "errors                   1,235\n"
            "  closed                     1\n"
            "  missing                1,234\n"
            "\n"
            "delivery latency\n"
            "  min                 100.0 us\n"
            "  p50                 100.0 us\n"
            "  p90                 24.99 ms\n"
            "  p99                 24.99 ms\n"
            "  p99.9               24.99 ms\n"
            "  p99.99              24.99 ms\n"
            "  max                 25.00 ms\n");
}

TEST(ChatLoadReportTest, JsonHasJustTheKeysThatArePromised) {
  ChatLoadReport report = Report();
  EXPECT_TRUE(report.ok());
  EXPECT_THAT(report.ToJson(), HasSubstr("\"errors\": {}"));
  report.errors = {{"missing", 2}};
  EXPECT_THAT(
      ReadJson(report.ToJson()),
      ElementsAre(Pair("members", "1000"), Pair("rooms", "10"), Pair("rate", "2000"),
                  Pair("message_bytes", "64"), Pair("seconds", "2.500000"),
                  Pair("messages", "3999"), Pair("deliveries", "399900"),
                  Pair("deliveries_per_second", "159960.000"), Pair("mib_per_second", "1.200000"),
                  Pair("errors.missing", "2"), Pair("latency_us.min", "100.000"),
                  Pair("latency_us.p50", "100.000"), Pair("latency_us.p90", "24993.792"),
                  Pair("latency_us.p99", "24993.792"), Pair("latency_us.p999", "24993.792"),
                  Pair("latency_us.p9999", "24993.792"), Pair("latency_us.max", "25000.000")));
}

}  // namespace
}  // namespace millrace
