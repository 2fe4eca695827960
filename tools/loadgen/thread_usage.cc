// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/thread_usage.h"

#include <time.h>

#include <cstdint>
#include <fstream>

namespace millrace {
namespace {

absl::Duration CpuTimeOfThisThread() {
  timespec spec = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spec);
  return absl::DurationFromTimespec(spec);
}

// Nanoseconds on a core, nanoseconds in a queue for one, and turns. The first is not taken from
// here, since it is only as new as the scheduler's last look at the thread.
absl::Duration QueuedTimeOfThisThread() {
  std::ifstream file("/proc/thread-self/schedstat");
  int64_t on_core_ns = 0, queued_ns = 0;
  file >> on_core_ns >> queued_ns;
  return absl::Nanoseconds(file ? queued_ns : 0);
}

}  // namespace

ThreadUsage::Sample ThreadUsage::SampleNow() {
  return {.time = Clock::System().Now(),
          .on_core = CpuTimeOfThisThread(),
          .queued = QueuedTimeOfThisThread()};
}

}  // namespace millrace
