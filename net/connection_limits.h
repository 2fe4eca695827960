// SPDX-License-Identifier: Apache-2.0
//
// ConnectionLimits bounds what one connection may cost: memory, its share of a turn, and time. A
// value; connections of one server share it. The defaults are safe; the reasons are in limits.h.
//
//   ConnectionLimits limits = {.idle_timeout = absl::Minutes(1)};
//   MILLRACE_RETURN_IF_ERROR(limits.Check());

#ifndef MILLRACE_NET_CONNECTION_LIMITS_H_
#define MILLRACE_NET_CONNECTION_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/ref.h"
#include "net/limits.h"
#include "net/progress_limits.h"
#include "net/rate_limit.h"

namespace millrace {

struct ConnectionLimits {
  // Bytes that the handler may leave unread, before the connection is aborted.
  size_t input_bytes_max = kInputBytesMax;
  // Bytes read from it in a turn; no more than kReceiveBufferBytes.
  size_t read_bytes_per_turn = kReceiveBufferBytes;

  // Bytes of unsent output: above `high` our own reading pauses and Send() says false; once down to
  // `low` both are over, and OnWritable() tells. Past `max` the connection is aborted.
  uint64_t output_bytes_low = kOutputBytesLow;
  uint64_t output_bytes_high = kOutputBytesHigh;
  uint64_t output_bytes_max = kOutputBytesMax;

  // Time; InfiniteDuration() turns a limit off. All end the connection with DeadlineExceeded.
  absl::Duration idle_timeout = absl::Minutes(10);         // Nothing read and nothing written.
  absl::Duration read_timeout = absl::InfiniteDuration();  // Nothing read, though we would.
  absl::Duration write_timeout = kWriteTimeout;            // Output waits, and none is taken.
  absl::Duration handshake_timeout = kHandshakeTimeout;
  absl::Duration linger_timeout = kLingerTimeout;  // From our end until the peer's.

  // How slowly the peer may send us its messages. Off unless set.
  ProgressLimits progress = {};

  // How fast each of them may read and write, and how fast all together that have this group, on
  // whatever loops and servers. Off unless set.
  RateLimits rate = {};
  Ref<RateLimitGroup> rate_group = {};

  // Whether each connection remembers the last things that happened to it, for
  // TcpServer::ReportConnections(): half a KiB for each, and some time for each message.
  bool flight_recorder = false;

  // InvalidArgument that names the field, if they contradict each other.
  absl::Status Check() const;
};

// The times of ConnectionLimits as connections keep them: 4 bytes each instead of 16, in whole
// milliseconds, rounded up; worked out once for all connections. 0 is no limit: 49 days count as
// that.
struct ConnectionTimeouts {
  explicit ConnectionTimeouts(const ConnectionLimits& limits)
      : idle_ms(ToMilliseconds(limits.idle_timeout)),
        read_ms(ToMilliseconds(limits.read_timeout)),
        write_ms(ToMilliseconds(limits.write_timeout)),
        handshake_ms(ToMilliseconds(limits.handshake_timeout)),
        linger_ms(ToMilliseconds(limits.linger_timeout)),
        first_byte_ms(ToMilliseconds(limits.progress.first_byte_timeout)),
        message_ms(ToMilliseconds(limits.progress.message_timeout)),
        rate_grace_ms(ToMilliseconds(limits.progress.rate_grace)),
        bytes_per_second_min(rate_grace_ms == 0 ? 0 : limits.progress.bytes_per_second_min) {}

  static uint32_t ToMilliseconds(absl::Duration timeout);

  // Whether a message that is under way has a deadline.
  bool limits_messages() const { return message_ms != 0 || bytes_per_second_min != 0; }

  uint32_t idle_ms, read_ms, write_ms, handshake_ms, linger_ms;
  uint32_t first_byte_ms, message_ms, rate_grace_ms;
  uint64_t bytes_per_second_min;
};

}  // namespace millrace

#endif  // MILLRACE_NET_CONNECTION_LIMITS_H_
