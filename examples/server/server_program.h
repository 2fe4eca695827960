// SPDX-License-Identifier: Apache-2.0
//
// ServerProgram says what is special about a server program, for ServerMain() to do the rest. A
// value, made by main().
//
//   return ServerMain(argc, argv, {.name = "echo", .port = 7007, .handler = ...});

#ifndef MILLRACE_EXAMPLES_SERVER_SERVER_PROGRAM_H_
#define MILLRACE_EXAMPLES_SERVER_SERVER_PROGRAM_H_

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

  // Defaults; flags replace those that they are about.
  ConnectionLimits limits = {.idle_timeout = absl::Seconds(60)};
  int connections_max = kConnectionsMax;
  // To say nothing for long is all right: then no time is set for a first byte.
  bool peers_may_only_listen = false;
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_SERVER_SERVER_PROGRAM_H_
