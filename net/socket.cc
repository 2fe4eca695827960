// SPDX-License-Identifier: Apache-2.0
#include "net/socket.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace millrace {
namespace {

constexpr int kFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;

// A non-blocking call is hardly ever interrupted; when it is, it did nothing.
template <typename Call>
auto RetryOnSignal(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

absl::Status SetOption(int fd, int level, int option, const void* value, socklen_t bytes,
                       absl::string_view name) {
  if (setsockopt(fd, level, option, value, bytes) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("setsockopt ", name));
}

absl::Status SetOption(int fd, int level, int option, int value, absl::string_view name) {
  return SetOption(fd, level, option, &value, sizeof(value), name);
}

template <typename T>
absl::StatusOr<T> GetOption(int fd, int level, int option, absl::string_view name) {
  T value = {};
  socklen_t bytes = sizeof(value);
  if (getsockopt(fd, level, option, &value, &bytes) == 0) return value;
  return absl::ErrnoToStatus(errno, absl::StrCat("getsockopt ", name));
}

// What it means that `call` moved nothing: it would block, or it failed. One that a signal has
// interrupted can go on at once, which whoever waits for the descriptor hears at once.
IoResult Stopped(IoResult::Kind would_block, IoCall call) {
  return errno == EAGAIN || errno == EINTR ? IoResult(would_block) : IoResult::Failed(call, errno);
}

// Whole seconds, rounded up; what an int cannot hold is left to the kernel to refuse.
int Seconds(absl::Duration duration) {
  constexpr int64_t kMax = std::numeric_limits<int>::max();
  const int64_t seconds = absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1)));
  return static_cast<int>(std::clamp<int64_t>(seconds, -1, kMax));
}

// The same in milliseconds. What is more than an int holds, 24 days, is for ever: the system's own.
int Milliseconds(absl::Duration duration) {
  const int64_t milliseconds = absl::ToInt64Milliseconds(duration);
  return milliseconds > std::numeric_limits<int>::max() ? 0 : static_cast<int>(milliseconds);
}

// Keeps SIGPIPE from this thread while it lives. For sendfile(2), which raises it and has no flag
// against it; two more system calls are little beside what it moves.
class SigpipeGuard {
 public:
  SigpipeGuard() {
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~SigpipeGuard() {
    const int error = errno;
    const timespec now = {};
    if (error == EPIPE) sigtimedwait(&sigpipe_, nullptr, &now);  // Takes back what was raised.
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = error;
  }

 private:
  sigset_t sigpipe_;
  sigset_t before_;
};

}  // namespace

absl::StatusOr<Socket> Socket::Create(int family) {
  UniqueFd fd(socket(family, SOCK_STREAM | kFlags, 0));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "socket");
  return Socket(std::move(fd), family);
}

absl::StatusOr<Socket> Socket::CreateFor(const SocketAddress& address) {
  absl::StatusOr<Socket> result = Create(address.family());
  if (!result.ok() && address.is_any()) return Create(AF_INET);
  return result;
}

absl::StatusOr<std::pair<Socket, Socket>> Socket::Pair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | kFlags, 0, fds) != 0) {
    return absl::ErrnoToStatus(errno, "socketpair");
  }
  return std::pair(Socket(UniqueFd(fds[0]), AF_UNIX), Socket(UniqueFd(fds[1]), AF_UNIX));
}

absl::Status Socket::Bind(const SocketAddress& address) {
  absl::StatusOr<int> family = GetOption<int>(fd(), SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN");
  if (!family.ok()) return family.status();
  if (*family == AF_INET6) {
    absl::Status only_ipv6 =
        SetOption(fd(), IPPROTO_IPV6, IPV6_V6ONLY, !address.is_any(), "IPV6_V6ONLY");
    if (!only_ipv6.ok()) return only_ipv6;
  }
  sockaddr_storage storage;
  socklen_t bytes = address.ToSockaddr(storage);
  if (address.is_any() && *family == AF_INET) {
    sockaddr_in any = {};  // Is 0.0.0.0.
    any.sin_family = AF_INET;
    any.sin_port = htons(address.port());
    memcpy(&storage, &any, bytes = sizeof(any));
  }
  // The kernel gives the file the mode of the socket, so there is no moment at which it has
  // another.
  const bool makes_file = address.is_unix() && !absl::StartsWith(address.unix_path(), "@");
  if ((makes_file && fchmod(fd(), S_IRUSR | S_IWUSR) != 0) ||
      bind(fd(), reinterpret_cast<const sockaddr*>(&storage), bytes) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("bind ", address));
  }
  return absl::OkStatus();
}

