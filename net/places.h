// SPDX-License-Identifier: Apache-2.0
//
// Places is a bounded number of places that several loops take and give back, and the word to those
// who wait for one. Between full and "go on" lies a gap, so that a server at its cap does not stop
// and start with each connection that ends. Any thread; no locks.
//
//   if (places.full() && places.WaitForRoom()) Pause();       // Whoever hands out places.
//   if (!places.Take()) Refuse();                             // Others were faster.
//   if (places.GiveBack()) TellThatThereIsRoom();             // Whoever had one.

#ifndef MILLRACE_NET_PLACES_H_
#define MILLRACE_NET_PLACES_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "net/limits.h"

namespace millrace {

class Places {
 public:
  // Requires: max >= 1.
  explicit Places(int64_t max)
      : max_(max), resume_at_(max - std::max<int64_t>(max / kRoomToResumePart, 1)) {}

  int64_t max() const { return max_; }
  // Those who wait hear of it when so many are taken, or fewer.
  int64_t resume_at() const { return resume_at_; }
  int64_t taken() const { return taken_.load(std::memory_order_relaxed); }
  bool full() const { return taken() >= max_; }

  // False if none is left.
  bool Take() {
    int64_t taken = taken_.load(std::memory_order_relaxed);
    while (taken < max_) {
      if (taken_.compare_exchange_weak(taken, taken + 1, std::memory_order_relaxed)) return true;
    }
    return false;
  }
  // True, once, if somebody waits and now there is room: all who wait are to be told.
  bool GiveBack() {
    if (taken_.fetch_sub(1) - 1 > resume_at_ || !waited_for_.load()) return false;
    return waited_for_.exchange(false);
  }
  // True if the caller has to wait: then a GiveBack() to come is true. False if there is room by
  // now. Either this sees what was given back, or that sees this: so both are in one order (the
  // default of std::atomic), and nobody waits for ever.
  bool WaitForRoom() {
    waited_for_.store(true);
    return taken_.load() > resume_at_;
  }

 private:
  const int64_t max_;
  const int64_t resume_at_;
  std::atomic<int64_t> taken_{0};
  std::atomic<bool> waited_for_{false};
};

}  // namespace millrace

#endif  // MILLRACE_NET_PLACES_H_
