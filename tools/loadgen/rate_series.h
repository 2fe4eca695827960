// SPDX-License-Identifier: Apache-2.0
//
// RateSeries counts what happens in each interval of a time: how a rate went up and down over a
// run. It is bounded: an interval is 100 ms, or ten, a hundred, ... times that if there would be
// more than kSamplesMax of them. Those of several threads, for the same time, add up. A value; not
// synchronised.
//
//   RateSeries throughput(begin, absl::Seconds(10));     // 100 samples of 100 ms
//   throughput.Add(clock.Now());
//   throughput.RatesUntil(absl::Seconds(10));

#ifndef MILLRACE_TOOLS_LOADGEN_RATE_SERIES_H_
#define MILLRACE_TOOLS_LOADGEN_RATE_SERIES_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "base/monotonic_time.h"

namespace millrace {

class RateSeries {
 public:
  static constexpr int kSamplesMax = 600;

  // Of no time.
  RateSeries() = default;
  RateSeries(MonotonicTime begin, absl::Duration length);

  // What is outside of its time is not counted.
  void Add(MonotonicTime now);
  // Requires: the other is for the same time, or one of them for none.
  void Merge(const RateSeries& other);

  absl::Duration interval() const { return absl::Nanoseconds(interval_ns_); }
  const std::vector<int64_t>& counts() const { return counts_; }
  // In each interval, per second; of a run that took `length` only. A last interval of which less
  // than half is there is left out, unless it is the only one.
  std::vector<double> RatesUntil(absl::Duration length) const;

 private:
  int64_t begin_ns_ = 0;
  int64_t interval_ns_ = 100'000'000;
  std::vector<int64_t> counts_;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_RATE_SERIES_H_
