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

absl::Status OnlyFor(absl::string_view modes, absl::string_view name, LoadMode mode) {
  return absl::InvalidArgumentError(
      absl::StrCat(name, " is for ", modes, " only, not for ", LoadModeName(mode)));
}

// What a mode has no use for would be ignored, and believed to be measured.
absl::Status CheckMode(const LoadOptions& options) {
  const LoadMode mode = options.mode;
  if (mode == LoadMode::kEcho) return absl::OkStatus();
  if (options.rate > 0) return OnlyFor("mode echo", "rate", mode);
  if (options.pipeline > 1) return OnlyFor("mode echo", "pipeline", mode);
  if (options.framed && mode == LoadMode::kIdle) {
    return OnlyFor("modes echo and churn", "framed", mode);
  }
  return absl::OkStatus();
}

absl::Status CheckTimes(const LoadOptions& options) {
  if (options.duration <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("duration must be more than 0");
  }
  if (options.warmup < absl::ZeroDuration() || options.warmup == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError("warmup must be 0 or more, and have an end");
  }
  return absl::OkStatus();
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
  }
  status.Update(CheckMode(*this));
  status.Update(CheckTimes(*this));
  return status;
}

}  // namespace millrace
