// SPDX-License-Identifier: Apache-2.0
#include "tests/support/noise.h"

#include <algorithm>
#include <cstring>

#include "base/random.h"

namespace millrace {

std::string Noise(uint64_t seed, size_t bytes) {
  Random random(seed);
  std::string noise(bytes, '\0');
  for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
    const uint64_t word = random.Next();
    memcpy(&noise[i], &word, std::min(sizeof(word), bytes - i));
  }
  return noise;
}

}  // namespace millrace
