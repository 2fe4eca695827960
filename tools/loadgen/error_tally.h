// SPDX-License-Identifier: Apache-2.0
//
// ErrorTally counts what went wrong in a load run, by kind, and keeps the reason of the first. Each
// thread has its own, and they are merged at the end. A value; not synchronised.
//
//   errors.Add(kClosedError, loop.now(), "connection 7: the server closed");
//   total.Merge(errors);

#ifndef MILLRACE_TOOLS_LOADGEN_ERROR_TALLY_H_
#define MILLRACE_TOOLS_LOADGEN_ERROR_TALLY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/monotonic_time.h"

namespace millrace {

// The kinds of errors, as they are reported.
inline constexpr absl::string_view kConnectError = "connect";  // No connection was made.
inline constexpr absl::string_view kTimeoutError = "timeout";  // No connection, or answer, in time.
inline constexpr absl::string_view kClosedError = "closed";    // The server closed too early.
inline constexpr absl::string_view kBrokenError = "broken";    // The connection broke: a reset.
inline constexpr absl::string_view kWrongError = "wrong_bytes";  // Not what was sent came back.

struct LoadError {
  MonotonicTime time;
  std::string reason;
};

class ErrorTally {
 public:
  void Add(absl::string_view kind, MonotonicTime now, absl::string_view reason, int64_t count = 1) {
    counts_[std::string(kind)] += count;
    total_ += count;
    if (!first_ || now < first_->time) first_ = {now, std::string(reason)};
  }
  void Merge(const ErrorTally& other) {
    for (const auto& [kind, count] : other.counts_) counts_[kind] += count;
    total_ += other.total_;
    if (other.first_ && (!first_ || other.first_->time < first_->time)) first_ = other.first_;
  }

  int64_t total() const { return total_; }
  const std::map<std::string, int64_t>& counts() const { return counts_; }
  const std::optional<LoadError>& first() const { return first_; }

 private:
  std::map<std::string, int64_t> counts_;
  int64_t total_ = 0;
  std::optional<LoadError> first_;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_ERROR_TALLY_H_
