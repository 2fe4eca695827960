// SPDX-License-Identifier: Apache-2.0
//
// PendingMessage is a message of which the peer has sent but a part: what the handler left unread
// of it, and since when it is under way, for ProgressLimits. A TcpConnection has one only while
// there is such a message, so that an idle connection does not grow by it. Loop-only.
//
//   message.unread.Append(bytes);
//   message.Arrived(bytes.size());
//   if (now >= message.RateDeadline(grace, bytes_per_second)) ...   // Too slow.

#ifndef MILLRACE_NET_PENDING_MESSAGE_H_
#define MILLRACE_NET_PENDING_MESSAGE_H_

#include <cstddef>
#include <cstdint>

#include "base/monotonic_time.h"
#include "net/buffer.h"

namespace millrace {

class PendingMessage {
 public:
  explicit PendingMessage(MonotonicTime now) : since_(now) {}

  Buffer unread;         // What waits for the rest. Empty only if `begun`, or while `offered`.
  bool begun = false;    // The handler takes it piece by piece, and has not said that it is whole.
  bool offered = false;  // `unread` is in the handler's hands, and must stay where it is.

  bool over() const { return unread.empty() && !begun; }

  // What is there is the beginning of a message, or of the rest of one.
  void Restart(MonotonicTime now) {
    since_ = now;
    bytes_ = unread.size();
    if (held_ != kNotHeld) held_ = now;
  }
  void Arrived(size_t n) { bytes_ += n; }

  // Whether we read. Time in which we do not is taken out, once it is over.
  void SetReading(bool reads, MonotonicTime now) {
    if (reads == (held_ == kNotHeld)) return;
    if (reads) since_ = since_ + (now - held_);
    held_ = reads ? kNotHeld : now;
  }

  // Since when it is under way, less the time in which we did not read; but see SetReading().
  MonotonicTime since() const { return since_; }
  uint64_t bytes() const { return bytes_; }
  // Until when it is not too slow: each byte that comes puts it off by its share of a second.
  // Requires: bytes_per_second is from 1 to kMinimumRateMax.
  MonotonicTime RateDeadline(uint32_t grace_ms, uint64_t bytes_per_second) const;

 private:
  static constexpr MonotonicTime kNotHeld = MonotonicTime::InfiniteFuture();

  MonotonicTime since_;
  MonotonicTime held_ = kNotHeld;  // Since when we do not read.
  uint64_t bytes_ = 0;             // That came of it since then.
};

}  // namespace millrace

#endif  // MILLRACE_NET_PENDING_MESSAGE_H_
