// SPDX-License-Identifier: Apache-2.0
//
// The two system calls that every message makes, without the detour that libc takes. Its recv() and
// send() are cancellation points: in a process of several threads each prepares, before and after,
// for pthread_cancel(3), which nobody here uses, and that is more code than all of ours for a
// message. Stateless; any thread.
//
//   const ssize_t bytes = millrace_recv(fd, room.data(), room.size());

#ifndef MILLRACE_NET_SYSTEM_CALLS_H_
#define MILLRACE_NET_SYSTEM_CALLS_H_

#include <sys/types.h>

#include <cstddef>

namespace millrace {

// As recv(2) and send(2), the latter with MSG_NOSIGNAL. C names, so that a test can have them fail:
// see tests/support/fault_injection.h.
extern "C" ssize_t millrace_recv(int fd, void* into, size_t bytes);
extern "C" ssize_t millrace_send(int fd, const void* from, size_t bytes);

}  // namespace millrace

#endif  // MILLRACE_NET_SYSTEM_CALLS_H_
