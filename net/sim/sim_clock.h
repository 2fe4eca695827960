// SPDX-License-Identifier: Apache-2.0
//
// SimClock is the time of a simulation: it stands still until the simulation moves it on, from one
// thing that happens to the next. Owned by the Simulation; its thread's only.
//
//   clock.AdvanceTo(network.NextEvent());

#ifndef MILLRACE_NET_SIM_SIM_CLOCK_H_
#define MILLRACE_NET_SIM_SIM_CLOCK_H_

#include "absl/log/check.h"
#include "base/monotonic_time.h"

namespace millrace {

class SimClock final : public Clock {
 public:
  MonotonicTime Now() const override { return now_; }

  void AdvanceTo(MonotonicTime time) {
    CHECK(time >= now_ && time < MonotonicTime::InfiniteFuture());
    now_ = time;
  }

 private:
  // Not zero, which would hide what takes an instant that was never set for one that was.
  MonotonicTime now_ = MonotonicTime::FromNanoseconds(1'000'000'000);
};

}  // namespace millrace

#endif  // MILLRACE_NET_SIM_SIM_CLOCK_H_
