// SPDX-License-Identifier: Apache-2.0
//
// StallProbe asks a loop that does not answer what it is doing: it sends its thread a signal, and
// the signal's handler writes down the stack, the part of the turn and whose call it is. A value;
// any thread. Used by StallWatchdog.
//
//   absl::StatusOr<StallProbe> probe = StallProbe::Create(SIGRTMIN + 5);
//   absl::StatusOr<StallAnswer> answer = probe->Ask(*loop.pulse(), absl::Milliseconds(100));
//
// The handler allocates nothing, takes no lock, and writes to memory of the process that is there
// for ever: a thread may answer late, when nobody waits any more. It does not go over to an
// alternate stack: those are made for crashes, and often small. It is installed with SA_RESTART, so
// system calls go on; those that no signal restarts (poll, sleep, ...; see signal(7)) end with
// EINTR, in the stalled call only. Once installed it stays, harmless: to remove it would have a
// signal that is still on its way end the process.

#ifndef MILLRACE_NET_STALL_PROBE_H_
#define MILLRACE_NET_STALL_PROBE_H_

#include <array>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "net/limits.h"
#include "net/loop_pulse.h"
#include "net/turn_position.h"

namespace millrace {

struct StallAnswer {
  TurnDescription turn;
  // Of calls, the innermost first: where each is at. The outermost are cut.
  std::array<void*, kStallFramesMax> stack;
  int stack_size = 0;
};

class StallProbe {
 public:
  // Takes a real-time signal for itself: of the others each means something to somebody. Fails with
  // InvalidArgument for one that is not, and with FailedPrecondition if it has a handler already.
  static absl::StatusOr<StallProbe> Create(int signal_number);

  // Waits until the loop's thread has answered, `timeout` at most, or twice that if it is just
  // writing. One at a time in the process: others wait. DeadlineExceeded if it does not answer, and
  // says what the kernel knows of the thread: one in an uninterruptible sleep never does.
  // Other errors if there is no such thread, or the one that was asked before is still writing.
  absl::StatusOr<StallAnswer> Ask(const LoopPulse& loop, absl::Duration timeout) const;

  int signal_number() const { return signal_number_; }

 private:
  explicit StallProbe(int signal_number) : signal_number_(signal_number) {}

  std::string WhyNoAnswer(pid_t thread) const;

  int signal_number_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_STALL_PROBE_H_
