// SPDX-License-Identifier: Apache-2.0
//
// Guests are those who come to a server of a soak: some clients with handlers, some rude peers, one
// after the other. A Director has something done now and then. Owned by a scenario, and gone before
// its World is checked.
//
//   Guests guests(world, {.clients = 3, .rude_peers = 1}, ClientTalkers(world, echo));
//   world.RunUntil("the talk", [&] { return guests.done(); }, absl::Minutes(10));

#ifndef MILLRACE_TESTS_SIM_GUESTS_H_
#define MILLRACE_TESTS_SIM_GUESTS_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "net/event_loop.h"
#include "net/timer_wheel.h"
#include "tests/sim/hosts.h"
#include "tests/sim/rude_peer.h"
#include "tests/sim/world.h"

namespace millrace {

// Acts so many times on a loop, after a random pause each.
class Director {
 public:
  Director(World& world, EventLoop& loop, int times, absl::Duration longest_pause,
           absl::AnyInvocable<void()> act);

  bool done() const { return left_ == 0; }

 private:
  void ArmIfLeft();

  World& world_;
  const absl::Duration longest_pause_;
  absl::AnyInvocable<void()> act_;
  int left_;
  Timer timer_;
};

class Guests {
 public:
  struct Options {
    int clients = 1;
    int rude_peers = 0;
    bool echo = true;
    bool reconnect = false;
  };

  Guests(World& world, Options options);
  ~Guests() { Destroy(); }

  // All have come, and what their clients had to do is done.
  bool done() const;
  const std::vector<ClientHost*>& clients() const { return clients_; }
  void Destroy();

  // Where nothing goes wrong, everything arrives: both ends of each client's connection ended in
  // order, and all that was sent was received.
  static void CheckComplete(World& world);

 private:
  void NextComes();

  World& world_;
  const Options options_;
  std::vector<ClientHost*> clients_;  // The world's.
  std::vector<std::unique_ptr<RudePeer>> peers_;
  Director director_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SIM_GUESTS_H_
