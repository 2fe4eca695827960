// SPDX-License-Identifier: Apache-2.0
//
// ServerMain() is main() of a server program, but for what the server does: flags, listening,
// worker loops, log, signals and an end in good order, the same for all of ours.
//
//   int main(int argc, char** argv) {
//     return millrace::ServerMain(argc, argv, {
//         .name = "echo",
//         .description = "Sends every byte back.",
//         .port = 7007,
//         .handler = [] { return std::make_unique<EchoHandler>(); }});
//   }
//
// Once it can be reached it prints `listening on ADDRESS` for each of its addresses. SIGTERM or
// SIGINT stops it when all connections have ended, or --drain_timeout after; a second one stops it
// at once. How a new process takes its place without refusing anybody: docs/restart.md. Called
// once, on the main thread, before there are others.

#ifndef MILLRACE_EXAMPLES_SERVER_SERVER_MAIN_H_
#define MILLRACE_EXAMPLES_SERVER_SERVER_MAIN_H_

#include <cstdint>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "net/connection_handler.h"
#include "net/connection_limits.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/limits.h"
#include "tools/program/flag_set.h"

namespace millrace {

// What is there when the handlers' factory is made. Outlives the handlers.
struct ServerContext {
  EventLoop& main;  // Not running yet.
  EventLoopThreadPool& workers;
};

struct ServerProgram {
  std::string name = "";         // As it appears in front of its errors.
  std::string description = "";  // What it does, for --help.
  uint16_t port = 0;             // Without --listen it listens here, on 127.0.0.1.

  // Either of these. The second is for handlers that share something: it is called when the flags
  // are read and the workers run, and before anybody can connect. What it returns is destroyed
  // after the workers have ended.
  HandlerFactory handler = {};
  absl::AnyInvocable<absl::StatusOr<HandlerFactory>(ServerContext& context)> make_handler = {};

  // Adds flags of its own, behind those that all have.
  absl::AnyInvocable<void(FlagSet& flags)> add_flags = {};
  // Called on the main loop when the first signal comes, before connections hear OnDrain().
  absl::AnyInvocable<void()> on_drain = {};

  // Defaults; --idle_timeout and --max_connections replace theirs.
  ConnectionLimits limits = {.idle_timeout = absl::Seconds(60)};
  int connections_max = kConnectionsMax;
};

// Returns the process's exit code: 0 after a signal or --help, 1 if it could not start; then it has
// said why, in a line on stderr.
int ServerMain(int argc, char** argv, ServerProgram program);

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_SERVER_SERVER_MAIN_H_
