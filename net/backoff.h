// SPDX-License-Identifier: Apache-2.0
//
// Backoff says how long to wait before the next try: each time longer, up to a bound, and spread by
// chance so that clients cut off together do not come back together. A value; one thread at a time.
//
//   Backoff backoff({.initial = absl::Milliseconds(100)}, Random::FromEntropy());
//   retry_timer.Arm(backoff.Next());      // About 100 ms, then 200, 400, ...
//   backoff.Reset();                      // It worked: the next failure starts anew.

#ifndef MILLRACE_NET_BACKOFF_H_
#define MILLRACE_NET_BACKOFF_H_

#include <algorithm>

#include "absl/time/time.h"
#include "base/random.h"

namespace millrace {

class Backoff {
 public:
  struct Options {
    absl::Duration initial = absl::Milliseconds(100);
    absl::Duration max = absl::Seconds(30);
    double factor = 2;
    double jitter = 0.2;  // Each wait is drawn from its length +- this part of it.
  };

  Backoff(const Options& options, Random random)
      : options_(options), random_(random), next_(options.initial) {}

  absl::Duration Next() {
    const absl::Duration wait = random_.Jitter(next_, options_.jitter);
    next_ = std::min(next_ * options_.factor, options_.max);
    return wait;
  }
  // About how long the next wait will be.
  absl::Duration next() const { return next_; }
  void Reset() { next_ = options_.initial; }

 private:
  Options options_;
  Random random_;
  absl::Duration next_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_BACKOFF_H_
