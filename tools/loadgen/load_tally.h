// SPDX-License-Identifier: Apache-2.0
//
// LoadTally is what one thread of a load run counts: messages and their latency while it is
// measured, errors all the time. Written by its loop; the counters may be read by anyone, the rest
// when the loop has ended, to be merged with the others'.
//
//   tally.SetWindow(begin, end);
//   tally.AddMessage(sent, clock.Now());
//   if (tally.over(clock.Now())) ...                 // Nothing more is to be sent.
//
// With a rate, in an open loop, latency is that of the messages that were due while it was
// measured, however late they came: to leave out the late ones would be to leave out the slow ones.
// Those that could not be sent at all count with the time that they had waited.

#ifndef MILLRACE_TOOLS_LOADGEN_LOAD_TALLY_H_
#define MILLRACE_TOOLS_LOADGEN_LOAD_TALLY_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/counters.h"
#include "base/monotonic_time.h"
#include "tools/loadgen/error_tally.h"
#include "tools/loadgen/histogram.h"
#include "tools/loadgen/rate_series.h"
#include "tools/loadgen/thread_usage.h"

namespace millrace {

class LoadTally {
 public:
  // Seen by other threads while it runs: messages from the first one on, measured or not.
  struct Live {
    Gauge connections;
    Counter messages, errors;
  };

  // What is done from `begin` to before `end` is measured. Until it is set nothing is.
  void SetWindow(MonotonicTime begin, MonotonicTime end) {
    begin_ = begin;
    end_ = end;
    throughput_ = RateSeries(begin, end - begin);
  }
  void EndBy(MonotonicTime end) { end_ = std::min(end_, end); }
  bool over(MonotonicTime now) const { return now >= end_; }
  bool measures(MonotonicTime now) const { return begin_ <= now && now < end_; }
  MonotonicTime begin() const { return begin_; }
  MonotonicTime end() const { return end_; }

  void AddMessage(MonotonicTime sent, MonotonicTime now) {
    live_.messages.Increment();
    if (!measures(now)) return;
    latency_.AddNanoseconds(now.nanoseconds() - sent.nanoseconds());
    CountMessage(now);
  }
  // One that came back, with a rate.
  void AddPacedMessage(MonotonicTime due, MonotonicTime now) {
    live_.messages.Increment();
    if (measures(due)) latency_.AddNanoseconds(now.nanoseconds() - due.nanoseconds());
    if (measures(now)) CountMessage(now);
  }
  // One that is sent now, with a rate: `late` after it was due and its pipeline had room for it.
  void AddPacedSend(MonotonicTime due, absl::Duration late, MonotonicTime now) {
    if (measures(due)) lateness_.Add(late);
    if (measures(now)) ++sent_;
  }
  // `count` that were due at about `due`, and are given up now.
  void AddUnsent(MonotonicTime due, MonotonicTime now, int64_t count) {
    unsent_ += count;
    latency_.Add(now - due, count);
  }
  // A latency that is no message's, and measured whenever it comes.
  void AddLatency(absl::Duration latency) { latency_.Add(latency); }
  // One per connection that failed, or attempt at one.
  void AddError(absl::string_view kind, MonotonicTime now, absl::string_view reason);

  // What the thread did meanwhile.
  ThreadUsage& usage() { return usage_; }
  const ThreadUsage& usage() const { return usage_; }

  Live& live() { return live_; }
  const Live& live() const { return live_; }

  int64_t messages() const { return messages_; }
  const RateSeries& throughput() const { return throughput_; }
  int64_t sent() const { return sent_; }
  int64_t unsent() const { return unsent_; }
  const Histogram& lateness() const { return lateness_; }
  const Histogram& latency() const { return latency_; }
  const ErrorTally& error_tally() const { return errors_; }
  const std::map<std::string, int64_t>& errors() const { return errors_.counts(); }
  const std::optional<LoadError>& first_error() const { return errors_.first(); }

 private:
  void CountMessage(MonotonicTime now) {
    ++messages_;
    throughput_.Add(now);
  }

  MonotonicTime begin_ = MonotonicTime::InfiniteFuture();
  MonotonicTime end_ = MonotonicTime::InfiniteFuture();
  int64_t messages_ = 0, sent_ = 0, unsent_ = 0;
  Histogram latency_, lateness_;
  RateSeries throughput_;
  ThreadUsage usage_;
  ErrorTally errors_;
  alignas(64) Live live_;  // A line of its own: readers shall not slow the loop down.
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_LOAD_TALLY_H_
