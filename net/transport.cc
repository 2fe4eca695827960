// SPDX-License-Identifier: Apache-2.0
#include "net/transport.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace millrace {

IoResult Transport::SendFile(int file, off_t offset, size_t count) {
  std::array<char, 16 * 1024> piece;
  ssize_t n;
  do {
    n = pread(file, piece.data(), std::min(count, piece.size()), offset);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return IoResult::Failed(IoCall::kPread, errno);
  if (n == 0) return IoResult::kEnd;
  const iovec from = {piece.data(), static_cast<size_t>(n)};
  return Write({&from, 1});
}

}  // namespace millrace
