// SPDX-License-Identifier: Apache-2.0
//
// ConnectionExtras is what few connections need, behind one pointer of their TcpConnection, so that
// the others do not grow by it. Made when the first of it is wanted, and kept until the end;
// loop-only.
//
//   if (extras_ != nullptr && extras_->timeouts) ...      // It has timeouts of its own.

#ifndef MILLRACE_NET_CONNECTION_EXTRAS_H_
#define MILLRACE_NET_CONNECTION_EXTRAS_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "base/monotonic_time.h"
#include "net/connection_limits.h"
#include "net/flight_recorder.h"

namespace millrace {

// The timeouts that can be set for one connection, 0 for none, and since when each counts at the
// earliest.
struct OwnTimeouts {
  explicit OwnTimeouts(const ConnectionTimeouts& usual)
      : idle_ms(usual.idle_ms), read_ms(usual.read_ms), write_ms(usual.write_ms) {}

  uint32_t idle_ms, read_ms, write_ms;
  MonotonicTime idle_from, read_from, write_from;
};

struct ConnectionExtras {
  std::optional<OwnTimeouts> timeouts;       // If any was set; else the owner's hold.
  std::unique_ptr<FlightRecorder> recorder;  // If it is on.
};

}  // namespace millrace

#endif  // MILLRACE_NET_CONNECTION_EXTRAS_H_
