// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/peers/moved_clock.h"

#include <dlfcn.h>
#include <sys/timerfd.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>

namespace millrace {
namespace {

std::atomic<int64_t> moved_ns{0};

// The one that would be called if ours were not here.
int SystemsClock(clockid_t clock, timespec* time) {
  using Function = int (*)(clockid_t, timespec*);
  static const auto function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "clock_gettime"));
  return function(clock, time);
}

}  // namespace

void MoveClocks(std::chrono::nanoseconds forward) {
  moved_ns.store(moved_ns.load() + forward.count());
}

}  // namespace millrace

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  constexpr int64_t kSecond = 1'000'000'000;
  const int result = millrace::SystemsClock(clock, time);
  if (result != 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID) {
    return result;
  }
  const int64_t nanoseconds = time->tv_nsec + millrace::moved_ns.load(std::memory_order_relaxed);
  time->tv_sec += nanoseconds / kSecond;
  time->tv_nsec = nanoseconds % kSecond;
  return 0;
}

extern "C" int timerfd_create(clockid_t, int) noexcept {
  errno = ENOSYS;
  return -1;
}
