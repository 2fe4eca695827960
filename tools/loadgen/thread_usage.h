// SPDX-License-Identifier: Apache-2.0
//
// ThreadUsage is what a thread did with a time: how much of it it was on a core, and how much it
// was ready to run and waited for one. A load client that is busy nearly all the time is measuring
// itself; one that waits for a core shares it with somebody, perhaps with the server. A value; the
// samples are those of the thread that takes them.
//
//   usage.Begin(ThreadUsage::SampleNow());
//   ...                                              // The same thread.
//   usage.End(ThreadUsage::SampleNow());
//   if (usage.busy() > 0.9) ...

#ifndef MILLRACE_TOOLS_LOADGEN_THREAD_USAGE_H_
#define MILLRACE_TOOLS_LOADGEN_THREAD_USAGE_H_

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "base/monotonic_time.h"

namespace millrace {

class ThreadUsage {
 public:
  // Since the thread began.
  struct Sample {
    MonotonicTime time;
    absl::Duration on_core = absl::ZeroDuration();
    absl::Duration queued = absl::ZeroDuration();  // None where the kernel does not tell.
  };

  // Of the calling thread, by the system's clock. A few system calls.
  static Sample SampleNow();

  void Begin(const Sample& sample) {
    begin_ = end_ = sample;
    running_ = true;
  }
  // The first one after Begin() counts.
  void End(const Sample& sample) {
    if (std::exchange(running_, false)) end_ = sample;
  }

  // Of the time between the two, 0 to 1; 0 while there is none.
  double busy() const { return ShareOf(end_.on_core - begin_.on_core); }
  double queued() const { return ShareOf(end_.queued - begin_.queued); }

 private:
  double ShareOf(absl::Duration part) const {
    const absl::Duration whole = end_.time - begin_.time;
    if (whole <= absl::ZeroDuration()) return 0;
    return std::clamp(absl::FDivDuration(part, whole), 0.0, 1.0);
  }

  bool running_ = false;
  Sample begin_, end_;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_THREAD_USAGE_H_
