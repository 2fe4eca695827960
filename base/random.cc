// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include <bit>
#include <cstdint>

#include "absl/log/check.h"
#include "absl/numeric/int128.h"
#include "absl/time/time.h"

namespace millrace {
namespace {

// SplitMix64: spreads a seed over the state, whose authors want it neither zero nor sparse.
uint64_t NextOfSeed(uint64_t& seed) {
  seed += 0x9e3779b97f4a7c15;
  uint64_t z = seed;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) word = NextOfSeed(seed);
}

Random Random::FromEntropy() {
  uint64_t seed;
  ssize_t bytes;
  do {
    bytes = getrandom(&seed, sizeof(seed), 0);
  } while (bytes < 0 && errno == EINTR);
  PCHECK(bytes == sizeof(seed)) << "getrandom";  // So few bytes never come in part.
  return Random(seed);
}

uint64_t Random::Next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

// Lemire's way: the high half of Next() * n is below n. 2^64 products fall on n results, so
// 2^64 mod n of them are too many, and are those with the lowest low halves: they are drawn again.
uint64_t Random::Below(uint64_t n) {
  DCHECK_GT(n, uint64_t{0});
  absl::uint128 product = absl::uint128(Next()) * n;
  if (absl::Uint128Low64(product) < n) {  // Rarely; so the division is rare too.
    const uint64_t excess = -n % n;
    while (absl::Uint128Low64(product) < excess) product = absl::uint128(Next()) * n;
  }
  return absl::Uint128High64(product);
}

double Random::Unit() {
  return static_cast<double>(Next() >> 11) * 0x1p-53;  // As many bits as a double has.
}

absl::Duration Random::Jitter(absl::Duration d, double fraction) {
  DCHECK(fraction >= 0 && fraction <= 1) << fraction;
  return d * (1 + fraction * (2 * Unit() - 1));
}

}  // namespace millrace
