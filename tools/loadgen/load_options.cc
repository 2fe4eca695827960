// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/load_options.h"

#include "absl/strings/str_cat.h"
#include "tools/loadgen/pattern.h"

namespace millrace {
namespace {

constexpr LoadMode kModes[] = {LoadMode::kEcho, LoadMode::kChurn, LoadMode::kIdle};

absl::Status CheckRange(absl::string_view name, int value, int max) {
  if (value >= 1 && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " must be 1 to ", max, ", not ", value));
}

}  // namespace

absl::string_view LoadModeName(LoadMode mode) {
  switch (mode) {
    case LoadMode::kEcho:
      return "echo";
    case LoadMode::kChurn:
      return "churn";
    case LoadMode::kIdle:
      return "idle";
  }
  return "?";
}

absl::StatusOr<LoadMode> LoadModeNamed(absl::string_view name) {
  for (const LoadMode mode : kModes) {
    if (LoadModeName(mode) == name) return mode;
  }
  return absl::InvalidArgumentError("must be echo, churn or idle");
}

absl::Status LoadOptions::Check() const {
  if (addresses.empty()) return absl::InvalidArgumentError("there is no address to connect to");
  for (const SocketAddress& address : addresses) {
    if (!address.is_any()) continue;
    return absl::InvalidArgumentError(absl::StrCat(address, " is not one address to connect to"));
  }
  if (threads < 0) return absl::InvalidArgumentError("threads must not be negative");
  absl::Status status = CheckRange("connections", connections, 10'000'000);
  status.Update(CheckRange("message_bytes", message_bytes, kMessageBytesMax));
  if (framed && message_bytes < static_cast<int>(Pattern::kPrefixBytes)) {
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("a framed message has ", Pattern::kPrefixBytes,
                     " bytes of length: message_bytes must be that or more, not ", message_bytes)));
  }
  status.Update(CheckRange("pipeline", pipeline, kPipelineMax));
  if (status.ok() && bytes_in_flight_max() > kBytesInFlightMax) {
    status = absl::InvalidArgumentError(
        absl::StrCat("message_bytes times pipeline must not be more than ", kBytesInFlightMax));
  }
  if (rate < 0 || rate > kRateMax) {
    status.Update(
        absl::InvalidArgumentError(absl::StrCat("rate must be 0 to ", kRateMax, ", not ", rate)));
  } else if (rate > 0 && mode != LoadMode::kEcho) {
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("rate is for mode echo only, not for ", LoadModeName(mode))));
  }
  if (status.ok() && duration <= absl::ZeroDuration()) {
    status = absl::InvalidArgumentError("duration must be more than 0");
  }
  return status;
}

}  // namespace millrace
