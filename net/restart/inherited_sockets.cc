// SPDX-License-Identifier: Apache-2.0
#include "net/restart/inherited_sockets.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "net/limits.h"

namespace millrace {
namespace {

constexpr int kFirstDescriptor = 3;  // Those of stdin, stdout and stderr come before.

std::optional<std::string> TakeVariable(const char* name) {
  const char* const text = getenv(name);
  if (text == nullptr) return std::nullopt;
  std::string value = text;
  unsetenv(name);
  return value;
}

absl::StatusOr<int> ReadNumber(absl::string_view name, const std::string& text, int max) {
  int number;
  if (absl::SimpleAtoi(text, &number) && number >= 1 && number <= max) return number;
  return absl::InvalidArgumentError(
      absl::StrCat(name, "=", text, ": must be a whole number from 1 to ", max));
}

absl::StatusOr<std::vector<std::string>> ReadNames(const std::optional<std::string>& text,
                                                   size_t count) {
  if (!text) return std::vector<std::string>(count);
  std::vector<std::string> names = absl::StrSplit(*text, ':');
  if (names.size() == count) return names;
  return absl::InvalidArgumentError(
      absl::StrCat("LISTEN_FDNAMES=", *text, ": ", names.size(), " names for LISTEN_FDS=", count));
}

absl::StatusOr<int> OptionOf(int fd, int option) {
  int value = 0;
  socklen_t bytes = sizeof(value);
  if (getsockopt(fd, SOL_SOCKET, option, &value, &bytes) == 0) return value;
  return absl::ErrnoToStatus(errno, "getsockopt");
}

absl::Status CheckListens(int fd) {
  MILLRACE_ASSIGN_OR_RETURN(const int domain, OptionOf(fd, SO_DOMAIN));
  MILLRACE_ASSIGN_OR_RETURN(const int type, OptionOf(fd, SO_TYPE));
  MILLRACE_ASSIGN_OR_RETURN(const int listens, OptionOf(fd, SO_ACCEPTCONN));
  const bool is_known = domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX;
  if (!is_known || type != SOCK_STREAM) {
    return absl::InvalidArgumentError("not a stream socket, TCP or Unix");
  }
  if (listens == 0) return absl::InvalidArgumentError("a socket that does not listen");
  return absl::OkStatus();
}

absl::Status SetFlags(int fd) {
  const int status_flags = fcntl(fd, F_GETFL);
  if (status_flags < 0 || fcntl(fd, F_SETFL, status_flags | O_NONBLOCK) != 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return absl::ErrnoToStatus(errno, "fcntl");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<InheritedSocket>> Adopt(const std::vector<std::string>& names) {
  std::vector<InheritedSocket> sockets;
  for (size_t i = 0; i < names.size(); ++i) {
    const int fd = kFirstDescriptor + static_cast<int>(i);
    std::string what = absl::StrCat("LISTEN_FDS: descriptor ", fd);
    if (!names[i].empty()) absl::StrAppend(&what, " (", names[i], ")");
    MILLRACE_ASSIGN_OR_RETURN(Socket socket, AdoptListening(UniqueFd(fd), what));
    sockets.push_back({std::move(socket), names[i]});
  }
  return sockets;
}

}  // namespace

absl::StatusOr<Socket> AdoptListening(UniqueFd fd, absl::string_view what) {
  absl::Status status = CheckListens(fd.get());
  if (status.ok()) status = SetFlags(fd.get());
  if (status.ok()) return Socket(std::move(fd));
  return absl::InvalidArgumentError(absl::StrCat(what, ": ", status.message()));
}

absl::StatusOr<std::vector<InheritedSocket>> TakeInheritedSockets() {
  const std::optional<std::string> pid = TakeVariable("LISTEN_PID");
  const std::optional<std::string> count = TakeVariable("LISTEN_FDS");
  const std::optional<std::string> names = TakeVariable("LISTEN_FDNAMES");
  TakeVariable("LISTEN_PIDFDID");  // Of newer ones; the number of the process is enough for us.
  if (!pid || !count) return std::vector<InheritedSocket>();
  MILLRACE_ASSIGN_OR_RETURN(const int whose, ReadNumber("LISTEN_PID", *pid, INT32_MAX));
  if (whose != getpid()) return std::vector<InheritedSocket>();
  MILLRACE_ASSIGN_OR_RETURN(const int number, ReadNumber("LISTEN_FDS", *count, kListenersMax));
  MILLRACE_ASSIGN_OR_RETURN(const std::vector<std::string> each, ReadNames(names, number));
  return Adopt(each);
}

}  // namespace millrace
