// SPDX-License-Identifier: Apache-2.0
#include "net/poller_named.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "net/epoll_poller.h"
#include "net/poll_poller.h"
#include "net/select_poller.h"

namespace millrace {

absl::StatusOr<PollerFactory> PollerNamed(absl::string_view name) {
  if (name == "epoll") return MakeEpollPoller;
  if (name == "poll") return MakePollPoller;
  if (name == "select") return MakeSelectPoller;
  return absl::InvalidArgumentError(
      absl::StrCat("no poller \"", name, "\": it is epoll, poll or select"));
}

}  // namespace millrace
