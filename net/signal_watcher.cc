// SPDX-License-Identifier: Apache-2.0
#include "net/signal_watcher.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/base/const_init.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace millrace {
namespace {

// Whose each signal is. Signals are the process's, so this must be, too.
ABSL_CONST_INIT absl::Mutex owners_mutex(absl::kConstInit);
const SignalHub* owners[NSIG] ABSL_GUARDED_BY(owners_mutex);

std::vector<int> NumbersIn(const sigset_t& signals) {
  std::vector<int> numbers;
  for (int number = 1; number < NSIG; ++number) {
    if (sigismember(&signals, number) == 1) numbers.push_back(number);
  }
  return numbers;
}

absl::StatusOr<sigset_t> SetOf(absl::Span<const int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (int number : signals) {
    if (number == SIGKILL || number == SIGSTOP || sigaddset(&set, number) != 0) {
      return absl::InvalidArgumentError(absl::StrCat("signal ", number, " cannot be watched"));
    }
  }
  return set;
}

}  // namespace

// All watchers of one loop, over one signalfd.
class SignalHub final : public IoHandler {
 public:
  explicit SignalHub(EventLoop& loop) : loop_(loop) {
    sigemptyset(&watched_);
    sigemptyset(&blocked_before_);
  }
  ~SignalHub() override { CHECK(watchers_.empty()) << "a SignalWatcher outlives its loop"; }

  absl::Status Add(const sigset_t& signals) LOOP_ONLY;
  void Attach(SignalWatcher& watcher) LOOP_ONLY;
  void Detach(SignalWatcher& watcher) LOOP_ONLY;
  void OnIo(Io ready) override LOOP_ONLY;

 private:
  absl::Status Claim(const sigset_t& signals);
  void Block(const sigset_t& signals);
  void GiveBack(int number);
  void GiveBackUnwatched(const sigset_t& signals) LOOP_ONLY;
  absl::Status ListenTo(const sigset_t& signals) LOOP_ONLY;
  // The number of the next one waiting; 0 if none is.
  int ReadOne();
  void Tell(int number) LOOP_ONLY;
  static void TellOne(SignalWatcher& watcher, int number) LOOP_ONLY;

  EventLoop& loop_;
  sigset_t watched_;
  sigset_t blocked_before_;  // Of those: what the thread had blocked when we came.
  std::array<int, NSIG> watchers_of_ = {};
  UniqueFd fd_;
  Registration registration_;
  IntrusiveList<SignalWatcher, SignalWatcher> watchers_;
};

absl::Status SignalHub::Claim(const sigset_t& signals) {
  absl::MutexLock lock(&owners_mutex);
  for (int number : NumbersIn(signals)) {
    if (owners[number] == nullptr || owners[number] == this) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("another loop watches signal ", number, " (", strsignal(number), ")"));
  }
  for (int number : NumbersIn(signals)) owners[number] = this;
  return absl::OkStatus();
}

absl::Status SignalHub::ListenTo(const sigset_t& signals) {
  const int fd = signalfd(fd_.valid() ? fd_.get() : -1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, "signalfd");
  watched_ = signals;
  if (!fd_.valid()) fd_.Reset(fd);
  if (registration_.active()) return absl::OkStatus();
  MILLRACE_ASSIGN_OR_RETURN(registration_, loop_.Watch(fd, Io::kRead, *this));
  return absl::OkStatus();
}

void SignalHub::Block(const sigset_t& signals) {
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &signals, &before);
  for (int number : NumbersIn(signals)) {
    const bool is_new = watchers_of_[number] == 0;
    if (is_new && sigismember(&before, number) == 1) sigaddset(&blocked_before_, number);
  }
}

absl::Status SignalHub::Add(const sigset_t& signals) {
  MILLRACE_RETURN_IF_ERROR(Claim(signals));
  sigset_t all = watched_;
  for (int number : NumbersIn(signals)) sigaddset(&all, number);
  Block(signals);
  absl::Status status = ListenTo(all);
  if (!status.ok()) GiveBackUnwatched(signals);
  return status;
}

void SignalHub::Attach(SignalWatcher& watcher) {
  watchers_.PushBack(watcher);
  for (int number : NumbersIn(watcher.signals_)) ++watchers_of_[number];
}

void SignalHub::Detach(SignalWatcher& watcher) {
  static_cast<ListLink<SignalWatcher>&>(watcher).Unlink();
  for (int number : NumbersIn(watcher.signals_)) --watchers_of_[number];
  GiveBackUnwatched(watcher.signals_);
}

void SignalHub::GiveBackUnwatched(const sigset_t& signals) {
  for (int number : NumbersIn(signals)) {
    if (watchers_of_[number] == 0) GiveBack(number);
  }
  // Only takes some away, which cannot fail.
  if (fd_.valid()) ListenTo(watched_).IgnoreError();
}

// What still waits would act the moment it is unblocked, on a process that meant to handle it.
void SignalHub::GiveBack(int number) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  const timespec no_wait = {};
  while (sigtimedwait(&one, nullptr, &no_wait) == number) {
  }
  sigdelset(&watched_, number);
  if (sigismember(&blocked_before_, number) == 0) pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
  sigdelset(&blocked_before_, number);
  absl::MutexLock lock(&owners_mutex);
  owners[number] = nullptr;
}

int SignalHub::ReadOne() {
  signalfd_siginfo info;
  ssize_t n;
  do {
    n = read(fd_.get(), &info, sizeof info);
  } while (n < 0 && errno == EINTR);
  return n == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

// One signal a call: the rest makes the descriptor ready again, and others go first.
void SignalHub::OnIo(Io) {
  if (const int number = ReadOne()) Tell(number);
}

// A callback may end any watcher: those go out of whichever of the two lists they are in.
void SignalHub::Tell(int number) {
  IntrusiveList<SignalWatcher, SignalWatcher> untold;
  untold.TakeAll(watchers_);
  while (!untold.empty()) {
    SignalWatcher& watcher = untold.PopFront();
    watchers_.PushBack(watcher);
    if (sigismember(&watcher.signals_, number) == 1) TellOne(watcher, number);
  }
}

// The callback is held here while it runs, for it may destroy its watcher.
void SignalHub::TellOne(SignalWatcher& watcher, int number) {
  bool destroyed = false;
  watcher.destroyed_ = &destroyed;
  ++watcher.heard_;
  SignalWatcher::OnSignal on_signal = std::move(watcher.on_signal_);
  on_signal(number);
  if (destroyed) return;
  watcher.on_signal_ = std::move(on_signal);
  watcher.destroyed_ = nullptr;
}

SignalWatcher::SignalWatcher(SignalHub& hub, const sigset_t& signals, OnSignal on_signal)
    : hub_(hub), signals_(signals), on_signal_(std::move(on_signal)) {}

absl::StatusOr<std::unique_ptr<SignalWatcher>> SignalWatcher::Create(EventLoop& loop,
                                                                     absl::Span<const int> signals,
                                                                     OnSignal on_signal) {
  MILLRACE_ASSIGN_OR_RETURN(const sigset_t set, SetOf(signals));
  SignalHub& hub = loop.Local<SignalHub>();
  MILLRACE_RETURN_IF_ERROR(hub.Add(set));
  auto watcher = absl::WrapUnique(new SignalWatcher(hub, set, std::move(on_signal)));
  hub.Attach(*watcher);
  return watcher;
}

SignalWatcher::~SignalWatcher() {
  AssertOnLoop();
  if (destroyed_ != nullptr) *destroyed_ = true;
  hub_.Detach(*this);
}

}  // namespace millrace
