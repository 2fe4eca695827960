// SPDX-License-Identifier: Apache-2.0
//
// A Poller on poll(2), for comparing and for systems where epoll is not allowed. It costs time in
// proportion to the descriptors watched, each turn; there is no limit to their number.
//
//   absl::StatusOr<std::unique_ptr<Poller>> poller = MakePollPoller();

#ifndef MILLRACE_NET_POLL_POLLER_H_
#define MILLRACE_NET_POLL_POLLER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "net/poller.h"

namespace millrace {

absl::StatusOr<std::unique_ptr<Poller>> MakePollPoller();

}  // namespace millrace

#endif  // MILLRACE_NET_POLL_POLLER_H_
