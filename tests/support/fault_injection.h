// SPDX-License-Identifier: Apache-2.0
//
// ScopedFault makes system calls fail, or do only part of their work, in a test that depends on
// //tests/support:fault_injection. The linker's --wrap leads every call that is compiled into the
// test, our code's and the test's own, through here; what no ScopedFault is there for goes straight
// on to the system. (Calls made inside libc, such as fopen()'s open, are not reached.)
//
//   ScopedFault fault(Call::kRecv, {.error = EINTR, .times = 3});       // Three calls, then none.
//   ScopedFault fault(Call::kAccept4, {.error = EMFILE, .skip = 2});    // All but the first two.
//   ScopedFault fault(Call::kSend, {.short_bytes = 1, .fd = socket.fd()});
//   ScopedFault fault(Call::kSend, {.error = EPIPE, .from = CallsFrom::kOtherThreads});
//   ScopedFault one_event_per_wait(Call::kEpollWait, {.short_bytes = 1});
//   ScopedFault spy(Call::kSendmsg);                                    // Changes nothing, counts.
//   ...
//   EXPECT_EQ(fault.hits(), 3);
//
// A fault that never hits proves nothing: say in the test that it did. Faults last until they are
// destroyed, by whichever thread; they may be made and hit on several threads at once. Of several
// that fit a call, the one made last has it, and the others do not see it.

#ifndef MILLRACE_TESTS_SUPPORT_FAULT_INJECTION_H_
#define MILLRACE_TESTS_SUPPORT_FAULT_INJECTION_H_

#include <pthread.h>
#include <sys/types.h>

#include <cstddef>
#include <limits>

namespace millrace {

// Which system call. Code using another one adds it here, in the .cc, and in the BUILD file's list
// of --wrap flags. kRecv and kSend are also millrace_recv() and millrace_send().
enum class Call {
  kAccept4,
  kBind,
  kConnect,
  kEpollCreate1,
  kEpollCtl,
  kEpollWait,
  kEventfd,
  kGetsockopt,
  kListen,
  kPoll,
  kPread,
  kRead,
  kRecv,
  kSelect,
  kSend,
  kSendfile,
  kSendmsg,
  kSetsockopt,
  kShutdown,
  kSignalfd,
  kSocket,
  kTimerfdCreate,
  kTimerfdSettime,
  kWrite,
};
inline constexpr int kCalls = static_cast<int>(Call::kWrite) + 1;

// Whose calls, seen from the thread that makes the ScopedFault.
enum class CallsFrom { kAnyThread, kThisThread, kOtherThreads };

struct Fault {
  static constexpr int kAlways = std::numeric_limits<int>::max();
  static constexpr size_t kWhole = std::numeric_limits<size_t>::max();

  int error = 0;                // If not 0, the call is not made: it returns -1, and errno is this.
  int times = kAlways;          // So many hits, and the fault is spent.
  int skip = 0;                 // So many calls that fit pass untouched first.
  size_t short_bytes = kWhole;  // The call moves at most so many bytes; epoll_wait, events.
                                // With 0 recv() returns 0, which is what the end looks like.
  int fd = -1;                  // Only calls whose first argument is this descriptor; -1: all.
  CallsFrom from = CallsFrom::kAnyThread;
  bool made = false;  // With `error`: the call is made all the same, and only its result is hidden.
};

class ScopedFault {
 public:
  explicit ScopedFault(Call call, Fault fault = {});
  ScopedFault(const ScopedFault&) = delete;
  ScopedFault& operator=(const ScopedFault&) = delete;
  ~ScopedFault();

  // How many calls it met, after those skipped.
  int hits() const;
  // Whether it has hit `times` times.
  bool spent() const { return hits() >= fault_.times; }

 private:
  friend class Faults;

  const Call call_;
  const Fault fault_;
  const pthread_t maker_;
  // Those below are guarded by the lock of Faults.
  int skipped_ = 0;
  int hits_ = 0;
  ScopedFault* next_ = nullptr;  // Made before this one, for the same call.
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_FAULT_INJECTION_H_
