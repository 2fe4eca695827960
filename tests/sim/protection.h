// SPDX-License-Identifier: Apache-2.0
//
// Protection is what the servers of a World have against overload: rate limits for each connection
// and for all, limits of progress, and a small memory budget of their own. A value; servers of one
// world share its group and its budget.
//
//   const Protection protection = Protection::Draw(random, /*harmless=*/false, 0.5);

#ifndef MILLRACE_TESTS_SIM_PROTECTION_H_
#define MILLRACE_TESTS_SIM_PROTECTION_H_

#include <cstdint>

#include "base/random.h"
#include "base/ref.h"
#include "net/connection_limits.h"
#include "net/memory_budget.h"
#include "net/progress_limits.h"
#include "net/rate_limit.h"
#include "tests/sim/pace.h"
#include "tests/sim/tally.h"

namespace millrace {

struct Protection {
  Pace::Rules rates = {};
  Ref<RateLimitGroup> group = {};  // If there are rates for all.
  ProgressLimits progress = {};
  Ref<MemoryBudget> budget = {};  // Without one, the process's is used.
  uint64_t report_bytes = 0;      // Of the budget: by how much a loop may be wrong.

  // Each is on with this chance. In a harmless world only what ends no connection is.
  static Protection Draw(Random& random, bool harmless, double chance);

  void ApplyTo(ConnectionLimits& limits) const;
  // What they have done so far.
  void Count(Tally& tally) const;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SIM_PROTECTION_H_
