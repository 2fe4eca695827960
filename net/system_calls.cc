// SPDX-License-Identifier: Apache-2.0
#include "net/system_calls.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/base/attributes.h"
#include "absl/base/config.h"
#include "absl/base/optimization.h"

namespace millrace {

// Sanitizers watch what goes through libc, and would not see these.
#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER) || \
    defined(ABSL_HAVE_MEMORY_SANITIZER)

ssize_t millrace_recv(int fd, void* into, size_t bytes) { return recv(fd, into, bytes, 0); }

ssize_t millrace_send(int fd, const void* from, size_t bytes) {
  return send(fd, from, bytes, MSG_NOSIGNAL);
}

#else

namespace {

ABSL_ATTRIBUTE_NOINLINE ssize_t Failed(ssize_t result) {
  errno = static_cast<int>(-result);
  return -1;
}

// Of a socket, without an address. Returns as the call in libc would.
ssize_t Call(long number, long fd, const void* memory, size_t bytes, long flags) {
#if defined(__x86_64__)
  // As the kernel takes them; see syscall(2), "Architecture calling conventions".
  register long flags_in asm("r10") = flags;
  register const void* no_address asm("r8") = nullptr;
  register long no_length asm("r9") = 0;
  ssize_t result = number;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(fd), "S"(memory), "d"(bytes), "r"(flags_in), "r"(no_address), "r"(no_length)
               : "rcx", "r11", "memory");
  return ABSL_PREDICT_TRUE(result >= 0) ? result : Failed(result);
#else
  return syscall(number, fd, memory, bytes, flags, nullptr, 0);
#endif
}

}  // namespace

ssize_t millrace_recv(int fd, void* into, size_t bytes) {
  return Call(SYS_recvfrom, fd, into, bytes, 0);
}

ssize_t millrace_send(int fd, const void* from, size_t bytes) {
  return Call(SYS_sendto, fd, from, bytes, MSG_NOSIGNAL);
}

#endif

}  // namespace millrace
