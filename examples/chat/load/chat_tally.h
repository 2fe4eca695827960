// SPDX-License-Identifier: Apache-2.0
//
// ChatTally is what one thread of a chat load run counts. Latency is that of all messages that were
// due while it was measured, however late they came: to leave out the late ones would be to leave
// out the slow ones. Written by its loop; the live numbers may be read by anyone, the rest when the
// loop has ended.
//
//   tally.SetWindow(begin, end);
//   tally.AddDelivery(schedule.due(message), clock.Now(), line.size());

#ifndef MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_TALLY_H_
#define MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_TALLY_H_

#include <cstddef>
#include <cstdint>

#include "base/counters.h"
#include "base/monotonic_time.h"
#include "tools/loadgen/error_tally.h"
#include "tools/loadgen/histogram.h"

namespace millrace {

class ChatTally {
 public:
  // Seen by other threads while it runs: deliveries from the first one on, measured or not.
  struct Live {
    Gauge members, errors;
    Counter deliveries;
  };

  // What is due from `begin` to before `end` is measured. Until it is set nothing is.
  void SetWindow(MonotonicTime begin, MonotonicTime end) {
    begin_ = begin;
    end_ = end;
  }

  void AddSent(MonotonicTime due, MonotonicTime now) {
    if (due < begin_ || due >= end_) return;
    ++messages_;
    last_sent_ = now;
  }
  void AddDelivery(MonotonicTime due, MonotonicTime now, size_t bytes) {
    live_.deliveries.Increment();
    if (due < begin_ || due >= end_) return;
    ++deliveries_;
    bytes_ += static_cast<int64_t>(bytes);
    last_delivered_ = now;
    latency_.Add(now - due);
  }
  void AddNotice() { ++notices_; }
  // Lets others see how many errors there are by now.
  void ShowErrors() { live_.errors.Add(errors_.total() - live_.errors.value()); }

  Live& live() { return live_; }
  const Live& live() const { return live_; }
  ErrorTally& errors() { return errors_; }

  int64_t messages() const { return messages_; }
  int64_t deliveries() const { return deliveries_; }
  int64_t bytes() const { return bytes_; }
  int64_t notices() const { return notices_; }
  const Histogram& latency() const { return latency_; }
  const ErrorTally& errors() const { return errors_; }
  // Of those measured, or the clock's zero.
  MonotonicTime last_sent() const { return last_sent_; }
  MonotonicTime last_delivered() const { return last_delivered_; }

 private:
  MonotonicTime begin_ = MonotonicTime::InfiniteFuture();
  MonotonicTime end_ = MonotonicTime::InfiniteFuture();
  MonotonicTime last_sent_, last_delivered_;
  int64_t messages_ = 0, deliveries_ = 0, bytes_ = 0, notices_ = 0;
  Histogram latency_;
  ErrorTally errors_;
  alignas(64) Live live_;  // A line of its own: readers shall not slow the loop down.
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_TALLY_H_
