// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/write_all.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace millrace {

absl::Status WriteAll(int fd, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {  // Somebody else made it non-blocking.
      pollfd room = {.fd = fd, .events = POLLOUT, .revents = 0};
      poll(&room, 1, -1);
    } else if (errno != EINTR) {
      return absl::ErrnoToStatus(errno, "write");
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace
