// SPDX-License-Identifier: Apache-2.0
//
// ForEachSeed() runs a GoogleTest story in many simulated worlds, and tells which one failed and
// how to see it again. From a test, on its thread.
//
//   TEST(ChatTest, EverybodyHearsEverything) {
//     ForEachSeed(100, [](uint64_t seed) {
//       Simulation sim(SimOptions(seed));
//       ...
//       EXPECT_EQ(bob.ReadLine(), "[lobby] alice: hello\n");
//     });
//   }
//
// Environment: MILLRACE_SEED runs that one seed alone, and traces it with MILLRACE_TRACE=1;
// MILLRACE_SEEDS replaces the count.

#ifndef MILLRACE_NET_SIM_FOR_EACH_SEED_H_
#define MILLRACE_NET_SIM_FOR_EACH_SEED_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "net/sim/simulation.h"

namespace millrace {

// Seeds 1 to `count`, until one fails. One that kills the process is named on stderr as well.
void ForEachSeed(int count, absl::FunctionRef<void(uint64_t seed)> test);

// Of a world drawn from the seed, rough as SimFaults::Draw() makes it, or harmless.
Simulation::Options RoughWorld(uint64_t seed);
Simulation::Options HarmlessWorld(uint64_t seed);

}  // namespace millrace

#endif  // MILLRACE_NET_SIM_FOR_EACH_SEED_H_
