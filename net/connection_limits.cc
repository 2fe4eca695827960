// SPDX-License-Identifier: Apache-2.0
#include "net/connection_limits.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace millrace {

absl::Status ConnectionLimits::Check() const {
  if (read_bytes_per_turn == 0 || read_bytes_per_turn > kReceiveBufferBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("read_bytes_per_turn must be 1 to ", kReceiveBufferBytes));
  }
  if (input_bytes_max == 0) return absl::InvalidArgumentError("input_bytes_max must not be 0");
  if (output_bytes_low > output_bytes_high || output_bytes_high > output_bytes_max) {
    return absl::InvalidArgumentError("output_bytes low, high and max must not fall");
  }
  const std::pair<const char*, absl::Duration> durations[] = {
      {"idle_timeout", idle_timeout},           {"read_timeout", read_timeout},
      {"write_timeout", write_timeout},         {"linger_timeout", linger_timeout},
      {"handshake_timeout", handshake_timeout},
  };
  for (const auto& [name, duration] : durations) {
    if (duration < absl::Milliseconds(1)) {
      return absl::InvalidArgumentError(absl::StrCat(name, " must be 1ms or more"));
    }
  }
  MILLRACE_RETURN_IF_ERROR(rate.Check());
  return progress.Check();
}

uint32_t ConnectionTimeouts::ToMilliseconds(absl::Duration timeout) {
  constexpr int64_t kMax = std::numeric_limits<uint32_t>::max();
  const int64_t ms = absl::ToInt64Milliseconds(absl::Ceil(timeout, absl::Milliseconds(1)));
  return ms > kMax ? 0 : static_cast<uint32_t>(std::max<int64_t>(ms, 1));
}

}  // namespace millrace
