// SPDX-License-Identifier: Apache-2.0
//
// The overload scenario: a server that protects itself, and peers who never read, stop halfway,
// dribble and burst, beside clients that do no worse than elsewhere. Once the network is calm, who
// has work reaches the rate that is left to him.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "net/connection_limits.h"
#include "net/limits.h"
#include "net/rate_limit.h"
#include "tests/sim/clerk.h"
#include "tests/sim/guests.h"
#include "tests/sim/hosts.h"
#include "tests/sim/pace.h"
#include "tests/sim/protection.h"
#include "tests/sim/rude_peer.h"
#include "tests/sim/scenarios.h"
#include "tests/sim/world.h"

namespace millrace {
namespace {

constexpr double kProtected = 0.6;
constexpr size_t kWindowLeast = 1024;
constexpr double kBytesToMeasure = 60'000;
constexpr absl::Duration kLongEnough = absl::Minutes(30);

// Those of progress, first: here no other timeout comes before them.
void DrawServerLimits(World& world, ConnectionLimits& limits) {
  limits.read_bytes_per_turn = std::max<size_t>(limits.read_bytes_per_turn, 256);
  limits.read_timeout = absl::InfiniteDuration();
  limits.idle_timeout = std::max<absl::Duration>(limits.idle_timeout, absl::Seconds(1));
  limits.write_timeout = std::max<absl::Duration>(limits.write_timeout, absl::Seconds(1));
  limits.input_bytes_max = kInputBytesMax;
  limits.output_bytes_max = kOutputBytesMax;
  limits.output_bytes_high = limits.output_bytes_low + (world.Below(2) == 0 ? 0 : 60'000);
}

void Pass(World& world, Office& office, const ServerHost& server, absl::Duration time) {
  const MonotonicTime end = world.sim().now() + time;
  world.RunUntil(
      "a while", [&] { return office.Check(server) && world.sim().now() >= end; }, time + time);
}

// What so many may do together, each second.
double RateOf(const Pace::Rules& rules, bool read, int connections) {
  const RateLimit& each = read ? rules.each.read : rules.each.write;
  const RateLimit& all = read ? rules.all.read : rules.all.write;
  const double sum = each.bytes_per_second * connections;
  if (!each.on()) return all.bytes_per_second;
  return all.on() ? std::min(sum, all.bytes_per_second) : sum;
}

// For as long as it takes some quanta to come. Each may wait for one, and timers are late.
void Measure(World& world, Office& office, ServerHost& server, bool read, int connections) {
  const double rate = RateOf(world.protection().rates, read, connections);
  const double seconds = std::max(1.0, kBytesToMeasure / rate);
  const uint64_t before = world.pace()->bytes(read);
  Pass(world, office, server, absl::Seconds(seconds));
  const auto bytes = static_cast<double>(world.pace()->bytes(read) - before);
  const double due = 0.9 * rate * seconds - kRateQuantumBytes * (connections + 1);
  world.Expect(bytes >= due, absl::StrCat("who has work does not reach the rate: ", bytes,
                                          " bytes, and ", due, " were due"));
  world.tally().Count(read ? "rates reached, reading" : "rates reached, writing");
}

// Peers who send without end, to a server that takes all, or sends without end itself.
void CheckRateIsReached(World& world, Office& office, ServerHost& server) {
  const Pace::Rules& rules = world.protection().rates;
  const bool reading = rules.each.read.on() || rules.all.read.on();
  const bool writing = rules.each.write.on() || rules.all.write.on();
  if (!reading && !writing) return;
  const bool read = reading && (!writing || world.Below(2) == 0);
  // Who sends without end may be closed for that, or stopped.
  if (!read && world.protection().budget) return;
  office.set_work(read ? Office::Work::kTake : Office::Work::kSend);
  // Who has less in the kernel than he is let read at a time has not always work.
  world.WidenWindows(4 * kRateQuantumBytes);
  world.CalmDown();
  const int before = office.open();
  std::vector<std::unique_ptr<RudePeer>> peers;
  for (uint64_t n = 1 + world.Below(3); n > 0; --n) {
    peers.push_back(std::make_unique<RudePeer>(world, RudePeer::Kind::kFloods, /*echo=*/false));
  }
  Pass(world, office, server, absl::Seconds(3));
  const int came = office.open() - before;
  // None, where the server is full of those who vanished.
  if (came > 0) Measure(world, office, server, read, came);
}

}  // namespace

void RunOverload(World& world) {
  world.Protect(Protection::Draw(world.random(), world.harmless(), kProtected));
  world.WidenWindows(kWindowLeast);
  DrawServerLimits(world, world.mutable_limits());
  Office office(world);
  ServerHost& server = world.Keep(std::make_unique<ServerHost>(world, office.Clerks()));
  if (!server.Start()) return;
  {
    Guests guests(world, {.clients = 1 + static_cast<int>(world.Below(3)),
                          .rude_peers = 1 + static_cast<int>(world.Below(6)),
                          .echo = false});
    world.RunUntil(
        "the rush", [&] { return office.Check(server) && guests.done(); }, kLongEnough);
    Pass(world, office, server, absl::Seconds(1));
    if (world.harmless()) Guests::CheckComplete(world);
    world.CalmDown();
    Pass(world, office, server, absl::Seconds(3));
  }
  Pass(world, office, server, absl::Seconds(1));
  CheckRateIsReached(world, office, server);
  server.Destroy();
  world.sim().RunFor(absl::Milliseconds(500));  // The last handlers still know the office.
}

}  // namespace millrace
