// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/load_report.h"

#include <string>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tools/loadgen/json_reader.h"
#include "tools/loadgen/histogram.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

LoadReport Report() {
  LoadReport report = {.connections = 1000, .message_bytes = 4096, .pipeline = 2};
  report.measured = absl::Milliseconds(2500);
  report.messages = 1'234'567;
  for (int us = 1; us <= 1000; ++us) report.latency.Add(absl::Microseconds(us));
  report.latency.Add(absl::Milliseconds(25));
  return report;
}

LoadReport FailedReport() {
  LoadReport report = Report();
  report.errors = {{"closed", 3}, {"timeout", 1234}};
  report.first_error = "connection 7: the server closed";
  return report;
}

TEST(LoadReportTest, RatesAreOverTheTimeMeasured) {
  const LoadReport report = Report();
  EXPECT_DOUBLE_EQ(report.messages_per_second(), 1'234'567 / 2.5);
  EXPECT_DOUBLE_EQ(report.mib_per_second(), 1'234'567 / 2.5 * 4096 / 1'048'576);
}

TEST(LoadReportTest, NothingMeasuredIsARateOfZero) {
  EXPECT_EQ(LoadReport().messages_per_second(), 0);
  EXPECT_EQ(LoadReport().mib_per_second(), 0);
}

TEST(LoadReportTest, OkIsWithoutErrors) {
  EXPECT_TRUE(Report().ok());
  EXPECT_FALSE(FailedReport().ok());
  EXPECT_EQ(FailedReport().error_count(), 1237);
}

TEST(LoadReportTest, TheTableIsAligned) {
  EXPECT_EQ(Report().ToTable(),
            "connections              1,000\n"
            "seconds                   2.50\n"
            "messages             1,234,567\n"
            "messages/s             493,827\n"
            "MiB/s                   1929.0\n"
            "errors                       0\n"
            "\n"
            "latency\n"
            "  min                   1.0 us\n"
            "  p50                 501.1 us\n"
            "  p90                 900.9 us\n"
            "  p99                 991.0 us\n"
            "  p99.9                1.00 ms\n"
            "  p99.99              24.99 ms\n"
            "  max                 25.00 ms\n");
}

TEST(LoadReportTest, TheTableListsErrorsByKind) {
  EXPECT_THAT(FailedReport().ToTable(), HasSubstr("errors                   1,237\n"
                                                  "  closed                     3\n"
                                                  "  timeout                1,234\n"));
}

TEST(LoadReportTest, WithoutATimeMeasuredThereAreNoPercentiles) {
  EXPECT_EQ(LoadReport({.connections = 3, .errors = {{"connect", 3}}}).ToTable(),
            "connections                  3\n"
            "seconds                   0.00\n"
            "messages                     0\n"
            "messages/s                   0\n"
            "MiB/s                      0.0\n"
            "errors                       3\n"
            "  connect                    3\n"
            "\n"
            "latency\n"
            "  min                        -\n"
            "  p50                        -\n"
            "  p90                        -\n"
            "  p99                        -\n"
            "  p99.9                      -\n"
            "  p99.99                     -\n"
            "  max                        -\n");
}

TEST(LoadReportTest, WithoutATimeMeasuredTheJsonHasNulls) {
  const auto with = ReadJson(Report().ToJson()), without = ReadJson(LoadReport().ToJson());
  ASSERT_EQ(with.size(), without.size());
  int nulls = 0;
  for (size_t i = 0; i < with.size(); ++i) {
    EXPECT_EQ(with[i].first, without[i].first);
    if (without[i].second == "null") ++nulls;
  }
  EXPECT_EQ(nulls, 7) << "each percentile, and nothing else";
}

TEST(LoadReportTest, AnInterruptedRunIsToldFromAWholeOne) {
  LoadReport report = Report();
  report.duration = absl::Seconds(10);
  report.connected = 1000;
  EXPECT_EQ(report.Interruption(), "");
  report.interrupted = true;
  EXPECT_EQ(report.Interruption(), "interrupted after 2.50 s of 10.00 s");
  EXPECT_THAT(report.ToTable(), StartsWith("interrupted after 2.50 s of 10.00 s\n"
                                           "connections              1,000\n"));
  EXPECT_EQ(report.ToJson(), Report().ToJson()) << "its keys are promised";
}

TEST(LoadReportTest, InterruptedWhileItConnectedItSaysHowFarThatWas) {
  const LoadReport report = {
      .connections = 5000, .duration = absl::Seconds(10), .interrupted = true, .connected = 1234};
  EXPECT_EQ(report.Interruption(),
            "interrupted after 0.00 s of 10.00 s: 1,234 of 5,000 connections had been opened");
}

TEST(LoadReportTest, IdleConnectionsHaveNoMessages) {
  LoadReport report = Report();
  report.mode = LoadMode::kIdle;
  EXPECT_THAT(report.ToTable(), Not(HasSubstr("messages")));
  EXPECT_THAT(report.ToTable(), HasSubstr("\nconnect\n"));
}

LoadReport PacedReport() {
  LoadReport report = Report();
  report.rate = 500'000;
  report.sent = 1'240'000;
  report.lateness.Add(absl::Microseconds(12));
  return report;
}

