// SPDX-License-Identifier: Apache-2.0
#include "net/admission.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/limits.h"

namespace millrace {
namespace {

absl::Status OutOfBounds(absl::string_view field, double value) {
  return absl::InvalidArgumentError(absl::StrCat(field, " is out of bounds: ", value));
}

int PerPeerMax(const AdmissionOptions& options, int connections_max) {
  if (options.connections_per_peer_max > 0) return options.connections_per_peer_max;
  return std::max(connections_max / kPeerConnectionsPart, 1);
}

int64_t BurstOf(const AdmissionOptions& options) {
  if (options.accept_burst > 0) return options.accept_burst;
  constexpr double kMost = std::numeric_limits<int>::max();
  return static_cast<int64_t>(std::clamp(std::ceil(options.accepts_per_second), 1.0, kMost));
}

// What comes in kAcceptRateRest, but no more than half of the burst: a longer rest would let tokens
// pass that nobody takes.
int64_t RefillOf(double per_second, int64_t burst) {
  const double in_a_rest = per_second * absl::ToDoubleSeconds(kAcceptRateRest);
  const int64_t most = std::max<int64_t>(burst / 2, 1);
  return in_a_rest >= static_cast<double>(most) ? most
                                                : std::max<int64_t>(std::llround(in_a_rest), 1);
}

}  // namespace

absl::Status AdmissionOptions::Check() const {
  if (connections_per_listener_max < 0) {
    return OutOfBounds("connections_per_listener_max", connections_per_listener_max);
  }
  if (connections_per_peer_max < 0) {
    return OutOfBounds("connections_per_peer_max", connections_per_peer_max);
  }
  if (peer_ipv4_bits < 0 || peer_ipv4_bits > AddressPrefix::kIpv4BitsMax) {
    return OutOfBounds("peer_ipv4_bits", peer_ipv4_bits);
  }
  if (peer_ipv6_bits < 0 || peer_ipv6_bits > AddressPrefix::kIpv6BitsMax) {
    return OutOfBounds("peer_ipv6_bits", peer_ipv6_bits);
  }
  const bool rate_is_off = accepts_per_second == 0;
  const bool rate_fits = accepts_per_second >= TokenRate::kPerSecondMin &&
                         accepts_per_second <= TokenRate::kPerSecondMax;
  if (!rate_is_off && !rate_fits) return OutOfBounds("accepts_per_second", accepts_per_second);
  if (accept_burst < 0) return OutOfBounds("accept_burst", accept_burst);
  return absl::OkStatus();
}

Admission::Admission(AdmissionOptions options, int connections_max, size_t listeners)
    : options_(std::move(options)),
      per_peer_max_(PerPeerMax(options_, connections_max)),
      counts_peers_(per_peer_max_ < connections_max),
      places_(connections_max) {
  CHECK_GE(connections_max, 1);
  if (options_.connections_per_listener_max > 0) {
    for (size_t i = 0; i < listeners; ++i) {
      listener_places_.emplace_back(options_.connections_per_listener_max);
    }
  }
  if (options_.accepts_per_second == 0) return;
  const int64_t burst = BurstOf(options_);
  rate_.emplace(options_.accepts_per_second, burst);
  refill_ = RefillOf(options_.accepts_per_second, burst);
}

Admission::Hold Admission::HoldsBack(uint16_t listener, MonotonicTime now) {
  if (ending_.load(std::memory_order_relaxed)) return Hold::kEnding;
  if (places_.full() && places_.WaitForRoom()) return Hold::kFull;
  if (!listener_places_.empty()) {
    Places& places = listener_places_[listener];
    if (places.full() && places.WaitForRoom()) return Hold::kListenerFull;
  }
  return rate_ && rate_->Available(now) < 1 ? Hold::kRate : Hold::kNone;
}

bool Admission::IsDenied(const SocketAddress& peer) const {
  if (options_.deny.empty() && options_.allow.empty()) return false;
  if (peer.is_unix()) return false;
  if (AnyContains(options_.deny, peer)) return true;
  return !options_.allow.empty() && !AnyContains(options_.allow, peer);
}

// By default a proxy, or a load test, on this machine is not taken for one greedy peer.
bool Admission::IsCounted(const SocketAddress& peer) const {
  return counts_peers_ && (options_.connections_per_peer_max > 0 || !IsLocalPeer(peer));
}

Admission::Entry Admission::Enter(const SocketAddress& peer, uint16_t listener, MonotonicTime now) {
  if (IsDenied(peer)) return {Refusal::kDenied};
  const bool counted = IsCounted(peer);
  if (counted && !peers_.Enter(PeerOf(peer), per_peer_max_)) return {Refusal::kPeerFull};
  Room room;
  bool entered = places_.Take();
  if (entered && !listener_places_.empty() && !listener_places_[listener].Take()) {
    room.at_server = places_.GiveBack();
    entered = false;
  }
  // Those who are refused take no token: a flood of them is not to keep the others waiting.
  if (entered && rate_) rate_->Take(1, now);
  if (!entered && counted) peers_.Leave(PeerOf(peer));
  return {entered ? Refusal::kNone : Refusal::kFull, room};
}

Admission::Room Admission::Leave(const SocketAddress& peer, uint16_t listener) {
  if (IsCounted(peer)) peers_.Leave(PeerOf(peer));
  Room room = {.listener = listener};
  room.at_listener = !listener_places_.empty() && listener_places_[listener].GiveBack();
  room.at_server = places_.GiveBack();
  return room;
}

std::string Admission::Explain(Refusal refusal, const SocketAddress& peer) const {
  switch (refusal) {
    case Refusal::kNone:
      return "not at all";
    case Refusal::kPeerFull:
      return absl::StrCat(PeerOf(peer), " has ", per_peer_max_, " (connections_per_peer_max)");
    case Refusal::kFull:
      return "the last place was just taken, or the server ends";
    case Refusal::kDenied:
      break;
  }
  for (const AddressPrefix& prefix : options_.deny) {
    if (prefix.Contains(peer)) return absl::StrCat(prefix, " is denied");
  }
  return "it is not among those allowed";
}

std::string Admission::Explain(Hold hold) const {
  switch (hold) {
    case Hold::kNone:
      return "nothing";
    case Hold::kEnding:
      return "the end of the server";
    case Hold::kRate:
      return absl::StrCat("the rate of ", options_.accepts_per_second,
                          " a second (accepts_per_second)");
    case Hold::kFull:
      return absl::StrCat("the cap of ", places_.max(),
                          " is reached (connections_max); until the number is down to ",
                          places_.resume_at());
    case Hold::kListenerFull:
      break;
  }
  const Places& places = listener_places_.front();  // They have one bound.
  return absl::StrCat("its own cap of ", places.max(),
                      " is reached (connections_per_listener_max); until the number is down to ",
                      places.resume_at());
}

}  // namespace millrace
