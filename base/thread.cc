// SPDX-License-Identifier: Apache-2.0
#include "base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

constexpr size_t kNameBytesMax = 15;

// A single cpu_set_t ends at 1,024 CPUs; kernels can be built for 8,192.
constexpr int kCpusMax = 8 * CPU_SETSIZE;
using CpuSet = std::array<cpu_set_t, kCpusMax / CPU_SETSIZE>;

// What a new thread takes with it.
struct Luggage {
  Thread::Options options;
  absl::AnyInvocable<void() &&> body;
};

absl::Status PinToCpu(int cpu) {
  if (cpu < 0 || cpu >= kCpusMax) return absl::InvalidArgumentError("no such CPU");
  CpuSet set = {};
  CPU_SET_S(cpu, sizeof(set), set.data());
  const int error = pthread_setaffinity_np(pthread_self(), sizeof(set), set.data());
  return error == 0 ? absl::OkStatus() : absl::ErrnoToStatus(error, "pthread_setaffinity_np");
}

// Name and CPU are set by the thread itself, before its body: so the memory the body touches first
// is near its CPU.
void* RunThread(void* argument) {
  std::unique_ptr<Luggage> luggage(static_cast<Luggage*>(argument));
  const Thread::Options& options = luggage->options;
  pthread_setname_np(pthread_self(), options.name.substr(0, kNameBytesMax).c_str());
  if (options.cpu.has_value()) {
    const absl::Status pinned = PinToCpu(*options.cpu);
    LOG_IF(WARNING, !pinned.ok()) << "thread " << options.name << " is not pinned to CPU "
                                  << *options.cpu << ": " << pinned;
  }
  std::move(luggage->body)();
  return nullptr;
}

// All but those by which the kernel reports what the thread itself did wrong. SIGPIPE is one of
// them, but a write tells as much by EPIPE.
sigset_t BlockedSignals() {
  sigset_t set;
  sigfillset(&set);
  for (int fault : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP}) {
    sigdelset(&set, fault);
  }
  return set;
}

// A new thread inherits the mask, so it is set around the creation: set by the new thread itself, a
// signal could come before.
int CreateWithSignalsBlocked(pthread_t* thread, Luggage* luggage) {
  const sigset_t blocked = BlockedSignals();
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const int error = pthread_create(thread, nullptr, RunThread, luggage);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

}  // namespace

absl::StatusOr<Thread> Thread::Start(Options options, absl::AnyInvocable<void() &&> body) {
  auto luggage = std::make_unique<Luggage>(Luggage{std::move(options), std::move(body)});
  pthread_t thread;
  const int error = luggage->options.blocks_signals
                        ? CreateWithSignalsBlocked(&thread, luggage.get())
                        : pthread_create(&thread, nullptr, RunThread, luggage.get());
  if (error == EAGAIN) {  // Which ErrnoToStatus would call Unavailable, as for a socket.
    return absl::ResourceExhaustedError(absl::StrCat("pthread_create ", luggage->options.name,
                                                     ": no more threads can be made (EAGAIN)"));
  }
  if (error != 0) {
    return absl::ErrnoToStatus(error, absl::StrCat("pthread_create ", luggage->options.name));
  }
  luggage.release();  // RunThread owns it now.
  return Thread(thread);
}

Thread& Thread::operator=(Thread&& other) noexcept {
  if (this == &other) return *this;
  if (joinable()) Join();
  thread_ = std::exchange(other.thread_, std::nullopt);
  return *this;
}

Thread::~Thread() {
  if (joinable()) Join();
}

void Thread::Join() {
  CHECK(joinable()) << "there is no thread to join";
  CHECK(!pthread_equal(*thread_, pthread_self())) << "a thread joins itself";
  const int error = pthread_join(*thread_, nullptr);
  CHECK_EQ(error, 0) << "pthread_join";
  thread_.reset();
}

std::vector<int> AvailableCpuList() {
  CpuSet set = {};
  if (sched_getaffinity(0, sizeof(set), set.data()) != 0) return {0};
  std::vector<int> cpus;
  for (int cpu = 0; cpu < kCpusMax; ++cpu) {
    if (CPU_ISSET_S(cpu, sizeof(set), set.data())) cpus.push_back(cpu);
  }
  return cpus;
}

int AvailableCpus() { return static_cast<int>(AvailableCpuList().size()); }

}  // namespace millrace
