// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/load_tally.h"

namespace millrace {

void LoadTally::AddError(absl::string_view kind, MonotonicTime now, absl::string_view reason) {
  live_.errors.Increment();
  ++errors_[std::string(kind)];
  if (!first_error_) first_error_ = {now, std::string(reason)};
}

}  // namespace millrace
