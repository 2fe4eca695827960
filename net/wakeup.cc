// SPDX-License-Identifier: Apache-2.0
#include "net/wakeup.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "absl/status/status.h"

namespace millrace {

absl::StatusOr<Wakeup> Wakeup::Create() {
  UniqueFd fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "eventfd");
  return Wakeup(std::move(fd));
}

// Both calls can only be interrupted, or fail with EAGAIN: the counter is full, so it is readable;
// or zero, so there is nothing to drain.
void Wakeup::Signal() const {
  const uint64_t one = 1;
  while (write(fd_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void Wakeup::Drain() const {
  uint64_t count;
  while (read(fd_.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
}

}  // namespace millrace
