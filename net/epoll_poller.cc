// SPDX-License-Identifier: Apache-2.0
#include "net/epoll_poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/monotonic_time.h"
#include "base/slot_map.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace millrace {
namespace {

// What the alarm reports: no token has this generation.
constexpr uint64_t kAlarm = UINT64_MAX;

uint64_t Pack(Token token) { return std::bit_cast<uint64_t>(token); }
Token Unpack(uint64_t data) { return std::bit_cast<Token>(data); }

uint32_t ToEpoll(Io interest) {
  return (Any(interest & Io::kRead) ? EPOLLIN : 0u) | (Any(interest & Io::kWrite) ? EPOLLOUT : 0u);
}

Io FromEpoll(uint32_t events) {
  if (ABSL_PREDICT_FALSE((events & (EPOLLERR | EPOLLHUP)) != 0)) return Io::kReadWrite;
  return static_cast<Io>((events & EPOLLIN) | (events & EPOLLOUT) >> 1);  // No branch for each.
}
static_assert(EPOLLIN == static_cast<int>(Io::kRead));
static_assert(EPOLLOUT >> 1 == static_cast<int>(Io::kWrite));

class EpollPoller final : public Poller {
 public:
  EpollPoller(UniqueFd epoll, UniqueFd alarm)
      : epoll_(std::move(epoll)), alarm_(std::move(alarm)) {}

  // It is edge-triggered, so that it need not be read.
  absl::Status WatchAlarm() {
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = kAlarm;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, alarm_.get(), &event) == 0) return absl::OkStatus();
    return absl::ErrnoToStatus(errno, "epoll_ctl add alarm");
  }

  absl::Status Add(int fd, Io interest, Token token) override {
    return Control(EPOLL_CTL_ADD, "add", fd, interest, token);
  }

  absl::Status Modify(int fd, Io interest, Token token) override {
    return Control(EPOLL_CTL_MOD, "modify", fd, interest, token);
  }

  void Remove(int fd) override {
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0) return;
    // Needs no memory, so only a descriptor that was not watched, or is closed already, gets here.
    LOG(ERROR) << absl::ErrnoToStatus(errno, absl::StrCat("epoll_ctl remove ", fd));
  }

  void Forget(int) override {}  // Closing it takes it out.

  absl::StatusOr<int> Wait(const Clock& clock, MonotonicTime until,
                           absl::Span<ReadyEvent> out) override {
    DCHECK(!out.empty());
    if (events_.size() < out.size()) events_.resize(out.size());
    const bool waits = until != MonotonicTime();
    if (waits && (until < alarm_at_ || MayJump(clock))) SetAlarm(clock, until);
    const int count =
        epoll_wait(epoll_.get(), events_.data(), static_cast<int>(out.size()), waits ? -1 : 0);
    if (count >= 0) return Collect(count, out);
    if (errno == EINTR) return 0;
    return absl::ErrnoToStatus(errno, "epoll_wait");
  }

  absl::string_view name() const override { return "epoll"; }

 private:
  absl::Status Control(int operation, absl::string_view verb, int fd, Io interest, Token token) {
    DCHECK(Any(interest));
    epoll_event event = {};
    event.events = ToEpoll(interest);
    event.data.u64 = Pack(token);
    if (epoll_ctl(epoll_.get(), operation, fd, &event) == 0) return absl::OkStatus();
    return absl::ErrnoToStatus(errno, absl::StrCat("epoll_ctl ", verb, " ", fd));
  }

  // An alarm is left standing when what it is for is put off, as idle timeouts are with each
  // message: it then wakes us once for nothing. A time-out given to each wait would have the kernel
  // start and cancel a timer each time, and cost more than all else that a turn does here.
  void SetAlarm(const Clock& clock, MonotonicTime until) {
    // 0 would disarm it. "For ever" is an alarm in a few centuries.
    const int64_t delay = std::max<int64_t>(until.nanoseconds() - clock.Now().nanoseconds(), 1);
    itimerspec setting = {};
    setting.it_value = {.tv_sec = delay / 1'000'000'000, .tv_nsec = delay % 1'000'000'000};
    // Fails only on arguments that are not these.
    CHECK_EQ(timerfd_settime(alarm_.get(), 0, &setting, nullptr), 0) << strerror(errno);
    alarm_at_ = until;
  }

  // Past the alarm, which then comes too late: the clock of a test may.
  static bool MayJump(const Clock& clock) { return &clock != &Clock::System(); }

  int Collect(int count, absl::Span<ReadyEvent> out) {
    int collected = 0;
    for (const epoll_event& event : absl::MakeConstSpan(events_.data(), count)) {
      if (ABSL_PREDICT_FALSE(event.data.u64 == kAlarm)) {
        alarm_at_ = MonotonicTime::InfiniteFuture();
        continue;
      }
      out[collected++] = {Unpack(event.data.u64), FromEpoll(event.events)};
    }
    return collected;
  }

  UniqueFd epoll_;
  UniqueFd alarm_;
  MonotonicTime alarm_at_ = MonotonicTime::InfiniteFuture();  // When it will ring.
  std::vector<epoll_event> events_;                           // Grows to the longest `out`.
};

}  // namespace

absl::StatusOr<std::unique_ptr<Poller>> MakeEpollPoller() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return absl::ErrnoToStatus(errno, "epoll_create1");
  UniqueFd alarm(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!alarm.valid()) return absl::ErrnoToStatus(errno, "timerfd_create");
  auto poller = std::make_unique<EpollPoller>(std::move(epoll), std::move(alarm));
  MILLRACE_RETURN_IF_ERROR(poller->WatchAlarm());
  return poller;
}

}  // namespace millrace
