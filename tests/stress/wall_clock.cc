// SPDX-License-Identifier: Apache-2.0
#include "tests/stress/wall_clock.h"

#include <sys/time.h>
#include <time.h>

#include <atomic>
#include <cstdint>

namespace millrace {
namespace {

std::atomic<int64_t> moved_seconds{0};

}  // namespace

void MoveWallClock(absl::Duration forward) { moved_seconds += absl::ToInt64Seconds(forward); }

}  // namespace millrace

extern "C" {

int __real_clock_gettime(clockid_t clock, timespec* now);
int __wrap_clock_gettime(clockid_t clock, timespec* now) {
  const int result = __real_clock_gettime(clock, now);
  const bool is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (result == 0 && is_wall) now->tv_sec += millrace::moved_seconds;
  return result;
}

int __real_gettimeofday(timeval* now, void* zone);
int __wrap_gettimeofday(timeval* now, void* zone) {
  const int result = __real_gettimeofday(now, zone);
  if (result == 0) now->tv_sec += millrace::moved_seconds;
  return result;
}

time_t __real_time(time_t* now);
time_t __wrap_time(time_t* now) {
  const time_t moved = __real_time(nullptr) + millrace::moved_seconds;
  if (now != nullptr) *now = moved;
  return moved;
}

}  // extern "C"
