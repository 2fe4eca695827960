// SPDX-License-Identifier: Apache-2.0
//
// Leads the system calls on sockets to the SimNetwork of this thread, if there is one and the
// descriptor is simulated. By the linker's --wrap: __wrap_X is what calls of X come to, __real_X is
// X. So the code that is simulated is the code that runs, down to its last system call, and costs
// nothing where there is no simulation. (Calls made inside libc are not reached.)
#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>

#include "absl/log/check.h"
#include "net/sim/sim_network.h"

namespace {

using millrace::SimNetwork;

bool IsSimulated(int fd) { return fd >= SimNetwork::kFirstFd && SimNetwork::Current() != nullptr; }

SimNetwork& Network() { return *SimNetwork::Current(); }

}  // namespace

extern "C" {

// A call on a descriptor.
#define MILLRACE_SIMULATE(Result, name, parameters, arguments, simulated)   \
  Result __real_##name parameters;                                          \
  Result __wrap_##name parameters {                                         \
    return IsSimulated(fd) ? Network().simulated : __real_##name arguments; \
  }

MILLRACE_SIMULATE(int, accept4, (int fd, sockaddr* peer, socklen_t* bytes, int flags),
                  (fd, peer, bytes, flags), Accept(fd, peer, bytes))
MILLRACE_SIMULATE(int, bind, (int fd, const sockaddr* address, socklen_t bytes),
                  (fd, address, bytes), Bind(fd, address, bytes))
MILLRACE_SIMULATE(int, close, (int fd), (fd), Close(fd))
MILLRACE_SIMULATE(int, connect, (int fd, const sockaddr* address, socklen_t bytes),
                  (fd, address, bytes), Connect(fd, address, bytes))
MILLRACE_SIMULATE(int, getpeername, (int fd, sockaddr* address, socklen_t* bytes),
                  (fd, address, bytes), PeerName(fd, address, bytes))
MILLRACE_SIMULATE(int, getsockname, (int fd, sockaddr* address, socklen_t* bytes),
                  (fd, address, bytes), LocalName(fd, address, bytes))
MILLRACE_SIMULATE(int, getsockopt, (int fd, int level, int option, void* value, socklen_t* bytes),
                  (fd, level, option, value, bytes), GetOption(fd, level, option, value, bytes))
MILLRACE_SIMULATE(int, setsockopt,
                  (int fd, int level, int option, const void* value, socklen_t bytes),
                  (fd, level, option, value, bytes), SetOption(fd, level, option, value, bytes))
MILLRACE_SIMULATE(int, listen, (int fd, int backlog), (fd, backlog), Listen(fd, backlog))
MILLRACE_SIMULATE(ssize_t, millrace_recv, (int fd, void* into, size_t bytes), (fd, into, bytes),
                  Receive(fd, into, bytes))
MILLRACE_SIMULATE(ssize_t, sendfile, (int fd, int file, off_t* offset, size_t count),
                  (fd, file, offset, count), SendFile(fd, file, offset, count))
MILLRACE_SIMULATE(ssize_t, read, (int fd, void* into, size_t bytes), (fd, into, bytes),
                  ReadEvent(fd, into, bytes))
MILLRACE_SIMULATE(ssize_t, write, (int fd, const void* from, size_t bytes), (fd, from, bytes),
                  WriteEvent(fd, from, bytes))

ssize_t __real_millrace_send(int fd, const void* from, size_t bytes);
ssize_t __wrap_millrace_send(int fd, const void* from, size_t bytes) {
  if (!IsSimulated(fd)) return __real_millrace_send(fd, from, bytes);
  const iovec piece = {const_cast<void*>(from), bytes};
  return Network().Send(fd, {&piece, 1});
}

int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how) {
  if (!IsSimulated(fd)) return __real_shutdown(fd, how);
  CHECK_EQ(how, SHUT_WR) << "only the end of output is simulated";
  return Network().Shutdown(fd);
}

ssize_t __real_sendmsg(int fd, const msghdr* message, int flags);
ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags) {
  if (!IsSimulated(fd)) return __real_sendmsg(fd, message, flags);
  CHECK_EQ(flags, MSG_NOSIGNAL) << "no other flag is simulated, and no SIGPIPE";
  return Network().Send(fd, {message->msg_iov, message->msg_iovlen});
}

// Those that make something: what this thread makes is simulated.
int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol) {
  if (SimNetwork::Current() == nullptr) return __real_socket(family, type, protocol);
  return Network().Socket(family);
}

int __real_eventfd(unsigned int count, int flags);
int __wrap_eventfd(unsigned int count, int flags) {
  return SimNetwork::Current() == nullptr ? __real_eventfd(count, flags) : Network().EventFd(count);
}

ssize_t __real_getrandom(void* into, size_t bytes, unsigned int flags);
ssize_t __wrap_getrandom(void* into, size_t bytes, unsigned int flags) {
  if (SimNetwork::Current() == nullptr) return __real_getrandom(into, bytes, flags);
  Network().FillRandom(into, bytes);
  return static_cast<ssize_t>(bytes);
}

}  // extern "C"
