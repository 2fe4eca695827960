// SPDX-License-Identifier: Apache-2.0
//
// What our programs do to and as a process: what they print, and which descriptors they may have.
// Plain functions, for main() before other threads start; the printing ones for any thread.
//
//   OccupyStandardDescriptors();
//   const absl::Status room = ReserveDescriptors(2'000, "1,900 connections");
//   if (!room.ok()) return PrintError("loadgen", room), 1;

#ifndef MILLRACE_TOOLS_PROGRAM_PROCESS_H_
#define MILLRACE_TOOLS_PROGRAM_PROCESS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace millrace {

// Writes `text` to stdout, at once. False if that could not be done.
bool PrintOutput(absl::string_view text);

// Writes "PROGRAM: MESSAGE" to stderr, as one line.
void PrintError(absl::string_view program, const absl::Status& status);

// Opens /dev/null in the place of those of stdin, stdout and stderr that the caller was started
// without: otherwise the next socket would get the number, and what is printed go to a peer.
void OccupyStandardDescriptors();

// Raises this process's limit of open descriptors as far as it may; returns what it is now.
int64_t RaiseDescriptorLimit();

// The same; ResourceExhausted if even then fewer are allowed than `count`, which `what` needs.
absl::Status ReserveDescriptors(int64_t count, absl::string_view what);

}  // namespace millrace

#endif  // MILLRACE_TOOLS_PROGRAM_PROCESS_H_
