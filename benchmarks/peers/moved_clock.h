// SPDX-License-Identifier: Apache-2.0
//
// Moves the clocks that other libraries read, so that no benchmark waits for their timers. It takes
// the place of clock_gettime(2) in a program that links it, for all but the clocks of CPU time; and
// of timerfd_create(2), which fails: the kernel's timers would not know. Asio, which has one, then
// asks the clock in each turn, as the others do. Of the whole process; one thread may move it.
//
//   MoveClocks(std::chrono::milliseconds(1));   // And the library's next turn finds it later.

#ifndef MILLRACE_BENCHMARKS_PEERS_MOVED_CLOCK_H_
#define MILLRACE_BENCHMARKS_PEERS_MOVED_CLOCK_H_

#include <chrono>

namespace millrace {

void MoveClocks(std::chrono::nanoseconds forward);

}  // namespace millrace

#endif  // MILLRACE_BENCHMARKS_PEERS_MOVED_CLOCK_H_
