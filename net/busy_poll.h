// SPDX-License-Identifier: Apache-2.0
//
// BusyPoll decides whether a loop without work asks for more at once, or sleeps. To be woken takes
// some 20 us, which is most of the latency of a lone request; to ask again and again takes the
// whole core. So it asks for `longest` after work, and goes on doing so while that finds some. Each
// time in vain it leaves out twice as many occasions, up to a thousand: traffic that comes in
// longer steps costs next to nothing, and a loop without traffic sleeps. Owned by its EventLoop;
// loop-only.
//
//   if (busy_poll.Polls(now)) until = at_once;          // Before the loop waits.
//   busy_poll.OnTurn(now, found_work);                  // After each turn.

#ifndef MILLRACE_NET_BUSY_POLL_H_
#define MILLRACE_NET_BUSY_POLL_H_

#include <algorithm>

#include "absl/time/time.h"
#include "base/monotonic_time.h"

namespace millrace {

class BusyPoll {
 public:
  // ZeroDuration(): it never polls.
  explicit BusyPoll(absl::Duration longest) : longest_(longest) {}

  bool Polls(MonotonicTime now) const { return now < until_; }

  // `now` is the turn's time, and `worked` whether it had events or posts.
  void OnTurn(MonotonicTime now, bool worked) {
    if (worked && longest_ > absl::ZeroDuration()) OnWork(now);
  }

 private:
  static constexpr int kPauseMax = 1023;

  void OnWork(MonotonicTime now) {
    if (until_ != MonotonicTime()) {  // It polled since the last work: did that find this?
      pause_ = now <= until_ ? 0 : std::min(2 * pause_ + 1, kPauseMax);
      left_ = pause_;
    }
    until_ = left_ == 0 ? now + longest_ : MonotonicTime();
    if (left_ > 0) --left_;
  }

  const absl::Duration longest_;
  MonotonicTime until_;  // Or zero: it did not poll after the last work.
  int pause_ = 0;        // Occasions to leave out since it was in vain.
  int left_ = 0;         // Of these, still to come.
};

}  // namespace millrace

#endif  // MILLRACE_NET_BUSY_POLL_H_
