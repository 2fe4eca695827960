// SPDX-License-Identifier: Apache-2.0
//
// ServerSettings is what the command line of a server program says, with the defaults that are
// right for a program on the open network: the library's own, and slow senders are limited. For
// ServerMain(), on the main thread.
//
//   ServerSettings settings;
//   AddServerFlags(flags, settings, program);

#ifndef MILLRACE_EXAMPLES_SERVER_SERVER_FLAGS_H_
#define MILLRACE_EXAMPLES_SERVER_SERVER_FLAGS_H_

#include <string>

#include "absl/time/time.h"
#include "base/ref.h"
#include "examples/server/server_program.h"
#include "examples/server/succession.h"
#include "net/admission.h"
#include "net/drain.h"
#include "net/limits.h"
#include "net/memory_budget.h"
#include "tools/program/flag_set.h"

namespace millrace {

struct ServerSettings {
  Succession::Settings sockets;
  int threads = 0;
  std::string poller = "epoll";
  absl::Duration busy_poll = absl::ZeroDuration();
  bool connections_given = false;  // --max_connections
  AdmissionOptions admission;
  Ref<MemoryBudget> memory_budget = MemoryBudget::OfProcess();
  DrainOptions drain;
  absl::Duration stall_threshold = kStallThreshold;  // Zero: nobody watches.
  bool measure_turns = false;
};

// What is about connections goes into `program`, whose own values are the defaults. Both must
// outlive the parsing.
void AddServerFlags(FlagSet& flags, ServerSettings& settings, ServerProgram& program);

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_SERVER_SERVER_FLAGS_H_
