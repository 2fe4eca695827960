// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/rate_series.h"

#include <algorithm>

#include "absl/log/check.h"

namespace millrace {

RateSeries::RateSeries(MonotonicTime begin, absl::Duration length)
    : begin_ns_(begin.nanoseconds()) {
  const int64_t length_ns = std::max<int64_t>(0, absl::ToInt64Nanoseconds(length));
  // Divided, since the product of all of it might not fit.
  while ((length_ns - 1) / kSamplesMax >= interval_ns_) interval_ns_ *= 10;
  const int64_t whole = length_ns / interval_ns_;
  counts_.resize(static_cast<size_t>(whole + (whole * interval_ns_ < length_ns ? 1 : 0)));
}

void RateSeries::Add(MonotonicTime now) {
  const int64_t ns = now.nanoseconds() - begin_ns_;
  if (ns < 0) return;
  const auto at = static_cast<size_t>(ns / interval_ns_);
  if (at < counts_.size()) ++counts_[at];
}

void RateSeries::Merge(const RateSeries& other) {
  if (other.counts_.empty()) return;
  if (counts_.empty()) {
    *this = other;
    return;
  }
  CHECK(begin_ns_ == other.begin_ns_ && counts_.size() == other.counts_.size());
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

std::vector<double> RateSeries::RatesUntil(absl::Duration length) const {
  std::vector<double> rates;
  int64_t left_ns = absl::ToInt64Nanoseconds(length);
  for (const int64_t count : counts_) {
    const int64_t ns = std::min(interval_ns_, left_ns);
    if (ns <= 0 || (ns < interval_ns_ / 2 && !rates.empty())) break;
    rates.push_back(static_cast<double>(count) * 1e9 / static_cast<double>(ns));
    left_ns -= ns;
  }
  return rates;
}

}  // namespace millrace
