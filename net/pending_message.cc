// SPDX-License-Identifier: Apache-2.0
#include "net/pending_message.h"

#include <algorithm>

#include "absl/log/check.h"
#include "net/limits.h"

namespace millrace {
namespace {

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;
// Some 30 years, with which no sum below overflows: as good as for ever.
constexpr uint64_t kSecondsMax = 1'000'000'000;
static_assert(kMinimumRateMax <= UINT64_MAX / kNanosecondsPerSecond);

}  // namespace

MonotonicTime PendingMessage::RateDeadline(uint32_t grace_ms, uint64_t bytes_per_second) const {
  DCHECK(bytes_per_second >= 1 && bytes_per_second <= kMinimumRateMax);
  const uint64_t seconds = std::min(bytes_ / bytes_per_second, kSecondsMax);
  const uint64_t rest = bytes_ % bytes_per_second * kNanosecondsPerSecond / bytes_per_second;
  const uint64_t allowed = seconds * kNanosecondsPerSecond + rest + uint64_t{grace_ms} * 1'000'000;
  return MonotonicTime::FromNanoseconds(since_.nanoseconds() + static_cast<int64_t>(allowed));
}

}  // namespace millrace
