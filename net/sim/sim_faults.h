// SPDX-License-Identifier: Apache-2.0
//
// SimFaults says how rough a simulated world is: how often each call and each connection goes
// wrong, and how long things take. A value.
//
//   Simulation sim({.seed = 7, .faults = {.cut_short = 0.5, .delay_max = absl::Seconds(1)}});
//   Simulation sim({.seed = 7, .faults = SimFaults::Draw(random)});     // Another world each time.

#ifndef MILLRACE_NET_SIM_SIM_FAULTS_H_
#define MILLRACE_NET_SIM_SIM_FAULTS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "base/random.h"

namespace millrace {

struct SimFaults {
  // The chance, from 0 to 1, that ...
  double would_block = 0;      // ... recv, send or accept says EAGAIN though it need not,
  double interrupted = 0;      // ... or EINTR;
  double cut_short = 0;        // ... recv or send moves only a part, one byte at least;
  double accept_error = 0;     // ... accept says one of the errors of accept(2);
  double no_memory = 0;        // ... the poller has no room for one more descriptor;
  double connect_refused = 0;  // ... a connection is refused,
  double connect_lost = 0;     // ... or its attempt gets no answer at all;
  double reset = 0;            // ... a segment is met by a reset of its connection,
  double lost = 0;             // ... or is the last one of it: both ends wait for ever;
  double stall = 0;            // ... a loop stands still after a turn.
  absl::Duration stall_max = absl::Milliseconds(50);

  // How long a segment is under way. Those of a connection arrive in order, others in any.
  absl::Duration delay_min = absl::Microseconds(20);
  absl::Duration delay_max = absl::Microseconds(200);
  // Bytes that may be under way in one direction of a connection; drawn for each.
  size_t window_min = size_t{64} << 10;
  size_t window_max = size_t{256} << 10;

  // Each fault is on or off by the toss of a coin, with its own chance: worlds in which little goes
  // wrong find other bugs than those in which everything does.
  static SimFaults Draw(Random& random);
  // The same, without what ends connections: every byte must arrive.
  static SimFaults DrawHarmless(Random& random);

  // One line: what is on.
  std::string ToString() const;
};

}  // namespace millrace

#endif  // MILLRACE_NET_SIM_SIM_FAULTS_H_
