// SPDX-License-Identifier: Apache-2.0
//
// A Poller on select(2), for comparing: the oldest interface of them, and limited to descriptors
// below FD_SETSIZE (1024). Add() of one beyond is OutOfRange, and leaves the others working.
//
//   absl::StatusOr<std::unique_ptr<Poller>> poller = MakeSelectPoller();

#ifndef MILLRACE_NET_SELECT_POLLER_H_
#define MILLRACE_NET_SELECT_POLLER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "net/poller.h"

namespace millrace {

absl::StatusOr<std::unique_ptr<Poller>> MakeSelectPoller();

}  // namespace millrace

#endif  // MILLRACE_NET_SELECT_POLLER_H_
