// SPDX-License-Identifier: Apache-2.0
//
// RunLoad() puts load on a server and reports what came of it: the load client as a function, for
// programs and tests that have the server in their own process. It makes its own loops and threads
// and blocks its caller, which must therefore not be a loop that the server needs.
//
//   absl::StatusOr<LoadReport> report = RunLoad({.addresses = server->addresses()});
//   if (!report.ok()) return report.status();             // Nothing was run.
//   if (!report->ok()) LOG(ERROR) << report->first_error;

#ifndef MILLRACE_TOOLS_LOADGEN_LOAD_H_
#define MILLRACE_TOOLS_LOADGEN_LOAD_H_

#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/loadgen/load_options.h"
#include "tools/loadgen/load_report.h"

namespace millrace {

// How far a run is.
struct LoadProgress {
  enum class Phase { kConnecting, kWarmingUp, kMeasuring, kEnding };
  Phase phase = Phase::kConnecting;
  absl::Duration measured = absl::ZeroDuration();  // Of options.duration.
  int64_t connections = 0;                         // Open now.
  int64_t messages = 0;                            // So far, measured or not.
  double messages_per_second = 0;                  // Since the last progress.
  int64_t errors = 0;
};

// Called on the caller's thread, about once a second.
using OnLoadProgress = absl::AnyInvocable<void(const LoadProgress& progress)>;

// Called on the caller's thread at the first signal, if options.ends_on_signal: the run ends within
// options.ending_max() now.
using OnLoadInterrupt = absl::AnyInvocable<void()>;

// Fails if the options contradict each other, or this machine has not enough of something. What the
// server does, or does not, is in the report. Ends in bounded time, whatever the server does.
absl::StatusOr<LoadReport> RunLoad(const LoadOptions& options, OnLoadProgress on_progress = {},
                                   OnLoadInterrupt on_interrupt = {});

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_LOAD_H_
