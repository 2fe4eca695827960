// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/histogram.h"

#include <algorithm>
#include <cmath>

#include "absl/numeric/bits.h"

namespace millrace {

// A time of b bits, with b > kExactBits, keeps its upper kExactBits bits: the first of them is
// always 1, so the others count 1,024 buckets of the doubling.
size_t Histogram::BucketOf(int64_t ns) {
  const auto value = static_cast<uint64_t>(ns);
  const int shift = std::max(0, static_cast<int>(absl::bit_width(value)) - kExactBits);
  return (static_cast<size_t>(shift) << kSubBits) + static_cast<size_t>(value >> shift);
}

int64_t Histogram::MiddleOf(size_t bucket) {
  constexpr size_t kExact = size_t{1} << kExactBits;
  if (bucket < kExact) return static_cast<int64_t>(bucket);
  const int shift = static_cast<int>(bucket >> kSubBits) - 1;
  const uint64_t upper_bits = bucket - (static_cast<size_t>(shift) << kSubBits);
  return static_cast<int64_t>((upper_bits << shift) + (uint64_t{1} << shift) / 2);
}

void Histogram::AddNanoseconds(int64_t ns, int64_t count) {
  if (count <= 0) return;
  ns = std::max<int64_t>(0, ns);
  const size_t bucket = BucketOf(ns);
  if (bucket >= counts_.size()) counts_.resize(bucket + 1);
  counts_[bucket] += static_cast<uint64_t>(count);
  count_ += count;
  min_ns_ = std::min(min_ns_, ns);
  max_ns_ = std::max(max_ns_, ns);
}

void Histogram::Merge(const Histogram& other) {
  if (counts_.size() < other.counts_.size()) counts_.resize(other.counts_.size());
  for (size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  min_ns_ = std::min(min_ns_, other.min_ns_);
  max_ns_ = std::max(max_ns_, other.max_ns_);
}

absl::Duration Histogram::min() const {
  return count_ == 0 ? absl::ZeroDuration() : absl::Nanoseconds(min_ns_);
}

absl::Duration Histogram::max() const { return absl::Nanoseconds(max_ns_); }

absl::Duration Histogram::Percentile(double percent) const {
  if (percent <= 0 || count_ == 0) return min();
  if (percent >= 100) return max();
  // The subtraction undoes what rounding may have added: 99.9 % of 1,000 are 999 and not 1,000.
  const double wanted = std::ceil(percent * static_cast<double>(count_) / 100 - 1e-6);
  const auto rank = std::max<uint64_t>(1, static_cast<uint64_t>(wanted));
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank) {
      return absl::Nanoseconds(std::clamp(MiddleOf(bucket), min_ns_, max_ns_));
    }
  }
  return max();
}

}  // namespace millrace
