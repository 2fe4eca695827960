// SPDX-License-Identifier: Apache-2.0
//
// LoadReport is what came out of a load run, and how it is shown. A value.
//
//   PrintOutput(report.ToTable());
//   return report.ok() ? 0 : 1;

#ifndef MILLRACE_TOOLS_LOADGEN_LOAD_REPORT_H_
#define MILLRACE_TOOLS_LOADGEN_LOAD_REPORT_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "tools/loadgen/histogram.h"
#include "tools/loadgen/load_options.h"
#include "tools/loadgen/rate_series.h"
#include "tools/loadgen/report_text.h"

namespace millrace {

struct LoadReport {
  LoadMode mode = LoadMode::kEcho;
  int connections = 0;
  int message_bytes = 0;
  int pipeline = 0;
  int rate = 0;                                    // As it was asked for,
  absl::Duration duration = absl::ZeroDuration();  // and this, too.

  absl::Duration measured = absl::ZeroDuration();
  bool interrupted = false;                    // By a signal, before all of it was measured.
  int connected = 0;                           // How many of the connections could be opened.
  int64_t messages = 0;                        // That came back in that time.
  std::map<std::string, int64_t> errors = {};  // How many of each kind, over the whole run.
  std::string first_error = "";                // The reason of the first of them.
  // Of a message: from sending to the last byte back. In mode churn from connecting; in mode idle
  // the time it took to connect.
  Histogram latency = {};
  RateSeries throughput = {};  // Of the messages.

  // With a rate: latency is that of the messages that were due in that time, from when they were.
  int64_t sent = 0;         // In that time.
  int64_t unsent = 0;       // They waited for their pipeline to the end; their latency is so long.
  Histogram lateness = {};  // Of sends: since they were due and there was room. The client's fault.

  // Of the time measured: how much of it the client's busiest thread was on a core, and how much
  // the one that waited most was ready and had none. Nothing to do with a server elsewhere.
  double client_busy = 0;
  double client_queued = 0;

  // No byte was wrong, and no connection failed.
  bool ok() const { return errors.empty(); }
  int64_t error_count() const;
  double messages_per_second() const;
  double mib_per_second() const;  // One way; as much went the other.
  double sent_per_second() const;
  // Whether fewer messages were sent than were to be, for whatever reason.
  bool rate_was_missed() const;
  // Whether the rate may be this program's own limit, since a thread of it had hardly a rest.
  bool client_was_busy() const;
  // Whether latency is to a good part this program's own, since it was late to send.
  bool client_was_late() const;

  // "interrupted after 2.00 s of 10.00 s"; empty if it was not.
  std::string Interruption() const;
  // For people: the rows, and all in lines.
  ReportTable Rows() const;
  std::string ToTable() const;
  // What is to be known of the figures, in a line for each thing; or nothing.
  std::string Note() const;
  // One object, in a few lines. The keys are promised; see the load client's documentation.
  std::string ToJson() const;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_LOAD_REPORT_H_
