// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/load_tally.h"

namespace millrace {

void LoadTally::AddError(absl::string_view kind, MonotonicTime now, absl::string_view reason) {
  live_.errors.Increment();
  errors_.Add(kind, now, reason);
}

}  // namespace millrace
