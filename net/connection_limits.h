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
#include "net/limits.h"

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

  // InvalidArgument that names the field, if they contradict each other.
  absl::Status Check() const;
};

}  // namespace millrace

#endif  // MILLRACE_NET_CONNECTION_LIMITS_H_
