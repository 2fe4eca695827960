// SPDX-License-Identifier: Apache-2.0
#include "net/peer_counts.h"

#include <limits>

#include "absl/hash/hash.h"
#include "absl/log/check.h"

namespace millrace {

// The hash is salted, so nobody can choose addresses that all fall into one part. The upper bits:
// the map itself goes by the lower ones.
const PeerCounts::Part& PeerCounts::PartOf(const AddressPrefix& peer) const {
  constexpr int kBits = std::numeric_limits<size_t>::digits;
  return parts_[absl::HashOf(peer) >> (kBits - kPartsLog2)];
}

bool PeerCounts::Enter(const AddressPrefix& peer, int max) {
  Part& part = PartOf(peer);
  absl::MutexLock lock(&part.mutex);
  const auto found = part.counts.find(peer);
  if (found != part.counts.end()) {
    if (found->second >= max) return false;
    ++found->second;
    return true;
  }
  if (max < 1) return false;
  part.counts.emplace(peer, 1);
  return true;
}

void PeerCounts::Leave(const AddressPrefix& peer) {
  Part& part = PartOf(peer);
  absl::MutexLock lock(&part.mutex);
  const auto found = part.counts.find(peer);
  CHECK(found != part.counts.end()) << peer << " left, and had not entered";
  if (--found->second == 0) part.counts.erase(found);
}

int PeerCounts::count(const AddressPrefix& peer) const {
  const Part& part = PartOf(peer);
  absl::MutexLock lock(&part.mutex);
  const auto found = part.counts.find(peer);
  return found == part.counts.end() ? 0 : found->second;
}

size_t PeerCounts::size() const {
  size_t size = 0;
  for (const Part& part : parts_) {
    absl::MutexLock lock(&part.mutex);
    size += part.counts.size();
  }
  return size;
}

}  // namespace millrace
