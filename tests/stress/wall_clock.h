// SPDX-License-Identifier: Apache-2.0
//
// MoveWallClock() steps the clock on the wall, as an administrator or NTP does, for this process
// alone: the linker's --wrap leads what asks for it, in our code and in Abseil's, through here. The
// monotonic clock stays as it is, as it does in the kernel. Any thread.
//
//   MoveWallClock(-absl::Hours(1));
//
// What libc and the C++ library ask inside themselves is not reached.

#ifndef MILLRACE_TESTS_STRESS_WALL_CLOCK_H_
#define MILLRACE_TESTS_STRESS_WALL_CLOCK_H_

#include "absl/time/time.h"

namespace millrace {

void MoveWallClock(absl::Duration forward);

}  // namespace millrace

#endif  // MILLRACE_TESTS_STRESS_WALL_CLOCK_H_
