// SPDX-License-Identifier: Apache-2.0
//
// Noise() makes the bytes that a test sends where one that is lost, doubled or another's must show.
//
//   const std::string noise = Noise(/*seed=*/1, /*bytes=*/100'000);

#ifndef MILLRACE_TESTS_SUPPORT_NOISE_H_
#define MILLRACE_TESTS_SUPPORT_NOISE_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace millrace {

// The same for the same `seed`, and random.
std::string Noise(uint64_t seed, size_t bytes);

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_NOISE_H_
