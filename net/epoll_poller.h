// SPDX-License-Identifier: Apache-2.0
//
// The Poller for servers: epoll(7), whose cost depends on how many descriptors are ready, not on
// how many are watched. Level-triggered; the token rides in the kernel's event, so there is no
// table here.
//
//   absl::StatusOr<std::unique_ptr<Poller>> poller = MakeEpollPoller();

#ifndef MILLRACE_NET_EPOLL_POLLER_H_
#define MILLRACE_NET_EPOLL_POLLER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "net/poller.h"

namespace millrace {

absl::StatusOr<std::unique_ptr<Poller>> MakeEpollPoller();

}  // namespace millrace

#endif  // MILLRACE_NET_EPOLL_POLLER_H_
