// SPDX-License-Identifier: Apache-2.0
//
// FlightRecorder remembers the last things that happened to one connection: a ring of fixed size
// that costs no allocation to write to, and is read when somebody wants to know why the connection
// stands still. A TcpConnection has one if ConnectionLimits::flight_recorder says so. Loop-only. It
// may be copied as it is, by a signal handler too: what is being written then is not in the copy.
//
//   recorder.Record(FlightEvent::kRead, n, loop.now());
//   LOG(INFO) << recorder.ToString(loop.now());      // "-1.2s read 512\n-3ms blocked 4096\n"

#ifndef MILLRACE_NET_FLIGHT_RECORDER_H_
#define MILLRACE_NET_FLIGHT_RECORDER_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "absl/strings/string_view.h"
#include "base/monotonic_time.h"
#include "net/limits.h"

namespace millrace {

// What the number beside each is, if there is one.
enum class FlightEvent : uint8_t {
  kOpened,
  kRead,          // Bytes.
  kReadBlocked,   // The transport had nothing, or had to write first.
  kLeftUnread,    // Bytes that the handler left.
  kEndOfInput,    // The peer's.
  kWrote,         // Bytes.
  kWriteBlocked,  // Bytes that wait.
  kPaused,        // By the handler.
  kResumed,
  kReadWaits,        // For its rate limit.
  kWriteWaits,       // The same; bytes that wait.
  kStoppedByBudget,  // Reading, for it held much: bytes.
  kResumedByBudget,
  kAboveHigh,     // Bytes that wait.
  kBelowLow,      // Bytes that wait.
  kToldWritable,  // The handler was.
  kTimer,
  kClosing,      // CloseAfterFlush()
  kEndingWrite,  // CloseWrite()
  kEndSent,
  kFailed,  // An errno, or 0.
};

absl::string_view NameOf(FlightEvent event);

class FlightRecorder {
 public:
  explicit FlightRecorder(MonotonicTime now) : since_(now) {}

  void Record(FlightEvent event, uint64_t number, MonotonicTime now) {
    ring_[recorded_ % kFlightEventsMax] = {
        now, std::min(number, kNumberMax) << 8 | static_cast<uint64_t>(event)};
    ++recorded_;
  }

  // How many there were, of which the last kFlightEventsMax are kept.
  uint64_t recorded() const { return recorded_; }
  MonotonicTime since() const { return since_; }
  // A line for each that is kept, the oldest first: how long before `now`, what, its number.
  std::string ToString(MonotonicTime now) const;

 private:
  static constexpr uint64_t kNumberMax = (uint64_t{1} << 56) - 1;

  struct Entry {
    MonotonicTime when;
    uint64_t what;  // The number, and in its lowest byte the event.
  };
  static_assert(sizeof(Entry) == 16);

  std::array<Entry, kFlightEventsMax> ring_;
  uint64_t recorded_ = 0;
  MonotonicTime since_;
};
static_assert(std::is_trivially_copyable_v<FlightRecorder>, "a signal handler may copy it");

}  // namespace millrace

#endif  // MILLRACE_NET_FLIGHT_RECORDER_H_