absl::Status Socket::Listen(int backlog) {
  return listen(fd(), backlog) == 0 ? absl::OkStatus() : absl::ErrnoToStatus(errno, "listen");
}

bool Socket::IsShutDown() const {
  pollfd one = {.fd = fd(), .events = POLLRDHUP, .revents = 0};
  return RetryOnSignal([&] { return poll(&one, 1, 0); }) == 1 &&
         (one.revents & (POLLHUP | POLLRDHUP)) != 0;
}

Socket::Accepted Socket::Accept() {
  sockaddr_storage storage;
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  socklen_t bytes = sizeof(storage);
  UniqueFd fd(RetryOnSignal([&] { return accept4(fd_.get(), address, &bytes, kFlags); }));
  if (!fd.valid()) return {.error = errno};
  absl::StatusOr<SocketAddress> peer = SocketAddress::FromSockaddr(address, bytes);
  if (!peer.ok()) return {.error = EAFNOSUPPORT};  // Better no connection than one from nobody.
  return {Socket(std::move(fd), address->sa_family), *std::move(peer)};
}

absl::StatusOr<IoResult> Socket::Connect(const SocketAddress& address) {
  if (address.is_any()) {
    return absl::InvalidArgumentError(absl::StrCat("connect ", address, ": not one address"));
  }
  sockaddr_storage storage;
  const socklen_t bytes = address.ToSockaddr(storage);
  if (connect(fd(), reinterpret_cast<const sockaddr*>(&storage), bytes) == 0) return IoResult();
  // An interrupted connect goes on in the background; calling it again would only say EALREADY.
  if (errno == EINPROGRESS || errno == EINTR) return IoResult(IoResult::kWantWrite);
  if (errno == EAGAIN) {
    return absl::ResourceExhaustedError(absl::StrCat("connect ", address, ": its queue is full"));
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("connect ", address));
}

absl::Status Socket::TakeError() {
  absl::StatusOr<int> error = GetOption<int>(fd(), SOL_SOCKET, SO_ERROR, "SO_ERROR");
  if (!error.ok()) return error.status();
  return *error == 0 ? absl::OkStatus() : absl::ErrnoToStatus(*error, "socket error");
}

IoResult socket_internal::NothingRead(ssize_t bytes) {
  return bytes == 0 ? IoResult(IoResult::kEnd) : Stopped(IoResult::kWantRead, IoCall::kRecv);
}

IoResult socket_internal::NothingWritten() { return Stopped(IoResult::kWantWrite, IoCall::kSend); }

IoResult Socket::Write(absl::Span<const iovec> from) {
  DCHECK(!from.empty() && from[0].iov_len > 0);
  if (from.size() == 1) return Write({static_cast<char*>(from[0].iov_base), from[0].iov_len});
  msghdr message = {};
  message.msg_iov = const_cast<iovec*>(from.data());  // Is only read.
  message.msg_iovlen = std::min<size_t>(from.size(), IOV_MAX);
  const ssize_t bytes = sendmsg(fd(), &message, MSG_NOSIGNAL);
  if (bytes >= 0) return {IoResult::kDone, static_cast<size_t>(bytes)};
  return Stopped(IoResult::kWantWrite, IoCall::kSend);
}

IoResult Socket::SendFile(int file, off_t offset, size_t count) {
  DCHECK_GT(count, 0u);
  const SigpipeGuard guard;
  const ssize_t bytes = sendfile(fd(), file, &offset, count);
  if (bytes > 0) return {IoResult::kDone, static_cast<size_t>(bytes)};
  return bytes == 0 ? IoResult(IoResult::kEnd) : Stopped(IoResult::kWantWrite, IoCall::kSendfile);
}

IoResult Socket::ShutdownWrite() {
  return shutdown(fd(), SHUT_WR) == 0 ? IoResult() : IoResult::Failed(IoCall::kShutdown, errno);
}

