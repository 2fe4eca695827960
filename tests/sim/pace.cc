// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/pace.h"

#include <algorithm>

#include "absl/time/time.h"
#include "net/limits.h"

namespace millrace {

bool Pace::Level::Add(const RateLimit& limit, size_t n, double on_top, MonotonicTime now) {
  if (!limit.on()) return true;
  const double run_out = limit.bytes_per_second * absl::ToDoubleSeconds(now - at);
  bytes = std::max(bytes - run_out, 0.0) + static_cast<double>(n);
  at = now;
  // Whole bytes come in, so one may be there sooner than its share of it; and fractions are
  // rounded.
  return bytes <= static_cast<double>(limit.burst()) + on_top + 1.001;
}

void Pace::OnTransfer(const SimNetwork::Transfer& transfer, MonotonicTime now,
                      absl::FunctionRef<void(absl::string_view)> broken) {
  Line& line = lines_[transfer.peer.ToString()];
  if (transfer.reads && line.left) return;
  const RateLimit& each = transfer.reads ? rules_.each.read : rules_.each.write;
  const RateLimit& all = transfer.reads ? rules_.all.read : rules_.all.write;
  Level& own = transfer.reads ? line.read : line.written;
  Level& sum = transfer.reads ? all_read_ : all_written_;
  (transfer.reads ? bytes_read_ : bytes_written_) += transfer.bytes;
  if (!own.Add(each, transfer.bytes, 0, now)) broken("a connection is faster than its rate");
  // A quantum that is reserved for a member and not yet used comes on top.
  const auto quantum = static_cast<double>(std::min<int64_t>(kRateQuantumBytes, all.burst()));
  const double on_top = quantum * static_cast<double>(lines_.size());
  if (!sum.Add(all, transfer.bytes, on_top, now)) broken("a group is faster than its rate");
}

}  // namespace millrace
