// SPDX-License-Identifier: Apache-2.0
#include "net/progress_limits.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace millrace {

absl::StatusOr<ProgressLimits> ProgressLimits::ByName(absl::string_view name) {
  if (name == "off") return Off();
  if (name == "lenient") return Lenient();
  if (name == "strict") return Strict();
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name, "\" is none of off, lenient and strict"));
}

absl::Status ProgressLimits::Check() const {
  const std::pair<absl::string_view, absl::Duration> durations[] = {
      {"first_byte_timeout", first_byte_timeout},
      {"message_timeout", message_timeout},
      {"rate_grace", rate_grace},
  };
  for (const auto& [name, duration] : durations) {
    if (duration < absl::Milliseconds(1)) {
      return absl::InvalidArgumentError(absl::StrCat(name, " must be 1ms or more"));
    }
  }
  if (bytes_per_second_min > kMinimumRateMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("bytes_per_second_min must be at most ", kMinimumRateMax));
  }
  return absl::OkStatus();
}

}  // namespace millrace
