// SPDX-License-Identifier: Apache-2.0
//
// What a drain is told, and what it tells: how long the connections of a server may take to end,
// and which way each of them went. Values; any thread.
//
//   server->Drain({.grace = absl::Seconds(30)}, [&](const DrainReport& report) {
//     LOG(INFO) << "drained: " << report;
//     main_loop->Stop();
//   });

#ifndef MILLRACE_NET_DRAIN_H_
#define MILLRACE_NET_DRAIN_H_

#include <cstdint>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "net/limits.h"

namespace millrace {

struct DrainOptions {
  // What is open when it is over is closed. Zero: at once, after handlers were told; infinite: it
  // is waited for as long as it takes.
  absl::Duration grace = kDrainGrace;
  // A connection on which nothing moves for so long, and nothing waits, gets our end of stream; the
  // peer's end then ends it. One whose reading is paused counts as busy. Infinite: never.
  absl::Duration idle = kDrainIdle;
};

// Of the connections that were open when the drain began. Each is counted in one of the first four.
struct DrainReport {
  int64_t ended = 0;                // In order, by the peer or the handler.
  int64_t half_closed = 0;          // In order, after we ended our half because it was idle.
  int64_t failed = 0;               // On an error or a limit, or before they were open.
  int64_t cut_off = 0;              // Closed when the grace was over, or their loop ended.
  int64_t cut_off_with_output = 0;  // Of these, those that lost something that was sent.

  int64_t total() const { return ended + half_closed + failed + cut_off; }

  DrainReport& operator+=(const DrainReport& other) {
    ended += other.ended;
    half_closed += other.half_closed;
    failed += other.failed;
    cut_off += other.cut_off;
    cut_off_with_output += other.cut_off_with_output;
    return *this;
  }
  friend bool operator==(const DrainReport&, const DrainReport&) = default;
  template <typename Sink>
  friend void AbslStringify(Sink& sink, const DrainReport& report) {
    absl::Format(&sink,
                 "%d connections: %d ended, %d ended when half-closed, %d failed, %d cut off (%d "
                 "of them with output)",
                 report.total(), report.ended, report.half_closed, report.failed, report.cut_off,
                 report.cut_off_with_output);
  }
};

}  // namespace millrace

#endif  // MILLRACE_NET_DRAIN_H_
