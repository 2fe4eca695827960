// SPDX-License-Identifier: Apache-2.0
//
// Admission decides who may connect to a server, and when its listeners wait. One for a server; the
// server owns it, and all its loops ask it. Any thread: counts are atomic, and only the count by
// peers takes a lock, while it is on.
//
//   if (admission.HoldsBack(listener, now) != Admission::Hold::kNone) Pause();     // Then nobody
//   ...                                                                            // is accepted.
//   const Admission::Entry entry = admission.Enter(peer, listener, now);
//   if (entry.refusal != Admission::Refusal::kNone) Reset(socket);                 // Nothing
//   taken.
//   ...
//   Tell(admission.Leave(peer, listener));                                         // At its end.
//
// There are two answers to too many. Where the server is full, or comes too fast, its listeners
// pause, and who comes waits in the kernel's backlog. Where one peer has too much, or is not
// welcome, it is refused at once, and nobody else has to wait for that.

#ifndef MILLRACE_NET_ADMISSION_H_
#define MILLRACE_NET_ADMISSION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/monotonic_time.h"
#include "base/token_bucket.h"
#include "net/address_prefix.h"
#include "net/peer_counts.h"
#include "net/places.h"
#include "net/socket_address.h"

namespace millrace {

struct AdmissionOptions {
  // Connections of one listener; at the cap it pauses, and others go on. 0: no cap of its own.
  int connections_per_listener_max = 0;
  // Connections of one peer; more are refused. 0: half of the server's, and peers of this machine,
  // say a proxy, are not counted. As many as the server's, or more: nobody is counted.
  int connections_per_peer_max = 0;
  // Who counts as one peer: those who share so many bits. All Unix peers are one.
  int peer_ipv4_bits = 32, peer_ipv6_bits = 64;
  // Accepted in a second by all loops together; above, listeners pause. 0: as fast as they come.
  double accepts_per_second = 0;
  int accept_burst = 0;  // So many at once. 0: what comes in a second.
  // By IP address; Unix peers are always let in. `deny` beats `allow`. If `allow` has any, who is
  // not in it is refused.
  std::vector<AddressPrefix> allow = {}, deny = {};

  // InvalidArgument that names the field, if it is out of bounds.
  absl::Status Check() const;
};

class Admission {
 public:
  // Why a listener pauses.
  enum class Hold : uint8_t { kNone, kEnding, kFull, kListenerFull, kRate };
  // Why a connection is refused. kFull: others took the last place in that moment.
  enum class Refusal : uint8_t { kNone, kDenied, kPeerFull, kFull };
  // There is room for those who wait: see AcceptorGroup::Resume().
  struct Room {
    bool at_server = false;
    bool at_listener = false;
    uint16_t listener = 0;
    bool any() const { return at_server || at_listener; }
  };
  struct Entry {
    Refusal refusal = Refusal::kNone;
    Room room = {};  // What was given back at once.
  };

  // Requires: options.Check() is OK, connections_max >= 1, listeners <= kServerListenersMax.
  Admission(AdmissionOptions options, int connections_max, size_t listeners);

  // Whether the listener is to pause, and why. If it is because of places, Leave() will tell.
  Hold HoldsBack(uint16_t listener, MonotonicTime now);
  // When to ask again after kRate.
  MonotonicTime RateHoldEnd(MonotonicTime now) const { return rate_->AvailableAt(refill_, now); }

  // Takes the places of one connection, unless it is refused.
  Entry Enter(const SocketAddress& peer, uint16_t listener, MonotonicTime now);
  // Gives them back. Once for each that entered. Who waits must be told of the room, if any.
  [[nodiscard]] Room Leave(const SocketAddress& peer, uint16_t listener);
  // From now on listeners are held back, for ever. Who was accepted in that very moment may enter:
  // another process may accept here from now on, and nobody is to notice.
  void End() { ending_.store(true, std::memory_order_relaxed); }

  // Connections that have entered and not left.
  int64_t open() const { return places_.taken(); }
  size_t peers_counted() const { return peers_.size(); }

  // For the log, and so not fast: who was refused and why, and why a listener waits.
  std::string Explain(Refusal refusal, const SocketAddress& peer) const;
  std::string Explain(Hold hold) const;

 private:
  bool IsDenied(const SocketAddress& peer) const;
  bool IsCounted(const SocketAddress& peer) const;
  AddressPrefix PeerOf(const SocketAddress& peer) const {
    return AddressPrefix::Of(peer, options_.peer_ipv4_bits, options_.peer_ipv6_bits);
  }

  const AdmissionOptions options_;
  const int per_peer_max_;
  const bool counts_peers_;
  Places places_;
  std::deque<Places> listener_places_;  // One for each, or none at all. Does not change.
  PeerCounts peers_;
  std::optional<SharedTokenBucket> rate_;
  int64_t refill_ = 0;  // Tokens to wait for.
  std::atomic<bool> ending_{false};
};

}  // namespace millrace

#endif  // MILLRACE_NET_ADMISSION_H_
