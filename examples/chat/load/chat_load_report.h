// SPDX-License-Identifier: Apache-2.0
//
// ChatLoadReport is what came out of a chat load run, and how it is shown. A value.
//
//   PrintOutput(report.ToTable());
//   return report.ok() ? 0 : 1;

#ifndef MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_LOAD_REPORT_H_
#define MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_LOAD_REPORT_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "tools/loadgen/histogram.h"

namespace millrace {

struct ChatLoadReport {
  int members = 0;
  int rooms = 0;
  int rate = 0;  // As it was asked for.
  int message_bytes = 0;

  // From when the first message measured was due until sending was over, and until deliveries were:
  // longer than the time asked for if the client was late, or the server.
  absl::Duration sending = absl::ZeroDuration();
  absl::Duration measured = absl::ZeroDuration();
  int64_t messages = 0;                        // Sent.
  int64_t deliveries = 0;                      // Of these, to each member.
  int64_t bytes = 0;                           // Of these deliveries.
  int64_t notices = 0;                         // Over the whole run, as the next two.
  std::map<std::string, int64_t> errors = {};  // How many of each kind.
  std::string first_error = "";                // The reason of the first of them.
  Histogram latency = {};  // Of a delivery: from when the message was due to be sent.

  // Each member got each message of its room once, in one order, and no connection failed.
  bool ok() const { return errors.empty(); }
  int64_t error_count() const;
  double sent_per_second() const;
  double deliveries_per_second() const;
  double mib_per_second() const;  // That came in.

  // For people, in lines.
  std::string ToTable() const;
  // One object, in a few lines, with keys as the load client's.
  std::string ToJson() const;
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_LOAD_REPORT_H_
