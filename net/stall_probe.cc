// SPDX-License-Identifier: Apache-2.0
#include "net/stall_probe.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <string>
#include <utility>

#include "absl/base/const_init.h"
#include "absl/debugging/stacktrace.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "net/event_loop.h"

namespace millrace {
namespace {

// Where a question lies and its answer is written. The word says how far it is: the number of the
// question, and in its last two bits one of these. A thread that answers takes the question by
// comparing the whole word, so that the answer to an old one never becomes that to a new one.
enum Phase : uint64_t { kFree, kAsked, kWriting, kWritten, kPhaseMask = 3 };

struct Desk {
  std::atomic<uint64_t> word{kFree};
  std::atomic<const LoopPulse*> about{nullptr};  // Only compared: it may be gone.
  StallAnswer answer;                            // Of who has set the word to kWriting.
  sem_t written;                                 // Rung after each answer.
};

Desk desk;
ABSL_CONST_INIT absl::Mutex asking(absl::kConstInit);  // Held by who asks.

// --- On the thread that is asked ---

// The unwinder of GCC 12 finds its tables without a lock (_dl_find_object in glibc 2.35), so that a
// signal handler may use it; libgcc's and libunwind's older ones may wait for the very thread that
// they interrupt. Those who have only these go by frame pointers. That is safe everywhere, but
// loses the caller of a function that keeps none, as most of libc's.
#if defined(__GLIBC_PREREQ) && !defined(MILLRACE_FRAME_POINTERS_ONLY)
#if __GLIBC_PREREQ(2, 35)
#define MILLRACE_HAS_SAFE_UNWINDER 1
#endif
#endif

#ifdef MILLRACE_HAS_SAFE_UNWINDER
struct Walk {
  StallAnswer& into;
  bool met_interrupted = false;
};

_Unwind_Reason_Code OnFrame(_Unwind_Context* context, void* argument) {
  Walk& walk = *static_cast<Walk*>(argument);
  StallAnswer& into = walk.into;
  int interrupted = 0;  // Whether this one was interrupted by a signal, and so made no call.
  const uintptr_t at = _Unwind_GetIPInfo(context, &interrupted);
  if (interrupted != 0 && !std::exchange(walk.met_interrupted, true)) {
    into.stack_size = 0;  // What came before were our own.
  }
  if (at == 0 || into.stack_size == kStallFramesMax) return _URC_END_OF_STACK;
  // A return address may belong to the line, or the function, behind the call.
  into.stack[into.stack_size++] = reinterpret_cast<void*>(interrupted != 0 ? at : at - 1);
  return _URC_NO_REASON;
}

void WriteStack(StallAnswer& into, void*) {
  Walk walk = {into};
  into.stack_size = 0;
  _Unwind_Backtrace(OnFrame, &walk);
}
#else
void WriteStack(StallAnswer& into, void* context) {
  into.stack_size = absl::GetStackTraceWithContext(into.stack.data(), kStallFramesMax,
                                                   /*skip_count=*/2, context, nullptr);
}
#endif

void Answer(void* context) {
  uint64_t word = desk.word.load(std::memory_order_acquire);
  if ((word & kPhaseMask) != kAsked) return;
  TurnDescription turn;
  if (!EventLoop::DescribeTurn(desk.about.load(std::memory_order_relaxed), turn)) return;
  if (!desk.word.compare_exchange_strong(word, word + (kWriting - kAsked))) return;
  desk.answer.turn = turn;
  WriteStack(desk.answer, context);
  desk.word.store(word + (kWritten - kAsked), std::memory_order_release);
  sem_post(&desk.written);
}

void OnSignal(int, siginfo_t*, void* context) {
  const int saved = errno;
  Answer(context);
  errno = saved;
}

// --- On the thread that asks ---

absl::Status Install(int number) {
  struct sigaction now, ours = {};
  ours.sa_sigaction = OnSignal;
  ours.sa_flags = SA_SIGINFO | SA_RESTART;
  sigfillset(&ours.sa_mask);
  if (sigaction(number, nullptr, &now) != 0) return absl::ErrnoToStatus(errno, "sigaction");
  if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == OnSignal) return absl::OkStatus();
  if ((now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler != SIG_DFL) {
    return absl::FailedPreconditionError(absl::StrCat("signal ", number, " has a handler already"));
  }
  if (sigaction(number, &ours, nullptr) != 0) return absl::ErrnoToStatus(errno, "sigaction");
  return absl::OkStatus();
}

// What is done at the first time, and must not be done in a signal handler.
void WarmUp() {
  sem_init(&desk.written, /*pshared=*/0, 0);
  WriteStack(desk.answer, nullptr);
}

// Whether the question of this number has been answered by then.
bool WaitForAnswer(uint64_t question, absl::Duration timeout) {
  timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until = absl::ToTimespec(absl::DurationFromTimespec(until) + timeout);
  while (desk.word.load(std::memory_order_acquire) != question + kWritten) {
    // It may ring for an earlier answer, and a signal may come.
    if (sem_clockwait(&desk.written, CLOCK_MONOTONIC, &until) != 0 && errno != EINTR) {
      return desk.word.load(std::memory_order_acquire) == question + kWritten;
    }
  }
  return true;
}

// The line "name: value" of /proc/self/task/THREAD/status; empty if there is none.
std::string StatusLine(pid_t thread, absl::string_view name) {
  std::ifstream file(absl::StrCat("/proc/self/task/", thread, "/status"));
  for (std::string line; std::getline(file, line);) {
    absl::string_view rest = line;
    if (absl::ConsumePrefix(&rest, name) && absl::ConsumePrefix(&rest, ":\t")) {
      return std::string(rest);
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<StallProbe> StallProbe::Create(int signal_number) {
  if (signal_number < SIGRTMIN || signal_number > SIGRTMAX) {
    return absl::InvalidArgumentError(absl::StrCat(
        "signal ", signal_number, " is not a real-time one: ", SIGRTMIN, " to ", SIGRTMAX));
  }
  absl::MutexLock lock(&asking);
  static const bool warm = (WarmUp(), true);
  (void)warm;
  const absl::Status installed = Install(signal_number);
  if (!installed.ok()) return installed;
  return StallProbe(signal_number);
}

absl::StatusOr<StallAnswer> StallProbe::Ask(const LoopPulse& loop, absl::Duration timeout) const {
  absl::MutexLock lock(&asking);
  const uint64_t last = desk.word.load(std::memory_order_acquire);
  if ((last & kPhaseMask) == kWriting) {
    return absl::UnavailableError("the thread that was asked before is still writing");
  }
  const uint64_t question = (last & ~uint64_t{kPhaseMask}) + kPhaseMask + 1;
  desk.about.store(&loop, std::memory_order_relaxed);
  desk.word.store(question + kAsked, std::memory_order_release);
  const pid_t thread = loop.thread();
  absl::Status failed;
  if (syscall(SYS_tgkill, getpid(), thread, signal_number_) != 0) {
    failed = absl::ErrnoToStatus(errno, absl::StrCat("no signal to thread ", thread));
  } else if (!WaitForAnswer(question, timeout)) {
    failed = absl::DeadlineExceededError(WhyNoAnswer(thread));
  }
  uint64_t asked = question + kAsked;
  // Taken back; unless it writes just now.
  if (!failed.ok() && desk.word.compare_exchange_strong(asked, question + kFree)) return failed;
  if (!failed.ok() && !WaitForAnswer(question, timeout)) return failed;
  return desk.answer;
}

std::string StallProbe::WhyNoAnswer(pid_t thread) const {
  const std::string state = StatusLine(thread, "State");
  uint64_t blocked = 0;
  const bool known = absl::SimpleHexAtoi(StatusLine(thread, "SigBlk"), &blocked);
  const bool blocks = known && ((blocked >> (signal_number_ - 1)) & 1) != 0;
  return absl::StrCat("the thread does not answer: its state is ", state,
                      blocks ? absl::StrCat(", and it blocks signal ", signal_number_) : "");
}

}  // namespace millrace