void Socket::ResetOnClose() {
  const linger at_once = {.l_onoff = 1, .l_linger = 0};
  // Cannot fail on a socket; and if it did, closing in good order is all that is left anyway.
  setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

absl::Status Socket::SetTcpOption(int level, int option, int value, const char* name) {
  if (family_ == AF_UNIX) return absl::OkStatus();
  absl::Status status = SetOption(fd(), level, option, value, name);
  // That is how a Unix socket says that it does not know TCP, when this one was taken over.
  return status.code() == absl::ErrnoToStatusCode(EOPNOTSUPP) ? absl::OkStatus() : status;
}

absl::Status Socket::SetNoDelay(bool on) {
  return SetTcpOption(IPPROTO_TCP, TCP_NODELAY, on, "TCP_NODELAY");
}

absl::Status Socket::SetKeepAlive(const KeepAlive& keep_alive) {
  absl::Status status =
      SetTcpOption(IPPROTO_TCP, TCP_KEEPIDLE, Seconds(keep_alive.idle), "TCP_KEEPIDLE");
  status.Update(
      SetTcpOption(IPPROTO_TCP, TCP_KEEPINTVL, Seconds(keep_alive.interval), "TCP_KEEPINTVL"));
  status.Update(SetTcpOption(IPPROTO_TCP, TCP_KEEPCNT, keep_alive.count, "TCP_KEEPCNT"));
  status.Update(SetTcpOption(IPPROTO_TCP, TCP_USER_TIMEOUT, Milliseconds(keep_alive.unacknowledged),
                             "TCP_USER_TIMEOUT"));
  status.Update(SetTcpOption(SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE"));
  return status;
}

absl::Status Socket::SetReuseAddress(bool on) {
  return SetOption(fd(), SOL_SOCKET, SO_REUSEADDR, on, "SO_REUSEADDR");
}

absl::Status Socket::SetReusePort(bool on) {
  return SetTcpOption(SOL_SOCKET, SO_REUSEPORT, on, "SO_REUSEPORT");
}

absl::Status Socket::SetSendBufferBytes(int bytes) {
  return SetOption(fd(), SOL_SOCKET, SO_SNDBUF, bytes, "SO_SNDBUF");
}

absl::Status Socket::SetReceiveBufferBytes(int bytes) {
  return SetOption(fd(), SOL_SOCKET, SO_RCVBUF, bytes, "SO_RCVBUF");
}

absl::StatusOr<tcp_info> Socket::TcpInfo() const {
  return GetOption<tcp_info>(fd(), IPPROTO_TCP, TCP_INFO, "TCP_INFO");
}

absl::StatusOr<SocketAddress> Socket::LocalAddress() const {
  sockaddr_storage storage;
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  socklen_t bytes = sizeof(storage);
  if (getsockname(fd(), address, &bytes) != 0) return absl::ErrnoToStatus(errno, "getsockname");
  const auto& ipv6 = *reinterpret_cast<const sockaddr_in6*>(address);
  if (ipv6.sin6_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&ipv6.sin6_addr)) {
    absl::StatusOr<int> only_ipv6 = GetOption<int>(fd(), IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY");
    if (only_ipv6.ok() && *only_ipv6 == 0) return SocketAddress::Any(ntohs(ipv6.sin6_port));
  }
  return SocketAddress::FromSockaddr(address, bytes);
}

absl::StatusOr<SocketAddress> Socket::PeerAddress() const {
  sockaddr_storage storage;
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  socklen_t bytes = sizeof(storage);
  if (getpeername(fd(), address, &bytes) != 0) return absl::ErrnoToStatus(errno, "getpeername");
  return SocketAddress::FromSockaddr(address, bytes);
}

absl::StatusOr<ucred> Socket::PeerCredentials() const {
  absl::StatusOr<ucred> peer = GetOption<ucred>(fd(), SOL_SOCKET, SO_PEERCRED, "SO_PEERCRED");
  // That is what the kernel says of sockets whose peer it does not know.
  if (peer.ok() && peer->uid == static_cast<uid_t>(-1)) {
    return absl::FailedPreconditionError("SO_PEERCRED: not a connected Unix socket");
  }
  return peer;
}

}  // namespace millrace
