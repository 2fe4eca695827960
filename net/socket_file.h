// SPDX-License-Identifier: Apache-2.0
//
// SocketFile is the file of a Unix socket that listens: whoever holds it removes the file in the
// end, but only if it is still the one that was there when this was made. So a socket that somebody
// else has put in its place meanwhile is left alone. Move-only; one thread at a time.
//
//   SocketFile file = SocketFile::Of(address);  // After bind(2).
//   file.Remove();                              // Or by destroying it.
//   file.Leave();                               // Another process listens there by now.

#ifndef MILLRACE_NET_SOCKET_FILE_H_
#define MILLRACE_NET_SOCKET_FILE_H_

#include <cstdint>
#include <string>
#include <utility>

#include "net/socket_address.h"

namespace millrace {

class SocketFile {
 public:
  SocketFile() = default;  // No file.
  SocketFile(SocketFile&& other) noexcept;
  SocketFile& operator=(SocketFile&& other) noexcept;
  ~SocketFile() { Remove(); }

  // None for an address without a file (TCP, or an abstract name), and if none is there.
  static SocketFile Of(const SocketAddress& address);

  bool exists() const { return !path_.empty(); }
  void Remove();
  void Leave() { path_.clear(); }

 private:
  std::string path_;
  std::pair<uint64_t, uint64_t> identity_ = {};  // Device and inode.
};

}  // namespace millrace

#endif  // MILLRACE_NET_SOCKET_FILE_H_
