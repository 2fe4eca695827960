// SPDX-License-Identifier: Apache-2.0
//
// Descriptors that go from one process to another, beside some bytes, through a Unix socket
// (SCM_RIGHTS, see unix(7)). The receiver gets copies of its own, close-on-exec; what they stand
// for is shared. Stateless; any thread.
//
//   MILLRACE_RETURN_IF_ERROR(SendWithDescriptors(peer, "two sockets\n", {first.fd(),
//   second.fd()}));
//   ...
//   MILLRACE_ASSIGN_OR_RETURN(ReceivedDescriptors got, ReceiveWithDescriptors(peer, 4096));

#ifndef MILLRACE_NET_RESTART_DESCRIPTOR_MESSAGE_H_
#define MILLRACE_NET_RESTART_DESCRIPTOR_MESSAGE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "net/socket.h"

namespace millrace {

// What the kernel takes in one message (SCM_MAX_FD).
inline constexpr size_t kDescriptorsPerMessageMax = 253;

// Sends all of `text` and `descriptors`, or fails: it does not wait for room. They stay open here.
// Requires: text, and at most kDescriptorsPerMessageMax descriptors.
absl::Status SendWithDescriptors(const Socket& to, absl::string_view text,
                                 absl::Span<const int> descriptors);

struct ReceivedDescriptors {
  std::string text;  // Empty at the end of the stream.
  std::vector<UniqueFd> descriptors;
};

// One read of up to `bytes_max`. Unavailable if nothing is there yet (EAGAIN). Descriptors for
// which this process has no room are an error, ResourceExhausted; no part of them is kept then.
absl::StatusOr<ReceivedDescriptors> ReceiveWithDescriptors(const Socket& from, size_t bytes_max);

}  // namespace millrace

#endif  // MILLRACE_NET_RESTART_DESCRIPTOR_MESSAGE_H_
