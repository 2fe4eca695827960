// SPDX-License-Identifier: Apache-2.0
#include "net/wakeup.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "absl/log/log.h"
#include "absl/status/status.h"

namespace millrace {

absl::StatusOr<Wakeup> Wakeup::Create() {
  UniqueFd fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "eventfd");
  return Wakeup(std::move(fd));
}

// The counter may be full (EAGAIN), and then it is readable. Other errors are of a sandbox, or of
// somebody who closed what is not his.
bool Wakeup::Signal() const {
  const uint64_t one = 1;
  while (write(fd_.get(), &one, sizeof one) < 0) {
    if (errno == EAGAIN) return true;
    if (errno == EINTR) continue;
    LOG_EVERY_N_SEC(ERROR, 1) << absl::ErrnoToStatus(errno, "waking a loop");
    return false;
  }
  return true;
}

// Can only be interrupted, or fail with EAGAIN: there is nothing to drain.
void Wakeup::Drain() const {
  uint64_t count;
  while (read(fd_.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
}

}  // namespace millrace
