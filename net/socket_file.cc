// SPDX-License-Identifier: Apache-2.0
#include "net/socket_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "absl/strings/string_view.h"

namespace millrace {
namespace {

std::optional<std::pair<uint64_t, uint64_t>> IdentityOf(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return std::nullopt;
  return std::pair<uint64_t, uint64_t>(info.st_dev, info.st_ino);
}

}  // namespace

SocketFile::SocketFile(SocketFile&& other) noexcept
    : path_(std::exchange(other.path_, {})), identity_(other.identity_) {}

SocketFile& SocketFile::operator=(SocketFile&& other) noexcept {
  if (this == &other) return *this;
  Remove();
  path_ = std::exchange(other.path_, {});
  identity_ = other.identity_;
  return *this;
}

SocketFile SocketFile::Of(const SocketAddress& address) {
  SocketFile file;
  const absl::string_view path = address.unix_path();
  if (path.empty() || path[0] == '@') return file;
  if (const auto identity = IdentityOf(std::string(path))) {
    file.path_ = std::string(path);
    file.identity_ = *identity;
  }
  return file;
}

void SocketFile::Remove() {
  if (!exists()) return;
  if (IdentityOf(path_) == identity_) unlink(path_.c_str());
  path_.clear();
}

}  // namespace millrace
