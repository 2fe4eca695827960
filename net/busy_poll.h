// SPDX-License-Identifier: Apache-2.0
//
// BusyPoll decides whether a loop without work asks for more at once, or sleeps. To be woken takes
// some 20 us, which is most of the latency of a lone request; to ask again and again takes the
// whole core. So it asks only while that pays: when work has lately come at short distances, and
// for `longest` after the last of it. A loop without traffic, or whose traffic comes in longer
// steps, sleeps as if this were not there. Owned by its EventLoop; loop-only.
//
//   if (busy_poll.Polls(now)) until = at_once;          // Before the loop waits.
//   busy_poll.OnTurn(now, found_work);                  // After each turn.

#ifndef MILLRACE_NET_BUSY_POLL_H_
#define MILLRACE_NET_BUSY_POLL_H_

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
    if (!worked || longest_ <= absl::ZeroDuration()) return;
    const bool came_soon = now <= last_work_ + longest_;
    last_work_ = now;
    until_ = came_soon ? now + longest_ : MonotonicTime();
  }

 private:
  const absl::Duration longest_;
  MonotonicTime last_work_;
  MonotonicTime until_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_BUSY_POLL_H_
