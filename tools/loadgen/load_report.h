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

namespace millrace {

struct LoadReport {
  LoadMode mode = LoadMode::kEcho;
  int connections = 0;
  int message_bytes = 0;
  int pipeline = 0;

  absl::Duration measured = absl::ZeroDuration();
  int64_t messages = 0;                        // That came back in that time.
  std::map<std::string, int64_t> errors = {};  // How many of each kind, over the whole run.
  std::string first_error = "";                // The reason of the first of them.
  // Of a message: from sending to the last byte back. In mode churn from connecting; in mode idle
  // the time it took to connect.
  Histogram latency = {};

  // No byte was wrong, and no connection failed.
  bool ok() const { return errors.empty(); }
  int64_t error_count() const;
  double messages_per_second() const;
  double mib_per_second() const;  // One way; as much went the other.

  // For people, in lines.
  std::string ToTable() const;
  // One object, in a few lines. The keys are promised; see the load client's documentation.
  std::string ToJson() const;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_LOAD_REPORT_H_
