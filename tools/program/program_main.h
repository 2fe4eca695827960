// SPDX-License-Identifier: Apache-2.0
//
// ProgramMain is what the main() of each of our programs does: it makes the process fit to start,
// reads the command line, runs, and says why it could not. For main(), once.
//
//   int main(int argc, char** argv) {
//     Options options;
//     FlagSet flags("loadgen", "Puts load on an echo server.");
//     flags.AddInt("threads", options.threads, 0, 1024, "0: one for each core");
//     return ProgramMain(argc, argv, flags, [&] { return Run(options); });
//   }

#ifndef MILLRACE_TOOLS_PROGRAM_PROGRAM_MAIN_H_
#define MILLRACE_TOOLS_PROGRAM_PROGRAM_MAIN_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "tools/program/flag_set.h"

namespace millrace {

// Returns the process's exit code: 0 after --help, and if `run` returns OK; 1 if the command line
// is wrong, or `run` fails: then it has said why, in a line on stderr.
int ProgramMain(int argc, char** argv, FlagSet& flags, absl::FunctionRef<absl::Status()> run);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_PROGRAM_PROGRAM_MAIN_H_
