// SPDX-License-Identifier: Apache-2.0
//
// Finds a Poller by the name that a user writes: what stands behind `--poller=epoll`. It is apart
// from poller.h so that the seam does not know who implements it. Any thread.
//
//   absl::StatusOr<PollerFactory> factory = PollerNamed(absl::GetFlag(FLAGS_poller));

#ifndef MILLRACE_NET_POLLER_NAMED_H_
#define MILLRACE_NET_POLLER_NAMED_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/poller.h"

namespace millrace {

// "epoll", "poll" or "select"; for others InvalidArgument, which lists these.
absl::StatusOr<PollerFactory> PollerNamed(absl::string_view name);

}  // namespace millrace

#endif  // MILLRACE_NET_POLLER_NAMED_H_
