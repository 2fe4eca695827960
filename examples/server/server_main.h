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
// at once. SIGHUP begins that end, too, unless the process was started with it ignored. Signals
// that come before the main loop runs wait for it; but one that would end this process ends its
// takeover from an older one, which goes on, and that is a failed start. How a new process takes
// its place without refusing anybody: docs/restart.md. Called once, on the main thread, before
// there are others.

#ifndef MILLRACE_EXAMPLES_SERVER_SERVER_MAIN_H_
#define MILLRACE_EXAMPLES_SERVER_SERVER_MAIN_H_

#include "examples/server/server_program.h"

namespace millrace {

// Returns the process's exit code: 0 after a signal, a takeover or --help; 1 if it could not start,
// or its last listener has failed. Then it has said why, in a line on stderr.
int ServerMain(int argc, char** argv, ServerProgram program);

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_SERVER_SERVER_MAIN_H_
