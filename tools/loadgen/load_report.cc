// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/load_report.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "tools/loadgen/report_text.h"

namespace millrace {
namespace {

absl::string_view LatencyTitle(LoadMode mode) {
  if (mode == LoadMode::kChurn) return "connect, send, receive";
  return mode == LoadMode::kIdle ? "connect" : "latency";
}

// Below that lateness is the timer's, and the scheduler's, and nothing to be done about.
constexpr absl::Duration kLatenessMin = absl::Milliseconds(1);
// Of the latency at the same percentile.
constexpr double kLatenessShare = 0.1;
// A thread that has a tenth of its time left waits for the server now and then.
constexpr double kBusyShare = 0.9;
// Below that the wait for a core is nothing to speak of.
constexpr double kQueuedShare = 0.05;

// Fewer than one message in a hundred, or than these, may just be under way at the end.
constexpr double kMissingShare = 0.01;
constexpr double kMissingMin = 10;

std::string Percent(double share) { return absl::StrFormat("%.0f %%", 100 * share); }

}  // namespace

int64_t LoadReport::error_count() const { return TotalOf(errors); }

double LoadReport::messages_per_second() const {
  const double seconds = absl::ToDoubleSeconds(measured);
  return seconds > 0 ? static_cast<double>(messages) / seconds : 0;
}

double LoadReport::mib_per_second() const {
  return messages_per_second() * message_bytes / (1 << 20);
}

double LoadReport::sent_per_second() const {
  const double seconds = absl::ToDoubleSeconds(measured);
  return seconds > 0 ? static_cast<double>(sent) / seconds : 0;
}

bool LoadReport::rate_was_missed() const {
  const double due = rate * absl::ToDoubleSeconds(measured);
  const double missing = due - static_cast<double>(sent);
  return missing >= kMissingMin && missing > kMissingShare * due;
}

bool LoadReport::client_was_busy() const { return client_busy >= kBusyShare; }

bool LoadReport::client_was_late() const {
  const absl::Duration late = lateness.Percentile(99);
  return late >= kLatenessMin && late >= kLatenessShare * latency.Percentile(99);
}

std::string LoadReport::Interruption() const {
  if (!interrupted) return "";
  std::string text =
      absl::StrFormat("interrupted after %.2f s of %.2f s", absl::ToDoubleSeconds(measured),
                      absl::ToDoubleSeconds(duration));
  if (connected < connections) {
    absl::StrAppend(&text, ": ", WithCommas(connected), " of ", WithCommas(connections),
                    " connections had been opened");
  }
  return text;
}

std::string LoadReport::Note() const {
  std::string note;
  if (rate_was_missed()) {
    absl::StrAppend(&note,
                    "The rate was not reached: ", WithCommas(std::llround(sent_per_second())),
                    " messages/s were sent, and not ", WithCommas(rate), ".\n");
  }
  if (client_was_late()) {
    absl::StrAppend(&note,
                    "The client was late to send: these are not the server's figures alone. "
                    "Give it more threads or a machine of its own.\n");
  }
  if (client_was_busy()) {
    absl::StrAppend(&note, "A thread of the client was busy ", Percent(client_busy),
                    " of the time: the client may be the limit, and not the server. See what more "
                    "threads, a second client or another machine change.\n");
  }
  if (unsent > 0) {
    absl::StrAppend(
        &note,
        "The pipelines were full: the server is too slow for this rate, or "
        "--connections and --pipeline are too small for it. What was not sent counts with "
        "the time it waited.\n");
  }
  return note;
}

std::string LoadReport::ToTable() const {
  const std::string note = Note();
  return note.empty() ? Rows().text() : absl::StrCat(Rows().text(), "\n", note);
}

ReportTable LoadReport::Rows() const {
  ReportTable table;
  if (interrupted) table.AddTitle(Interruption());
  table.Add("connections", WithCommas(connections));
  table.Add("seconds", absl::StrFormat("%.2f", absl::ToDoubleSeconds(measured)));
  if (mode != LoadMode::kIdle) {
    table.Add("messages", WithCommas(messages));
    table.Add("messages/s", WithCommas(std::llround(messages_per_second())));
    table.Add("MiB/s", absl::StrFormat("%.1f", mib_per_second()));
  }
  if (rate > 0) {
    table.Add("rate asked", WithCommas(rate));
    table.Add("rate achieved", WithCommas(std::llround(sent_per_second())));
    table.Add("sent late p99", PercentileText(lateness, 99));
    if (unsent > 0) table.Add("not sent", WithCommas(unsent));
  }
  if (client_busy > 0) table.Add("client busy", Percent(client_busy));
  if (client_queued >= kQueuedShare) table.Add("client queued", Percent(client_queued));
  table.AddErrors(errors);
  table.AddLatency(LatencyTitle(mode), latency);
  return table;
}

std::string LoadReport::ToJson() const {
  std::string json = absl::StrFormat(
      "{\n  \"mode\": \"%s\",\n  \"connections\": %d,\n  \"message_bytes\": %d,\n"
      "  \"pipeline\": %d,\n  \"rate\": %d,\n",
      LoadModeName(mode), connections, message_bytes, pipeline, rate);
  absl::StrAppendFormat(&json,
                        "  \"seconds\": %.6f,\n  \"messages\": %d,\n"
                        "  \"messages_per_second\": %.3f,\n  \"mib_per_second\": %.6f,\n",
                        absl::ToDoubleSeconds(measured), messages, messages_per_second(),
                        mib_per_second());
  absl::StrAppend(&json, "  \"errors\": ", ErrorsJson(errors),
                  ",\n  \"latency_us\": ", LatencyJson(latency), "\n}\n");
  return json;
}

}  // namespace millrace
