// SPDX-License-Identifier: Apache-2.0
//
// Histogram counts times, and tells how they are spread: any percentile is right to three
// significant digits, whether it is a microsecond or an hour. Adding one costs a few instructions
// and no memory once such a time has been seen; two histograms add up to that of both, so threads
// count for themselves and are merged at the end. A value; not synchronised.
//
//   Histogram latency;
//   latency.Add(clock.Now() - sent);
//   absl::Duration p99 = latency.Percentile(99);
//
// Below 2,048 ns each nanosecond has a bucket. From there on each doubling is cut into 1,024 equal
// ones (log-linear, as in HdrHistogram), so that a bucket is never wider than 1/1,024 of the times
// it holds. 8 KiB for each doubling, as far as times went: 200 KiB if the longest took a minute.

#ifndef MILLRACE_TOOLS_LOADGEN_HISTOGRAM_H_
#define MILLRACE_TOOLS_LOADGEN_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/time/time.h"

namespace millrace {

class Histogram {
 public:
  // Whole nanoseconds are kept; a negative time counts as none. `count` times.
  void Add(absl::Duration time, int64_t count = 1) {
    AddNanoseconds(absl::ToInt64Nanoseconds(time), count);
  }
  // For hot paths: it takes 2 ns, and making a Duration and taking it apart again 12 more.
  void AddNanoseconds(int64_t ns, int64_t count = 1);
  void Merge(const Histogram& other);

  int64_t count() const { return count_; }
  // Exact. Zero while there is nothing.
  absl::Duration min() const;
  absl::Duration max() const;

  // The time that `percent` of all times do not exceed: the shortest such one, to within half a
  // bucket. 0 is the minimum and 100 the maximum. Zero while there is nothing.
  absl::Duration Percentile(double percent) const;

 private:
  static constexpr int kExactBits = 11;            // 2,048 buckets of one nanosecond,
  static constexpr int kSubBits = kExactBits - 1;  // and 1,024 for each doubling after.

  static size_t BucketOf(int64_t ns);
  // The middle of what a bucket holds.
  static int64_t MiddleOf(size_t bucket);

  std::vector<uint64_t> counts_;  // As far as the longest time needs.
  int64_t count_ = 0;
  int64_t min_ns_ = std::numeric_limits<int64_t>::max();
  int64_t max_ns_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_HISTOGRAM_H_
