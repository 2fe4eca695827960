// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/precise_timer.h"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "base/status_macros.h"

namespace millrace {

absl::StatusOr<std::unique_ptr<PreciseTimer>> PreciseTimer::Create(
    EventLoop& loop, absl::AnyInvocable<void()> on_fire) {
  UniqueFd fd(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "timerfd_create");
  std::unique_ptr<PreciseTimer> timer(new PreciseTimer(std::move(fd), std::move(on_fire)));
  MILLRACE_ASSIGN_OR_RETURN(timer->registration_, loop.Watch(timer->fd_.get(), Io::kRead, *timer));
  return timer;
}

void PreciseTimer::ArmAt(MonotonicTime time) {
  constexpr int64_t kSecond = 1'000'000'000;
  const int64_t ns = std::max<int64_t>(1, time.nanoseconds());  // 0 would disarm it.
  itimerspec when = {};
  when.it_value = {.tv_sec = ns / kSecond, .tv_nsec = ns % kSecond};
  CHECK_EQ(timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &when, nullptr), 0);
}

void PreciseTimer::OnIo(Io) {
  uint64_t expirations;
  // It may have been armed anew since it was ready.
  if (read(fd_.get(), &expirations, sizeof expirations) < 0) return;
  on_fire_();
}

}  // namespace millrace
