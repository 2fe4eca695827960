// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/scenarios.h"

#include <memory>
#include <optional>

#include "absl/time/time.h"
#include "tests/sim/clockwork.h"
#include "tests/sim/guests.h"
#include "tests/sim/hosts.h"

namespace millrace {
namespace {

constexpr Scenario kScenarios[] = {
    {"echo", 4, RunEcho},   {"chat", 4, RunChat},         {"reconnect", 4, RunReconnect},
    {"drain", 4, RunDrain}, {"overload", 1, RunOverload},
};

// What is left to do is bounded by the timeouts, all of them below six seconds, and by the bytes
// that there are to send; but a narrow window and a long delay take their time.
constexpr absl::Duration kLongEnough = absl::Minutes(30);

ServerHost& MakeServer(World& world, bool echo) {
  return world.Keep(std::make_unique<ServerHost>(world, ServerTalkers(world, echo)));
}

// In some worlds descriptors are few.
void LimitDescriptors(World& world) {
  if (world.harmless() || world.Below(5) > 0) return;
  SimNetwork& network = world.sim().network();
  network.set_descriptors_max(network.open_descriptors() + world.Below(8));
}

// Timers and posts of no meaning, in half of the worlds.
std::unique_ptr<Clockwork> MakeClockwork(World& world) {
  return world.Below(2) == 0 ? nullptr : std::make_unique<Clockwork>(world);
}

Guests::Options DrawGuests(World& world, bool echo, bool reconnect) {
  return {.clients = 1 + static_cast<int>(world.Below(4)),
          .rude_peers = static_cast<int>(world.Below(3)),
          .echo = echo,
          .reconnect = reconnect};
}

}  // namespace

absl::Span<const Scenario> Scenarios() { return kScenarios; }

// Clients talk to a server until each has had its say. Then all of it ends, in any order.
void RunEcho(World& world) {
  const bool echo = world.Below(3) > 0;
  ServerHost& server = MakeServer(world, echo);
  if (!server.Start()) return;
  LimitDescriptors(world);
  const std::unique_ptr<Clockwork> clockwork = MakeClockwork(world);
  Guests guests(world, DrawGuests(world, echo, /*reconnect=*/false));
  const bool too_early = !world.harmless() && world.Below(4) == 0;
  if (too_early) {
    world.sim().RunFor(world.Within(absl::Milliseconds(200)));
  } else {
    world.RunUntil(
        "the talk", [&] { return guests.done(); }, kLongEnough);
    // The server's end may hear of it later.
    world.sim().RunFor(absl::Seconds(1));
    if (world.harmless()) Guests::CheckComplete(world);
  }
  if (world.Below(2) == 0) guests.Destroy();
  if (world.Below(2) == 0) world.sim().RunFor(world.Within(absl::Milliseconds(50)));
  server.Destroy();
}

// The server ends and begins again while clients want to stay connected. In the end the network is
// calm and the server there: then every client finds it.
void RunReconnect(World& world) {
  const bool echo = world.Below(3) > 0;
  ServerHost* server = &MakeServer(world, echo);
  if (!server->Start()) return;
  LimitDescriptors(world);
  const std::unique_ptr<Clockwork> clockwork = MakeClockwork(world);
  Guests guests(world, DrawGuests(world, echo, /*reconnect=*/true));
  const auto restart = [&] {
    server->Destroy();
    server = &MakeServer(world, echo);
    server->Start();
  };
  {
    Director director(world, world.sim().main(), 1 + static_cast<int>(world.Below(4)),
                      absl::Milliseconds(500), restart);
    world.RunUntil(
        "the restarts", [&] { return director.done(); }, kLongEnough);
    world.sim().RunFor(absl::Milliseconds(50));  // Until all guests have come.
  }
  world.CalmDown();
  std::vector<int64_t> before;
  for (const ClientHost* client : guests.clients()) before.push_back(client->opened);
  const auto all_are_back = [&] {
    if (!server->running()) restart();  // A handler has destroyed it.
    for (size_t i = 0; i < before.size(); ++i) {
      const ClientHost& client = *guests.clients()[i];
      if (client.running() && client.opened == before[i]) return false;
    }
    return true;
  };
  world.RunUntil("finding the server again", all_are_back, kLongEnough);
  guests.Destroy();
  server->Destroy();
}

// Servers drain while clients talk, each into the next one's time: with one grace or several, told
// from one loop or another, and some are destroyed before they are done.
void RunDrain(World& world) {
  const bool echo = world.Below(3) > 0;
  const std::unique_ptr<Clockwork> clockwork = MakeClockwork(world);
  ServerHost* server = nullptr;
  std::optional<Guests> guests;
  for (uint64_t servers = 1 + world.Below(3); servers > 0; --servers) {
    server = &MakeServer(world, echo);
    if (!server->Start()) break;
    if (!guests) guests.emplace(world, DrawGuests(world, echo, world.Below(2) == 0));
    const auto drain = [&] {
      if (server->running()) server->Drain(world.Within(absl::Milliseconds(1 << world.Below(11))));
    };
    EventLoop& caller = world.Below(2) == 0 ? world.sim().main() : world.sim().client();
    Director director(world, caller, 1 + static_cast<int>(world.Below(3)), absl::Milliseconds(200),
                      drain);
    const bool ends_early = world.Below(3) == 0;
    const auto done = [&] { return director.done() && (ends_early || server->drained()); };
    world.RunUntil("the drain", done, absl::Minutes(1));
    // Its handlers may have a long turn, and its destruction comes any time.
    if (world.Below(2) == 0) world.sim().RunFor(world.Within(absl::Milliseconds(100)));
    server->Destroy();
  }
  guests.reset();
}

}  // namespace millrace
