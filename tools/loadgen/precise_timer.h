// SPDX-License-Identifier: Apache-2.0
//
// A PreciseTimer calls a function when its time has come, to some microseconds; a loop's own timers
// count in milliseconds, which an open loop's latency would be measured to include. It costs a
// descriptor and a few system calls each time. A member of the object it serves; destroying it ends
// it, which its function must not do. Loop-only. It goes by the system's clock, not by the loop's.
//
//   MILLRACE_ASSIGN_OR_RETURN(send_timer_, PreciseTimer::Create(loop, [this] { SendWhatIsDue();
//   })); send_timer_->ArmAt(schedule.due(next));

#ifndef MILLRACE_TOOLS_LOADGEN_PRECISE_TIMER_H_
#define MILLRACE_TOOLS_LOADGEN_PRECISE_TIMER_H_

#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/monotonic_time.h"
#include "base/thread_role.h"
#include "base/unique_fd.h"
#include "net/event_loop.h"
#include "net/io_handler.h"

namespace millrace {

class PreciseTimer final : private IoHandler {
 public:
  // Fails when out of descriptors or memory.
  static absl::StatusOr<std::unique_ptr<PreciseTimer>> Create(
      EventLoop& loop, absl::AnyInvocable<void()> on_fire) LOOP_ONLY;

  // Replaces what was armed before. A time that is past fires in the next turn.
  void ArmAt(MonotonicTime time) LOOP_ONLY;

 private:
  PreciseTimer(UniqueFd fd, absl::AnyInvocable<void()> on_fire)
      : fd_(std::move(fd)), on_fire_(std::move(on_fire)) {}

  void OnIo(Io ready) override LOOP_ONLY;

  const UniqueFd fd_;
  absl::AnyInvocable<void()> on_fire_;
  Registration registration_;  // Ends before the descriptor is closed.
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_PRECISE_TIMER_H_
