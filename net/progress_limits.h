// SPDX-License-Identifier: Apache-2.0
//
// ProgressLimits bounds how slowly a peer may speak, whatever the protocol: who holds a connection
// with a byte now and then is never idle, and costs as much as one who works. A value, part of
// ConnectionLimits.
//
//   ConnectionLimits limits = {.progress = ProgressLimits::Strict()};
//
// A message is under way while the handler has left input unread: it waits for the rest. Its clock
// starts with that, and anew each time the handler consumes some of it. Who consumes a message
// piece by piece says so: TcpConnection::BeginMessage(), EndMessage(). Time in which we do not read
// does not count against the peer. What is too slow ends with DeadlineExceeded.

#ifndef MILLRACE_NET_PROGRESS_LIMITS_H_
#define MILLRACE_NET_PROGRESS_LIMITS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/limits.h"

namespace millrace {

struct ProgressLimits {
  // Time; InfiniteDuration() turns a limit off.
  absl::Duration first_byte_timeout = absl::InfiniteDuration();  // From OnOpen() on.
  absl::Duration message_timeout = absl::InfiniteDuration();     // From its first byte to its last.

  // What comes of a message that is under way for longer than the grace must be as much as this,
  // over all of its time but the grace. 0 turns it off.
  uint64_t bytes_per_second_min = 0;
  absl::Duration rate_grace = kRateGrace;

  // Nothing of it: the default, since a library does not know what it is used for.
  static ProgressLimits Off() { return {}; }
  // Nobody meets these who is alive. For servers whose peers speak first; where they may only
  // listen, first_byte_timeout has to go.
  static ProgressLimits Lenient() {
    return {.first_byte_timeout = absl::Seconds(60),
            .message_timeout = absl::Minutes(5),
            .bytes_per_second_min = 50,
            .rate_grace = absl::Seconds(30)};
  }
  // For servers of small requests on the open network. Bad lines meet them now and then.
  static ProgressLimits Strict() {
    return {.first_byte_timeout = absl::Seconds(10),
            .message_timeout = absl::Seconds(30),
            .bytes_per_second_min = 500,
            .rate_grace = absl::Seconds(10)};
  }
  // "off", "lenient" or "strict"; InvalidArgument for any other.
  static absl::StatusOr<ProgressLimits> ByName(absl::string_view name);

  // InvalidArgument that names the field, if one makes no sense.
  absl::Status Check() const;

  friend bool operator==(const ProgressLimits&, const ProgressLimits&) = default;
};

}  // namespace millrace

#endif  // MILLRACE_NET_PROGRESS_LIMITS_H_
