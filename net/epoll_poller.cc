// SPDX-License-Identifier: Apache-2.0
#include "net/epoll_poller.h"

#include <errno.h>
#include <sys/epoll.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/slot_map.h"
#include "base/unique_fd.h"

namespace millrace {
namespace {

uint64_t Pack(Token token) { return uint64_t{token.generation} << 32 | token.slot; }

Token Unpack(uint64_t data) {
  return {.slot = static_cast<uint32_t>(data), .generation = static_cast<uint32_t>(data >> 32)};
}

uint32_t ToEpoll(Io interest) {
  return (Any(interest & Io::kRead) ? EPOLLIN : 0u) | (Any(interest & Io::kWrite) ? EPOLLOUT : 0u);
}

Io FromEpoll(uint32_t events) {
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return Io::kReadWrite;
  return ((events & EPOLLIN) != 0 ? Io::kRead : Io::kNone) |
         ((events & EPOLLOUT) != 0 ? Io::kWrite : Io::kNone);
}

class EpollPoller final : public Poller {
 public:
  explicit EpollPoller(UniqueFd epoll) : epoll_(std::move(epoll)) {}

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

  absl::StatusOr<int> Wait(absl::Duration max_wait, absl::Span<ReadyEvent> out) override {
    DCHECK(!out.empty());
    if (events_.size() < out.size()) events_.resize(out.size());
    const int count = epoll_wait(epoll_.get(), events_.data(), static_cast<int>(out.size()),
                                 PollTimeoutMilliseconds(max_wait));
    if (count < 0) {
      if (errno == EINTR) return 0;
      return absl::ErrnoToStatus(errno, "epoll_wait");
    }
    for (int i = 0; i < count; ++i) {
      out[i] = {Unpack(events_[i].data.u64), FromEpoll(events_[i].events)};
    }
    return count;
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

  UniqueFd epoll_;
  std::vector<epoll_event> events_;  // Grows to the longest `out`.
};

}  // namespace

absl::StatusOr<std::unique_ptr<Poller>> MakeEpollPoller() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return absl::ErrnoToStatus(errno, "epoll_create1");
  return std::make_unique<EpollPoller>(std::move(epoll));
}

}  // namespace millrace
