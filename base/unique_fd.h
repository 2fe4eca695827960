// SPDX-License-Identifier: Apache-2.0
//
// UniqueFd owns a file descriptor and closes it once. Move-only; whoever holds it owns it. Not
// synchronised: one thread at a time.
//
//   UniqueFd file(open(path, O_RDONLY | O_CLOEXEC));
//   if (!file.valid()) return absl::ErrnoToStatus(errno, path);

#ifndef MILLRACE_BASE_UNIQUE_FD_H_
#define MILLRACE_BASE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace millrace {

class UniqueFd {
 public:
  UniqueFd() = default;
  // Takes `fd` over; a negative one is none.
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    Reset(other.Release());  // Right for `other` being this one, too.
    return *this;
  }
  ~UniqueFd() { Reset(); }

  bool valid() const { return fd_ >= 0; }
  int get() const { return fd_; }

  // Gives the descriptor to the caller, who closes it from now on.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }

  // Closes what is held and takes `fd` over. close(2) is never tried again: on Linux the number is
  // free even when it says EINTR, and by then may be somebody else's.
  void Reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace millrace

#endif  // MILLRACE_BASE_UNIQUE_FD_H_
