// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fault_injection.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <vector>

#include "absl/base/const_init.h"
#include "absl/cleanup/cleanup.h"
#include "absl/synchronization/mutex.h"
#include "net/system_calls.h"

namespace millrace {

// All faults that there are.
class Faults {
 public:
  static void Add(ScopedFault& fault) {
    absl::MutexLock lock(&mutex_);
    Site& site = SiteOf(fault.call_);
    fault.next_ = site.newest;
    site.newest = &fault;
    site.count.fetch_add(1, std::memory_order_relaxed);
  }

  static void Remove(ScopedFault& fault) {
    absl::MutexLock lock(&mutex_);
    Site& site = SiteOf(fault.call_);
    ScopedFault** place = &site.newest;
    while (*place != &fault) place = &(*place)->next_;
    *place = fault.next_;
    site.count.fetch_sub(1, std::memory_order_relaxed);
  }

  static int Hits(const ScopedFault& fault) {
    absl::MutexLock lock(&mutex_);
    return fault.hits_;
  }

  // What is to happen to this call; nothing, if empty.
  static std::optional<Fault> Meet(Call call, int fd) {
    // Costs next to nothing where there is no fault, so that one in a busy test does not slow all.
    if (SiteOf(call).count.load(std::memory_order_relaxed) == 0) return std::nullopt;
    absl::MutexLock lock(&mutex_);
    for (ScopedFault* fault = SiteOf(call).newest; fault != nullptr; fault = fault->next_) {
      if (!Fits(*fault, fd)) continue;
      if (fault->skipped_++ < fault->fault_.skip) return std::nullopt;
      ++fault->hits_;
      return fault->fault_;
    }
    return std::nullopt;
  }

 private:
  struct Site {
    std::atomic<int> count;
    ScopedFault* newest;
  };

  static Site& SiteOf(Call call) { return sites_[static_cast<int>(call)]; }

  static bool Fits(const ScopedFault& fault, int fd) {
    if (fault.hits_ >= fault.fault_.times) return false;
    if (fault.fault_.fd >= 0 && fault.fault_.fd != fd) return false;
    if (fault.fault_.from == CallsFrom::kAnyThread) return true;
    const bool is_maker = pthread_equal(fault.maker_, pthread_self()) != 0;
    return is_maker == (fault.fault_.from == CallsFrom::kThisThread);
  }

  // Work before main() and after it, for the calls that others make there.
  ABSL_CONST_INIT static absl::Mutex mutex_;
  static Site sites_[kCalls];
};

ABSL_CONST_INIT absl::Mutex Faults::mutex_(absl::kConstInit);
Faults::Site Faults::sites_[kCalls];

ScopedFault::ScopedFault(Call call, Fault fault)
    : call_(call), fault_(fault), maker_(pthread_self()) {
  Faults::Add(*this);
}

ScopedFault::~ScopedFault() { Faults::Remove(*this); }

int ScopedFault::hits() const { return Faults::Hits(*this); }

namespace {

// Whether this thread is inside a call that leads through here. What that calls in its turn is the
// same one, not to be met twice: under a sanitizer millrace_recv() calls recv().
thread_local bool inside_a_call = false;

// Makes the call as `make(most)`, with what it may move at most, unless a fault has it fail.
template <typename Make>
auto Pass(Call call, int fd, Make make) -> decltype(make(size_t{0})) {
  if (inside_a_call) return make(Fault::kWhole);
  inside_a_call = true;
  const absl::Cleanup outside_again = [] { inside_a_call = false; };
  const std::optional<Fault> fault = Faults::Meet(call, fd);
  if (!fault.has_value()) return make(Fault::kWhole);
  if (fault->error == 0) return make(fault->short_bytes);
  if (fault->made) make(Fault::kWhole);
  errno = fault->error;
  return -1;
}

// The pieces up to `most` bytes.
std::vector<iovec> Cut(const iovec* pieces, size_t count, size_t most) {
  std::vector<iovec> cut(pieces, pieces + count);
  for (iovec& piece : cut) {
    piece.iov_len = std::min(piece.iov_len, most);
    most -= piece.iov_len;
  }
  return cut;
}

}  // namespace
}  // namespace millrace

// __wrap_X is what calls of X lead to; __real_X is X.
extern "C" {

#define MILLRACE_WRAP(call, Result, name, parameters, fd, make)                \
  Result __real_##name parameters;                                             \
  Result __wrap_##name parameters {                                            \
    return millrace::Pass(millrace::Call::call, fd,                            \
                          [&]([[maybe_unused]] size_t most) { return make; }); \
  }

MILLRACE_WRAP(kAccept4, int, accept4, (int fd, sockaddr* peer, socklen_t* bytes, int flags), fd,
              __real_accept4(fd, peer, bytes, flags))
