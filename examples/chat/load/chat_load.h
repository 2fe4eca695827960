// SPDX-License-Identifier: Apache-2.0
//
// RunChatLoad() puts load on a chat server and reports what came of it: the load client as a
// function, for programs and tests. It makes its own loops and threads and blocks its caller, which
// must therefore not be a loop that the server needs.
//
//   absl::StatusOr<ChatLoadReport> report = RunChatLoad({.members = 1000, .rooms = 10});
//   if (!report.ok()) return report.status();             // Nothing was run.
//   if (!report->ok()) LOG(ERROR) << report->first_error;

#ifndef MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_LOAD_H_
#define MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_LOAD_H_

#include <cstdint>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "examples/chat/load/chat_load_options.h"
#include "examples/chat/load/chat_load_report.h"

namespace millrace {

// How far a run is.
struct ChatLoadProgress {
  enum class Phase { kJoining, kWarmingUp, kMeasuring, kEnding };
  Phase phase = Phase::kJoining;
  absl::Duration measured = absl::ZeroDuration();  // Of options.duration.
  int64_t members = 0;                             // In their rooms now.
  double deliveries_per_second = 0;                // Since the last progress.
  int64_t errors = 0;

  // For people, without a newline.
  std::string ToLine(absl::Duration duration) const;
};

// Called on the caller's thread, about once a second.
using OnChatLoadProgress = absl::AnyInvocable<void(const ChatLoadProgress& progress)>;

// Fails if the options contradict each other, or this machine has not enough of something. What the
// server does, or does not, is in the report. If not all members get in, nothing is sent. Ends in
// bounded time, whatever the server does.
absl::StatusOr<ChatLoadReport> RunChatLoad(const ChatLoadOptions& options,
                                           OnChatLoadProgress on_progress = {});

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_LOAD_H_
