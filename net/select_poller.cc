// SPDX-License-Identifier: Apache-2.0
#include "net/select_poller.h"

#include <errno.h>
#include <sys/select.h>

#include <array>
#include <cstddef>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/slot_map.h"

namespace millrace {
namespace {

class SelectPoller final : public Poller {
 public:
  SelectPoller() {
    FD_ZERO(&reading_);
    FD_ZERO(&writing_);
  }

  absl::Status Add(int fd, Io interest, Token token) override {
    if (fd < 0) return absl::ErrnoToStatus(EBADF, absl::StrCat("select add ", fd));
    if (fd >= FD_SETSIZE) {
      return absl::OutOfRangeError(absl::StrCat("select add ", fd, ": descriptors from ",
                                                FD_SETSIZE, " on are beyond select()"));
    }
    if (IsWatched(fd)) return absl::ErrnoToStatus(EEXIST, absl::StrCat("select add ", fd));
    Set(fd, interest, token);
    if (fd >= end_) end_ = fd + 1;
    return absl::OkStatus();
  }

  absl::Status Modify(int fd, Io interest, Token token) override {
    if (!IsWatched(fd)) return absl::ErrnoToStatus(ENOENT, absl::StrCat("select modify ", fd));
    Set(fd, interest, token);
    return absl::OkStatus();
  }

  void Remove(int fd) override {
    CHECK(IsWatched(fd)) << "descriptor " << fd << " is not watched";
    FD_CLR(fd, &reading_);
    FD_CLR(fd, &writing_);
    while (end_ > 0 && !IsWatched(end_ - 1)) --end_;
  }

  absl::StatusOr<int> Wait(const Clock& clock, MonotonicTime until,
                           absl::Span<ReadyEvent> out) override {
    DCHECK(!out.empty());
    fd_set readable = reading_;
    fd_set writable = writing_;
    const int milliseconds = PollTimeoutMilliseconds(clock, until);
    timeval timeout = {.tv_sec = milliseconds / 1'000, .tv_usec = milliseconds % 1'000 * 1'000};
    const int ready =
        select(end_, &readable, &writable, nullptr, milliseconds < 0 ? nullptr : &timeout);
    if (ready > 0) return Collect(readable, writable, out);
    if (ready == 0 || errno == EINTR) return 0;  // The sets mean nothing then.
    return absl::ErrnoToStatus(errno, "select");
  }

  absl::string_view name() const override { return "select"; }

 private:
  bool IsWatched(int fd) const {
    return fd >= 0 && fd < end_ && (FD_ISSET(fd, &reading_) || FD_ISSET(fd, &writing_));
  }

  void Set(int fd, Io interest, Token token) {
    DCHECK(Any(interest));
    FD_CLR(fd, &reading_);
    FD_CLR(fd, &writing_);
    if (Any(interest & Io::kRead)) FD_SET(fd, &reading_);
    if (Any(interest & Io::kWrite)) FD_SET(fd, &writing_);
    tokens_[fd] = token;
  }

  // Goes on where the last call ended, so that low descriptors cannot keep `out` to themselves. A
  // hang-up needs no care: select() has it make both kinds ready.
  int Collect(const fd_set& readable, const fd_set& writable, absl::Span<ReadyEvent> out) {
    size_t count = 0;
    for (int left = end_; left > 0 && count < out.size(); --left, ++next_) {
      if (next_ >= end_) next_ = 0;
      const Io ready = (FD_ISSET(next_, &readable) ? Io::kRead : Io::kNone) |
                       (FD_ISSET(next_, &writable) ? Io::kWrite : Io::kNone);
      if (Any(ready)) out[count++] = {tokens_[next_], ready};
    }
    return static_cast<int>(count);
  }

  fd_set reading_;
  fd_set writing_;
  std::array<Token, FD_SETSIZE> tokens_;  // By descriptor.
  int end_ = 0;                           // One more than the highest watched.
  int next_ = 0;                          // Where Collect() goes on.
};

}  // namespace

absl::StatusOr<std::unique_ptr<Poller>> MakeSelectPoller() {
  return std::make_unique<SelectPoller>();
}

}  // namespace millrace
