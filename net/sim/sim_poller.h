// SPDX-License-Identifier: Apache-2.0
//
// SimPoller is the Poller of a simulated loop. It never waits: it tells what is ready in the
// SimNetwork, in an order drawn anew each time and not always all of it, and remembers until when
// the loop would have slept; the Simulation moves the clock. Owned by its EventLoop; the
// simulation's thread only.
//
//   SimPoller poller(network);
//   poller.Wait(clock, until, events);       // 0 events: the loop has nothing to do,
//   clock.AdvanceTo(poller.sleeps_until());  // before this.

#ifndef MILLRACE_NET_SIM_SIM_POLLER_H_
#define MILLRACE_NET_SIM_SIM_POLLER_H_

#include <map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/monotonic_time.h"
#include "base/slot_map.h"
#include "net/poller.h"
#include "net/sim/sim_network.h"

namespace millrace {

class SimPoller final : public Poller {
 public:
  explicit SimPoller(SimNetwork& network) : network_(network) {}

  absl::Status Add(int fd, Io interest, Token token) override;
  absl::Status Modify(int fd, Io interest, Token token) override;
  void Remove(int fd) override;
  absl::StatusOr<int> Wait(const Clock& clock, MonotonicTime until,
                           absl::Span<ReadyEvent> out) override;
  absl::string_view name() const override { return "simulated"; }

  // What the last Wait() was given: past if the loop had more to do at once.
  MonotonicTime sleeps_until() const { return sleeps_until_; }

 private:
  struct Watched {
    Io interest;
    Token token;
  };

  SimNetwork& network_;
  std::map<int, Watched> watched_;  // In order, so that a run can be repeated.
  MonotonicTime sleeps_until_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_SIM_SIM_POLLER_H_
