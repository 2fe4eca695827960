// SPDX-License-Identifier: Apache-2.0
//
// ScriptedPoller plays the system to an EventLoop: nothing is ready but what the test says, in the
// order in which it says so, and it writes down how long the loop meant to sleep. The descriptors
// need not exist. It never sleeps itself; what happens meanwhile is `while_waiting`. The loop owns
// it, and it lives as long; one thread.
//
//   ScriptedPoller* poller;
//   TestLoop loop({.poller = ScriptedPoller::Factory(poller)});
//   poller->SetReady(kFd, Io::kRead);      // Once kFd is watched. The next turn dispatches it.
//   loop->RunOnce(absl::InfiniteDuration());
//   EXPECT_EQ(poller->last_wait(), absl::InfiniteDuration());

#ifndef MILLRACE_TESTS_SUPPORT_SCRIPTED_POLLER_H_
#define MILLRACE_TESTS_SUPPORT_SCRIPTED_POLLER_H_

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/monotonic_time.h"
#include "net/poller.h"

namespace millrace {

class ScriptedPoller final : public Poller {
 public:
  // For one loop, whose poller is then `made`.
  static PollerFactory Factory(ScriptedPoller*& made) {
    return [&made]() -> absl::StatusOr<std::unique_ptr<Poller>> {
      auto poller = std::make_unique<ScriptedPoller>();
      made = poller.get();
      return poller;
    };
  }

  // Has the next Wait() bring this, behind what was set before. Requires: `fd` is watched. The
  // event is for who watches it now, as it is in the kernel.
  void SetReady(int fd, Io ready) { ready_.push_back({watched_.at(fd).token, ready}); }
  // Has the next Wait() fail.
  void FailNextWait(absl::Status why) { failure_ = std::move(why); }

  // What it is watched for; kNone if it is not.
  Io InterestOf(int fd) const {
    const auto found = watched_.find(fd);
    return found == watched_.end() ? Io::kNone : found->second.interest;
  }
  // How long each Wait() might have lasted; not at all is zero, however long past its time was.
  const std::vector<absl::Duration>& waits() const { return waits_; }
  absl::Duration last_wait() const { return waits_.back(); }

  // Called inside each Wait(), with how long that might last.
  absl::AnyInvocable<void(absl::Duration)> while_waiting = [](absl::Duration) {};

  absl::Status Add(int fd, Io interest, Token token) override {
    const bool added = watched_.insert({fd, {interest, token}}).second;
    return added ? absl::OkStatus() : absl::AlreadyExistsError("watched");
  }
  absl::Status Modify(int fd, Io interest, Token token) override {
    watched_.at(fd) = {interest, token};
    return absl::OkStatus();
  }
  void Remove(int fd) override { watched_.erase(fd); }

  absl::StatusOr<int> Wait(const Clock& clock, MonotonicTime until,
                           absl::Span<ReadyEvent> out) override {
    const absl::Duration max_wait = std::max(until - clock.Now(), absl::ZeroDuration());
    waits_.push_back(max_wait);
    while_waiting(max_wait);
    if (!failure_.ok()) return std::exchange(failure_, absl::OkStatus());
    const std::vector<ReadyEvent> ready = std::exchange(ready_, {});
    std::copy(ready.begin(), ready.end(), out.begin());
    return static_cast<int>(ready.size());
  }

  absl::string_view name() const override { return "scripted"; }

 private:
  struct Watched {
    Io interest;
    Token token;
  };

  std::map<int, Watched> watched_;
  std::vector<ReadyEvent> ready_;
  absl::Status failure_;
  std::vector<absl::Duration> waits_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_SCRIPTED_POLLER_H_
