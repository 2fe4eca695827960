// SPDX-License-Identifier: Apache-2.0
//
// Clockwork is some timers on each loop of a World, armed, put off, cancelled and fired without
// end, and posts from each loop to the others; it knows what must happen, and when. Owned by a
// scenario; gone before its World is checked.
//
//   Clockwork clockwork(world);
//   ...
//   clockwork.Stop();        // Or the loops never come to rest.

#ifndef MILLRACE_TESTS_SIM_CLOCKWORK_H_
#define MILLRACE_TESTS_SIM_CLOCKWORK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "net/event_loop.h"
#include "net/loop_ref.h"
#include "tests/sim/world.h"

namespace millrace {

class Clockwork {
 public:
  explicit Clockwork(World& world);
  ~Clockwork();

  // Checks that nothing is overdue, and lets all posts arrive.
  void Stop();

 private:
  class Hand;  // One timer.
  struct Dial {
    LoopRef loop;
    uint64_t posted = 0, arrived = 0;
    std::vector<std::unique_ptr<Hand>> hands;
  };

  void OnFire(Dial& dial);
  void PostToSomebody();

  World& world_;
  bool stopped_ = false;
  std::vector<std::unique_ptr<Dial>> dials_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SIM_CLOCKWORK_H_
