// SPDX-License-Identifier: Apache-2.0
//
// Socket owns one non-blocking stream socket, TCP or Unix, and is where its system calls are made:
// each once, each errno mapped once. What moves bytes says how far it got by an IoResult, the
// others by a Status that names the call. A call that a signal interrupts is made again, or says
// that it is to be. No call raises SIGPIPE. Move-only, 8 bytes; whoever holds it owns it; one
// thread at a time.
//
//   absl::StatusOr<Socket> listener = Socket::CreateFor(address);
//   MILLRACE_RETURN_IF_ERROR(listener->Bind(address));
//   MILLRACE_RETURN_IF_ERROR(listener->Listen(backlog));
//   for (Socket::Accepted in = listener->Accept(); in.socket.valid(); in = listener->Accept()) ...

#ifndef MILLRACE_NET_SOCKET_H_
#define MILLRACE_NET_SOCKET_H_

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "net/io_result.h"
#include "net/socket_address.h"
#include "net/system_calls.h"

namespace millrace {

// When a silent TCP peer is probed, and given up. The system counts in whole seconds: rounded up.
struct KeepAlive {
  absl::Duration idle = absl::Seconds(60);      // Silence before the first probe.
  absl::Duration interval = absl::Seconds(10);  // Between probes.
  int count = 6;                                // Unanswered probes before the connection is dead.
  // How long bytes that were sent may stay unacknowledged, or the peer's window closed: no probe is
  // sent meanwhile. Zero: as long as the system tries, a quarter of an hour. See TCP_USER_TIMEOUT
  // in tcp(7).
  absl::Duration unacknowledged = absl::Seconds(120);
};

class Socket {
 public:
  struct Accepted;

  Socket() = default;  // Holds nothing: valid() is false.
  // Takes over a stream socket that is non-blocking and close-on-exec already.
  explicit Socket(UniqueFd fd) : fd_(std::move(fd)) {}

  // AF_INET, AF_INET6 or AF_UNIX.
  static absl::StatusOr<Socket> Create(int family);
  // A socket of the family that `address` needs. For "any" that is IPv6, which takes IPv4 peers too
  // once bound; on a machine without IPv6 it is IPv4, and Bind() then takes 0.0.0.0.
  static absl::StatusOr<Socket> CreateFor(const SocketAddress& address);
  // Two Unix sockets connected to each other.
  static absl::StatusOr<std::pair<Socket, Socket>> Pair();

  int fd() const { return fd_.get(); }
  bool valid() const { return fd_.valid(); }
  [[nodiscard]] UniqueFd Release() { return std::move(fd_); }

  // IPv6 sockets are bound to IPv6 alone, but for "any". A Unix socket's file is made with mode
  // 0600 (less the umask); a file that is there already, even one that nobody listens on, is an
  // error.
  absl::Status Bind(const SocketAddress& address);
  absl::Status Listen(int backlog);
  // Somebody has called shutdown(2) on this listener, perhaps in another process that has a copy.
  // Accept() alone does not tell: of a Unix one it says that nobody waits.
  bool IsShutDown() const;
  // Takes one waiting connection, non-blocking and close-on-exec. TCP options set on the listener
  // before are inherited by it. Never logs, never fails the process: the caller looks at `error`.
  Accepted Accept();

  // kDone: connected. kWantWrite: under way; when the socket is writable, TakeError() tells how it
  // went. A Unix listener whose queue is full makes this ResourceExhausted: no event would tell
  // when to try again.
  absl::StatusOr<IoResult> Connect(const SocketAddress& address);
  // The error that is pending on the socket, which is cleared by asking.
  absl::Status TakeError();

  // kDone with 1 or more bytes, kWantRead, or kEnd when the peer has finished writing.
  // Requires: room for at least one byte.
  IoResult Read(absl::Span<char> into);
  // kDone with the bytes taken, often fewer than given, or kWantWrite. Of pieces at most IOV_MAX
  // are looked at. Out of kernel memory (ENOBUFS, ENOMEM) is kFailed and not kWantWrite: the socket
  // polls as writable meanwhile, so waiting for it would spin.
  // Requires: at least one byte, and in the first piece.
  IoResult Write(absl::string_view bytes);
  IoResult Write(absl::Span<const iovec> from);
  // Sends up to `count` bytes of `file`, from `offset`, without copying them through user space.
  // kDone, kWantWrite, or kEnd when the file ends before `offset`: it was cut while being sent.
  // Requires: count > 0.
  IoResult SendFile(int file, off_t offset, size_t count);

  // Tells the peer that nothing more will be written. Reading goes on.
  IoResult ShutdownWrite();
  // Makes closing abort: what is unsent is dropped, and a TCP peer gets a reset.
  void ResetOnClose();

  // Those that only TCP knows are OK on Unix sockets, and do nothing.
  absl::Status SetNoDelay(bool on = true);
  absl::Status SetKeepAlive(const KeepAlive& keep_alive);
  absl::Status SetReuseAddress(bool on = true);
  absl::Status SetReusePort(bool on = true);
  // The kernel doubles these, and caps them at its own limits (net.core.[rw]mem_max).
  absl::Status SetSendBufferBytes(int bytes);
  absl::Status SetReceiveBufferBytes(int bytes);

  absl::StatusOr<tcp_info> TcpInfo() const;
  // A listener bound to "any" says so, with its real port.
  absl::StatusOr<SocketAddress> LocalAddress() const;
  absl::StatusOr<SocketAddress> PeerAddress() const;
  // Who is at the other end of a Unix socket; FailedPrecondition on others.
  absl::StatusOr<ucred> PeerCredentials() const;

 private:
  Socket(UniqueFd fd, int family) : fd_(std::move(fd)), family_(static_cast<int16_t>(family)) {}

  absl::Status SetTcpOption(int level, int option, int value, const char* name);

  UniqueFd fd_;
  // AF_UNSPEC if taken over from elsewhere. Kept so that no system call need ask.
  int16_t family_ = AF_UNSPEC;
};

namespace socket_internal {
// What errno means for a call that moved nothing; and, of the first, that it returned 0.
IoResult NothingRead(ssize_t bytes);
IoResult NothingWritten();
}  // namespace socket_internal

inline IoResult Socket::Read(absl::Span<char> into) {
  DCHECK(!into.empty());
  const ssize_t bytes = millrace_recv(fd(), into.data(), into.size());
  if (ABSL_PREDICT_FALSE(bytes <= 0)) return socket_internal::NothingRead(bytes);
  return {IoResult::kDone, static_cast<uint32_t>(bytes)};  // The system moves less than 2 GiB.
}

inline IoResult Socket::Write(absl::string_view bytes) {
  DCHECK(!bytes.empty());
  const ssize_t written = millrace_send(fd(), bytes.data(), bytes.size());
  if (ABSL_PREDICT_FALSE(written < 0)) return socket_internal::NothingWritten();
  return {IoResult::kDone, static_cast<uint32_t>(written)};
}

struct Socket::Accepted {
  Socket socket = {};
  SocketAddress peer = {};
  int error = 0;  // An errno; 0 if `socket` is valid, EAGAIN when nobody is waiting.
};

}  // namespace millrace

#endif  // MILLRACE_NET_SOCKET_H_
