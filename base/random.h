// SPDX-License-Identifier: Apache-2.0
//
// Random makes numbers for jitter, sampling and simulation: 32 bytes of state, about a nanosecond
// each. The same seed gives the same numbers on every machine and in every release, so a failing
// simulation is repeated by its seed. Not for secrets: whoever sees a few numbers can tell the
// next. Each owner has its own; not synchronised.
//
//   Random random = Random::FromEntropy();
//   retry_timer_.Arm(random.Jitter(backoff, 0.2));   // A crowd that failed at once returns spread
//   out.

#ifndef MILLRACE_BASE_RANDOM_H_
#define MILLRACE_BASE_RANDOM_H_

#include <array>
#include <cstdint>

#include "absl/time/time.h"

namespace millrace {

// xoshiro256**, by David Blackman and Sebastiano Vigna: it passes the known statistical tests, and
// its period of 2^256 - 1 outlives everything.
class Random {
 public:
  // Every seed is a good one.
  explicit Random(uint64_t seed);

  // Seeded by the kernel, see getrandom(2): different each time.
  static Random FromEntropy();

  // Uniform in [0, 2^64).
  uint64_t Next();

  // Uniform in [0, n), without the slight preference for small numbers that Next() % n has.
  // Requires: n > 0.
  uint64_t Below(uint64_t n);

  // Uniform in [0, 1).
  double Unit();

  // Uniform in [d * (1 - fraction), d * (1 + fraction)]. Requires: 0 <= fraction <= 1.
  absl::Duration Jitter(absl::Duration d, double fraction);

 private:
  std::array<uint64_t, 4> state_;
};

}  // namespace millrace

#endif  // MILLRACE_BASE_RANDOM_H_
