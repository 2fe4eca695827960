// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/raw_mode.h"

#include <cerrno>

namespace millrace {
namespace {

// At once and without dropping anything: what was typed ahead is for whoever reads next. A process
// in the background is stopped here until it is in front.
bool Set(int fd, const termios& mode) {
  int result;
  do {
    result = tcsetattr(fd, TCSANOW, &mode);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

}  // namespace

absl::Status RawMode::Enter() {
  if (!entered_ && tcgetattr(fd_, &before_) != 0) return absl::ErrnoToStatus(errno, "tcgetattr");
  termios raw = before_;
  // Ctrl-S and Ctrl-V would keep keys from us; ICRNL stays, so that Enter is a newline.
  raw.c_iflag &= ~static_cast<tcflag_t>(IXON | ISTRIP | INLCR | IGNCR);
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | IEXTEN);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  if (!Set(fd_, raw)) return absl::ErrnoToStatus(errno, "tcsetattr");
  entered_ = true;
  return absl::OkStatus();
}

void RawMode::Leave() {
  if (entered_) Set(fd_, before_);
  entered_ = false;
}

}  // namespace millrace
