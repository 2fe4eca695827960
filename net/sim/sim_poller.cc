// SPDX-License-Identifier: Apache-2.0
#include "net/sim/sim_poller.h"

#include <errno.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"

namespace millrace {

absl::Status SimPoller::Add(int fd, Io interest, Token token) {
  DCHECK(Any(interest));
  const auto error = [&](int number) {
    return absl::ErrnoToStatus(number, absl::StrCat("simulated poller add ", fd));
  };
  if (!network_.IsOpen(fd)) return error(EBADF);
  if (watched_.contains(fd)) return error(EEXIST);
  if (network_.Happens(&SimFaults::no_memory)) return error(ENOSPC);
  watched_[fd] = {interest, token};
  return absl::OkStatus();
}

absl::Status SimPoller::Modify(int fd, Io interest, Token token) {
  DCHECK(Any(interest));
  const auto found = watched_.find(fd);
  if (found == watched_.end()) {
    return absl::ErrnoToStatus(ENOENT, absl::StrCat("simulated poller modify ", fd));
  }
  found->second = {interest, token};
  return absl::OkStatus();
}

void SimPoller::Remove(int fd) { CHECK_EQ(watched_.erase(fd), 1u) << fd << " is not watched"; }

absl::StatusOr<int> SimPoller::Wait(const Clock&, MonotonicTime until, absl::Span<ReadyEvent> out) {
  DCHECK(!out.empty());
  sleeps_until_ = until;
  std::vector<ReadyEvent> ready;
  for (const auto& [fd, watched] : watched_) {
    CHECK(network_.IsOpen(fd)) << fd << " was closed while it was watched";
    // A hang-up is told whatever was asked for.
    const Io asked = network_.IsHungUp(fd) ? Io::kReadWrite : watched.interest;
    const Io io = network_.Ready(fd) & asked;
    if (Any(io)) ready.push_back({watched.token, io});
  }
  Random& random = network_.random();
  for (size_t i = ready.size(); i > 1; --i) std::swap(ready[i - 1], ready[random.Below(i)]);
  size_t count = std::min(ready.size(), out.size());
  if (count > 1 && random.Below(4) == 0) count = 1 + random.Below(count);
  std::copy_n(ready.begin(), count, out.begin());
  return static_cast<int>(count);
}

}  // namespace millrace