MILLRACE_WRAP(kBind, int, bind, (int fd, const sockaddr* address, socklen_t bytes), fd,
              __real_bind(fd, address, bytes))
MILLRACE_WRAP(kConnect, int, connect, (int fd, const sockaddr* address, socklen_t bytes), fd,
              __real_connect(fd, address, bytes))
MILLRACE_WRAP(kEpollCreate1, int, epoll_create1, (int flags), -1, __real_epoll_create1(flags))
MILLRACE_WRAP(kEpollCtl, int, epoll_ctl, (int epoll, int operation, int fd, epoll_event* event),
              epoll, __real_epoll_ctl(epoll, operation, fd, event))
MILLRACE_WRAP(kEpollWait, int, epoll_wait, (int epoll, epoll_event* events, int count, int timeout),
              epoll,
              __real_epoll_wait(epoll, events, static_cast<int>(std::min<size_t>(count, most)),
                                timeout))
MILLRACE_WRAP(kEventfd, int, eventfd, (unsigned int value, int flags), -1,
              __real_eventfd(value, flags))
MILLRACE_WRAP(kGetsockopt, int, getsockopt,
              (int fd, int level, int option, void* value, socklen_t* bytes), fd,
              __real_getsockopt(fd, level, option, value, bytes))
MILLRACE_WRAP(kListen, int, listen, (int fd, int backlog), fd, __real_listen(fd, backlog))
MILLRACE_WRAP(kPoll, int, poll, (pollfd * polled, nfds_t count, int timeout), -1,
              __real_poll(polled, count, timeout))
MILLRACE_WRAP(kPread, ssize_t, pread, (int fd, void* into, size_t bytes, off_t offset), fd,
              __real_pread(fd, into, std::min(bytes, most), offset))
MILLRACE_WRAP(kRead, ssize_t, read, (int fd, void* into, size_t bytes), fd,
              __real_read(fd, into, std::min(bytes, most)))
MILLRACE_WRAP(kRecv, ssize_t, recv, (int fd, void* into, size_t bytes, int flags), fd,
              __real_recv(fd, into, std::min(bytes, most), flags))
MILLRACE_WRAP(kRecv, ssize_t, millrace_recv, (int fd, void* into, size_t bytes), fd,
              __real_millrace_recv(fd, into, std::min(bytes, most)))
MILLRACE_WRAP(kSelect, int, select,
              (int end, fd_set* reading, fd_set* writing, fd_set* failing, timeval* timeout), -1,
              __real_select(end, reading, writing, failing, timeout))
MILLRACE_WRAP(kSend, ssize_t, send, (int fd, const void* from, size_t bytes, int flags), fd,
              __real_send(fd, from, std::min(bytes, most), flags))
MILLRACE_WRAP(kSend, ssize_t, millrace_send, (int fd, const void* from, size_t bytes), fd,
              __real_millrace_send(fd, from, std::min(bytes, most)))
MILLRACE_WRAP(kSendfile, ssize_t, sendfile, (int fd, int file, off_t* offset, size_t bytes), fd,
              __real_sendfile(fd, file, offset, std::min(bytes, most)))
MILLRACE_WRAP(kSetsockopt, int, setsockopt,
              (int fd, int level, int option, const void* value, socklen_t bytes), fd,
              __real_setsockopt(fd, level, option, value, bytes))
MILLRACE_WRAP(kShutdown, int, shutdown, (int fd, int how), fd, __real_shutdown(fd, how))
MILLRACE_WRAP(kSignalfd, int, signalfd, (int fd, const sigset_t* signals, int flags), fd,
              __real_signalfd(fd, signals, flags))
MILLRACE_WRAP(kSocket, int, socket, (int family, int type, int protocol), -1,
              __real_socket(family, type, protocol))
MILLRACE_WRAP(kTimerfdCreate, int, timerfd_create, (int clock, int flags), -1,
              __real_timerfd_create(clock, flags))
MILLRACE_WRAP(kTimerfdSettime, int, timerfd_settime,
              (int fd, int flags, const itimerspec* setting, itimerspec* before), fd,
              __real_timerfd_settime(fd, flags, setting, before))
MILLRACE_WRAP(kWrite, ssize_t, write, (int fd, const void* from, size_t bytes), fd,
              __real_write(fd, from, std::min(bytes, most)))

#undef MILLRACE_WRAP

ssize_t __real_sendmsg(int fd, const msghdr* message, int flags);
ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags) {
  return millrace::Pass(millrace::Call::kSendmsg, fd, [&](size_t most) {
    if (most == millrace::Fault::kWhole) return __real_sendmsg(fd, message, flags);
    msghdr cut = *message;
    std::vector<iovec> pieces = millrace::Cut(message->msg_iov, message->msg_iovlen, most);
    cut.msg_iov = pieces.data();
    return __real_sendmsg(fd, &cut, flags);
  });
}

}  // extern "C"
