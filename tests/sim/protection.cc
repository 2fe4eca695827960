// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/protection.h"

#include "absl/time/time.h"

namespace millrace {
namespace {

constexpr uint64_t kKiB = 1024;

// Slow enough to be met by what clients send, fast enough to be done in some simulated seconds. A
// burst of a quantum at least: with less, late timers keep the rate from being reached.
RateLimit DrawRate(Random& random) {
  RateLimit limit = {.bytes_per_second = 2'000.0 * static_cast<double>(1 + random.Below(32))};
  if (random.Below(2) == 0) limit.burst_bytes = 4 * static_cast<int64_t>(kKiB << random.Below(4));
  return limit;
}

// In one direction, or both.
RateLimits DrawRates(Random& random) {
  RateLimits limits;
  const uint64_t directions = 1 + random.Below(3);
  if ((directions & 1) != 0) limits.read = DrawRate(random);
  if ((directions & 2) != 0) limits.write = DrawRate(random);
  return limits;
}

ProgressLimits DrawProgress(Random& random) {
  const auto time = [&random] { return absl::Milliseconds(20 << random.Below(8)); };
  ProgressLimits limits;
  if (random.Below(2) == 0) limits.first_byte_timeout = time();
  if (random.Below(2) == 0) limits.message_timeout = time();
  if (random.Below(2) == 0) limits.bytes_per_second_min = uint64_t{10} << random.Below(8);
  limits.rate_grace = time();
  return limits;
}

}  // namespace

Protection Protection::Draw(Random& random, bool harmless, double chance) {
  Protection drawn;
  if (random.Unit() < chance) drawn.rates.each = DrawRates(random);
  if (random.Unit() < chance) {
    drawn.rates.all = DrawRates(random);
    drawn.group = RateLimitGroup::Create(drawn.rates.all).value();
  }
  if (!harmless && random.Unit() < chance) drawn.progress = DrawProgress(random);
  if (!harmless && random.Unit() < chance) {
    drawn.report_bytes = uint64_t{1} << random.Below(13);
    drawn.budget = MemoryBudget::Create({.limit_bytes = 8 * kKiB << random.Below(4),
                                         .report_bytes = drawn.report_bytes})
                       .value();
  }
  return drawn;
}

void Protection::ApplyTo(ConnectionLimits& limits) const {
  limits.rate = rates.each;
  limits.rate_group = group;
  limits.progress = progress;
}

void Protection::Count(Tally& tally) const {
  const auto count = [&tally](const char* what, uint64_t n) {
    if (n > 0) tally.Count(what, static_cast<int64_t>(n));
  };
  if (group) {
    const RateLimitGroup::Stats stats = group->stats();
    count("pauses for a group's rate", stats.read_pauses + stats.write_pauses);
  }
  if (!budget) return;
  const MemoryBudget::Stats stats = budget->stats();
  count("budget: stopped", stats.stops);
  count("budget: let go on", stats.resumes);
  count("budget: closed", stats.closes);
}

}  // namespace millrace
