// SPDX-License-Identifier: Apache-2.0
//
// What this process, or another one, holds and uses, as the kernel counts it: for tests that say
// that something does not grow, is given back, or does not spin. Stateless; any thread.
//
//   const int before = OpenDescriptors();
//   { auto loop = EventLoop::Create().value(); }
//   EXPECT_EQ(OpenDescriptors(), before);

#ifndef MILLRACE_TESTS_SUPPORT_PROCESS_FIGURES_H_
#define MILLRACE_TESTS_SUPPORT_PROCESS_FIGURES_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/time/time.h"

namespace millrace {

// Of this process; threads that open some meanwhile make it a guess.
int OpenDescriptors();
// So many more can be opened, of all that are allowed.
int DescriptorsLeft();

// Bytes that it has in memory. Sanitizers keep so much of their own that it says nothing there.
int64_t ResidentBytes();

// Processor time, of user and system, that the process has used so far.
absl::Duration ProcessorTime(pid_t pid);

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_PROCESS_FIGURES_H_
