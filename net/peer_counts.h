// SPDX-License-Identifier: Apache-2.0
//
// PeerCounts counts how many connections each peer has, over all loops, and holds each to a bound.
// A peer has an entry while it has connections, so there are never more entries than connections.
// Any thread; a short lock for each call.
//
//   if (!counts.Enter(peer, max)) Refuse();
//   ...
//   counts.Leave(peer);

#ifndef MILLRACE_NET_PEER_COUNTS_H_
#define MILLRACE_NET_PEER_COUNTS_H_

#include <array>
#include <cstddef>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "net/address_prefix.h"

namespace millrace {

class PeerCounts {
 public:
  // One more. False if it has `max` already: then nothing changes.
  bool Enter(const AddressPrefix& peer, int max);
  // Requires: it has entered.
  void Leave(const AddressPrefix& peer);

  int count(const AddressPrefix& peer) const;
  // Peers that have connections.
  size_t size() const;

 private:
  // By the hash, so that loops that accept at once seldom wait for each other.
  static constexpr int kPartsLog2 = 3;
  struct Part {
    mutable absl::Mutex mutex;
    absl::flat_hash_map<AddressPrefix, int> counts ABSL_GUARDED_BY(mutex);
  };

  const Part& PartOf(const AddressPrefix& peer) const;
  Part& PartOf(const AddressPrefix& peer) {
    return const_cast<Part&>(static_cast<const PeerCounts&>(*this).PartOf(peer));
  }

  std::array<Part, 1 << kPartsLog2> parts_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_PEER_COUNTS_H_