TEST(LoadReportTest, WithARateTheTableTellsWhatBecameOfIt) {
  EXPECT_THAT(PacedReport().ToTable(), HasSubstr("MiB/s                   1929.0\n"
                                                 "rate asked             500,000\n"
                                                 "rate achieved          496,000\n"
                                                 "sent late p99          12.0 us\n"
                                                 "errors                       0\n"));
  EXPECT_EQ(PacedReport().Note(), "");
  EXPECT_THAT(PacedReport().ToJson(), HasSubstr("\"rate\": 500000,"));
}

TEST(LoadReportTest, ARateThatWasNotReachedIsTold) {
  LoadReport report = PacedReport();
  report.sent = 1'237'500;
  EXPECT_FALSE(report.rate_was_missed()) << "one in a hundred";
  report.sent = 1'000'000;
  EXPECT_TRUE(report.rate_was_missed());
  EXPECT_EQ(report.Note(),
            "The rate was not reached: 400,000 messages/s were sent, and not 500,000.\n");
  EXPECT_FALSE(Report().rate_was_missed()) << "there was none";
}

// Of 10 messages in a second: three are under way.
TEST(LoadReportTest, AFewMessagesDoNotMakeARate) {
  const LoadReport report = {.rate = 10, .measured = absl::Seconds(1), .sent = 7};
  EXPECT_FALSE(report.rate_was_missed());
}

TEST(LoadReportTest, WithARateAndNothingSentNothingWasLate) {
  LoadReport report = PacedReport();
  report.lateness = Histogram();
  EXPECT_THAT(report.ToTable(), HasSubstr("sent late p99                -\n"));
}

TEST(LoadReportTest, AClientThatCannotKeepUpIsTold) {
  LoadReport report = PacedReport();
  report.lateness.Add(absl::Milliseconds(3));
  EXPECT_TRUE(report.client_was_late());
  EXPECT_THAT(report.ToTable(), HasSubstr("sent late p99          3.00 ms\n"));
  EXPECT_THAT(report.ToTable(), HasSubstr("\n\nThe client was late to send: "));
  for (int i = 0; i < 1000; ++i) report.latency.Add(absl::Seconds(1));
  EXPECT_FALSE(report.client_was_late()) << "that is not what made them slow";
}

TEST(LoadReportTest, HowBusyTheClientWasIsTold) {
  LoadReport report = Report();
  report.client_busy = 0.894;
  report.client_queued = 0.049;
  EXPECT_THAT(report.ToTable(), HasSubstr("MiB/s                   1929.0\n"
                                          "client busy               89 %\n"
                                          "errors                       0\n"));
  EXPECT_EQ(report.Note(), "");
  report.client_queued = 0.31;
  EXPECT_THAT(report.ToTable(), HasSubstr("client busy               89 %\n"
                                          "client queued             31 %\n"));
}

TEST(LoadReportTest, AClientThatHadNoRestIsTold) {
  LoadReport report = Report();
  report.client_busy = 0.97;
  EXPECT_TRUE(report.client_was_busy());
  EXPECT_THAT(report.ToTable(),
              HasSubstr("\n\nA thread of the client was busy 97 % of the time: "));
  EXPECT_EQ(report.ToJson(), Report().ToJson()) << "its keys are promised";
}

TEST(LoadReportTest, WhatWasNotSentIsTold) {
  LoadReport report = PacedReport();
  EXPECT_THAT(report.ToTable(), Not(HasSubstr("not sent")));
  report.unsent = 1234;
  EXPECT_THAT(report.ToTable(), HasSubstr("not sent                 1,234\n"));
  EXPECT_THAT(report.ToTable(), HasSubstr("\n\nThe pipelines were full: "));
}

TEST(LoadReportTest, WithARateThereAreNoOtherKeys) {
  const auto with = ReadJson(PacedReport().ToJson()), without = ReadJson(Report().ToJson());
  ASSERT_EQ(with.size(), without.size());
  for (size_t i = 0; i < with.size(); ++i) EXPECT_EQ(with[i].first, without[i].first);
}

TEST(LoadReportTest, JsonHasJustTheKeysThatArePromised) {
  EXPECT_THAT(
      ReadJson(FailedReport().ToJson()),
      ElementsAre(Pair("mode", "\"echo\""), Pair("connections", "1000"),
                  Pair("message_bytes", "4096"), Pair("pipeline", "2"), Pair("rate", "0"),
                  Pair("seconds", "2.500000"), Pair("messages", "1234567"),
                  Pair("messages_per_second", "493826.800"), Pair("mib_per_second", "1929.010937"),
                  Pair("errors.closed", "3"), Pair("errors.timeout", "1234"),
                  Pair("latency_us.min", "1.000"), Pair("latency_us.p50", "501.120"),
                  Pair("latency_us.p90", "900.864"), Pair("latency_us.p99", "990.976"),
                  Pair("latency_us.p999", "1000.192"), Pair("latency_us.p9999", "24993.792"),
                  Pair("latency_us.max", "25000.000")));
}

TEST(LoadReportTest, WithoutErrorsThereIsAnEmptyObject) {
  EXPECT_THAT(Report().ToJson(), HasSubstr("\"errors\": {}"));
  EXPECT_FALSE(ReadJson(Report().ToJson()).empty());
}

}  // namespace
}  // namespace millrace
