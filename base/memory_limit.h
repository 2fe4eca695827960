// SPDX-License-Identifier: Apache-2.0
//
// MemoryLimit() tells how much memory this process may use: the machine's, what its control groups
// allow (containers and services have such), or its own limits (ulimit -v and -d), whichever is
// least. Files of both versions of control groups are read anew each time, so call it when
// something starts and not in between. Any thread.
//
//   const uint64_t budget = MemoryLimit() / 2;

#ifndef MILLRACE_BASE_MEMORY_LIMIT_H_
#define MILLRACE_BASE_MEMORY_LIMIT_H_

#include <cstdint>
#include <string>

namespace millrace {

uint64_t MemoryLimit();

// The parts of it. The groups' are those that `root` has in /proc and /sys, which is "" but in
// tests; the most there is if none of them sets a limit, or nothing can be read.
uint64_t MachineMemory();
uint64_t ResourceMemoryLimit();  // The lower of RLIMIT_AS and RLIMIT_DATA, see setrlimit(2).
uint64_t ControlGroupMemoryLimit(const std::string& root);

}  // namespace millrace

#endif  // MILLRACE_BASE_MEMORY_LIMIT_H_
