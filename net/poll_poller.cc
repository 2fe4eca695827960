// SPDX-License-Identifier: Apache-2.0
#include "net/poll_poller.h"

#include <errno.h>
#include <poll.h>

#include <cstddef>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/slot_map.h"

namespace millrace {
namespace {

short ToPoll(Io interest) {
  return static_cast<short>((Any(interest & Io::kRead) ? POLLIN : 0) |
                            (Any(interest & Io::kWrite) ? POLLOUT : 0));
}

Io FromPoll(short events) {
  if ((events & (POLLERR | POLLHUP | POLLNVAL)) != 0) return Io::kReadWrite;
  return ((events & POLLIN) != 0 ? Io::kRead : Io::kNone) |
         ((events & POLLOUT) != 0 ? Io::kWrite : Io::kNone);
}

class PollPoller final : public Poller {
 public:
  absl::Status Add(int fd, Io interest, Token token) override {
    DCHECK(Any(interest));
    if (fd < 0) return absl::ErrnoToStatus(EBADF, absl::StrCat("poll add ", fd));
    if (PlaceOf(fd) != kNowhere) return absl::ErrnoToStatus(EEXIST, absl::StrCat("poll add ", fd));
    if (place_of_.size() <= static_cast<size_t>(fd)) place_of_.resize(fd + 1, kNowhere);
    place_of_[fd] = static_cast<int>(watched_.size());
    watched_.push_back({.fd = fd, .events = ToPoll(interest), .revents = 0});
    tokens_.push_back(token);
    return absl::OkStatus();
  }

  absl::Status Modify(int fd, Io interest, Token token) override {
    DCHECK(Any(interest));
    const int place = PlaceOf(fd);
    if (place == kNowhere) return absl::ErrnoToStatus(ENOENT, absl::StrCat("poll modify ", fd));
    watched_[place].events = ToPoll(interest);
    tokens_[place] = token;
    return absl::OkStatus();
  }

  // The last one moves into the gap, so that what poll(2) is given stays dense.
  void Remove(int fd) override {
    const int place = PlaceOf(fd);
    CHECK_NE(place, kNowhere) << "descriptor " << fd << " is not watched";
    watched_[place] = watched_.back();
    tokens_[place] = tokens_.back();
    place_of_[watched_[place].fd] = place;
    place_of_[fd] = kNowhere;
    watched_.pop_back();
    tokens_.pop_back();
  }

  absl::StatusOr<int> Wait(const Clock& clock, MonotonicTime until,
                           absl::Span<ReadyEvent> out) override {
    DCHECK(!out.empty());
    const int ready = poll(watched_.data(), watched_.size(), PollTimeoutMilliseconds(clock, until));
    if (ready >= 0) return Collect(static_cast<size_t>(ready), out);
    if (errno == EINTR) return 0;
    return absl::ErrnoToStatus(errno, "poll");
  }

  absl::string_view name() const override { return "poll"; }

 private:
  static constexpr int kNowhere = -1;

  int PlaceOf(int fd) const {
    return static_cast<size_t>(fd) < place_of_.size() ? place_of_[fd] : kNowhere;
  }

  // Goes on where the last call ended, so that those at the front cannot keep `out` to themselves.
  int Collect(size_t ready, absl::Span<ReadyEvent> out) {
    const size_t wanted = ready < out.size() ? ready : out.size();
    size_t count = 0;
    for (size_t left = watched_.size(); left > 0 && count < wanted; --left, ++next_) {
      if (next_ >= watched_.size()) next_ = 0;
      const short events = watched_[next_].revents;
      if (events != 0) out[count++] = {tokens_[next_], FromPoll(events)};
    }
    return static_cast<int>(count);
  }

  std::vector<pollfd> watched_;  // Dense, in no order.
  std::vector<Token> tokens_;    // Of each in watched_, at the same place.
  std::vector<int> place_of_;    // By descriptor: its place in watched_, or kNowhere.
  size_t next_ = 0;              // Where Collect() goes on.
};

}  // namespace

absl::StatusOr<std::unique_ptr<Poller>> MakePollPoller() { return std::make_unique<PollPoller>(); }

}  // namespace millrace
