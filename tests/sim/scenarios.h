// SPDX-License-Identifier: Apache-2.0
//
// The scenarios of the soak. Each runs one World from the first to the last connection; what it
// promises beyond what handlers and hosts check for themselves stands beside its source.
//
//   for (const Scenario& scenario : Scenarios()) scenario.run(world);

#ifndef MILLRACE_TESTS_SIM_SCENARIOS_H_
#define MILLRACE_TESTS_SIM_SCENARIOS_H_

#include "absl/types/span.h"
#include "tests/sim/world.h"

namespace millrace {

struct Scenario {
  const char* name;
  int weight;  // How often it is drawn, beside the others.
  void (*run)(World& world);
};

absl::Span<const Scenario> Scenarios();

void RunEcho(World& world);
void RunReconnect(World& world);
void RunDrain(World& world);
void RunChat(World& world);
void RunOverload(World& world);

}  // namespace millrace

#endif  // MILLRACE_TESTS_SIM_SCENARIOS_H_
