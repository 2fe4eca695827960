// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/guests.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace millrace {

Director::Director(World& world, EventLoop& loop, int times, absl::Duration longest_pause,
                   absl::AnyInvocable<void()> act)
    : world_(world),
      longest_pause_(longest_pause),
      act_(std::move(act)),
      left_(times),
      timer_(loop.timers(), [this] {
        --left_;
        ArmIfLeft();
        act_();
      }) {
  ArmIfLeft();
}

void Director::ArmIfLeft() {
  if (left_ > 0) timer_.Arm(world_.Within(longest_pause_));
}

Guests::Guests(World& world, Options options)
    : world_(world),
      options_(options),
      director_(world, world.sim().client(), options.clients + options.rude_peers,
                absl::Milliseconds(20), [this] { NextComes(); }) {}

void Guests::NextComes() {
  const int left = options_.clients - static_cast<int>(clients_.size());
  const int rude = options_.rude_peers - static_cast<int>(peers_.size());
  if (static_cast<int>(world_.Below(left + rude)) < rude) {
    const auto kind = static_cast<RudePeer::Kind>(world_.Below(RudePeer::kKinds));
    peers_.push_back(std::make_unique<RudePeer>(world_, kind, options_.echo));
    return;
  }
  clients_.push_back(&world_.Keep(std::make_unique<ClientHost>(
      world_, ClientTalkers(world_, options_.echo), options_.reconnect)));
  clients_.back()->Connect();
}

bool Guests::done() const {
  return director_.done() && std::all_of(clients_.begin(), clients_.end(),
                                         [](const ClientHost* client) { return client->done(); });
}

void Guests::Destroy() {
  peers_.clear();
  for (ClientHost* client : clients_) client->Destroy();
}

void Guests::CheckComplete(World& world) {
  for (const auto& [address, line] : world.lines()) {
    if (!line.client.closed) continue;  // A rude peer, or one that gave up too early.
    world.Expect(line.client.why.ok() && line.server.closed && line.server.why.ok(),
                 absl::StrCat("harmless, but closed for ", line.client.why.ToString(), " and ",
                              line.server.why.ToString()));
    world.Expect(line.client.received == line.server.sent, "harmless, and bytes are lost");
    world.Expect(line.server.received == line.client.sent, "harmless, and bytes are lost");
  }
}

}  // namespace millrace
