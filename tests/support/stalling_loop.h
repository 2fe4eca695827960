// SPDX-License-Identifier: Apache-2.0
//
// StallingLoop is a loop on a thread of its own whose turn can be held up, and let go, at will: for
// tests of what watches loops. The test owns it; its destructor lets go, stops and joins.
//
//   StallingLoop loop("mill");
//   loop.Stall();                          // Returns when the loop is held up, in a post.
//   ... look at it ...
//   loop.Release();                        // Returns when the turn is over.

#ifndef MILLRACE_TESTS_SUPPORT_STALLING_LOOP_H_
#define MILLRACE_TESTS_SUPPORT_STALLING_LOOP_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/log/check.h"
#include "absl/synchronization/notification.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "net/event_loop.h"
#include "net/loop_ref.h"

namespace millrace {

class StallingLoop {
 public:
  explicit StallingLoop(std::string name = "mill") {
    absl::Notification born;
    thread_ = Thread::Start({.name = name}, [this, &name, &born] {
                const auto loop = EventLoop::Create({.name = name}).value();
                ref_ = loop->ref();
                born.Notify();
                loop->Run();
              }).value();
    born.WaitForNotification();
  }
  ~StallingLoop() { End(); }

  const LoopRef& ref() const { return ref_; }
  const LoopPulse& pulse() const { return *ref_.pulse(); }

  // Does `work` on the loop, which is to call HoldUp(), and waits until it does.
  void Stall(std::function<void(EventLoop&)> work) {
    held_.emplace();
    ref_.Post([work = std::move(work)] { work(*EventLoop::Current()); });
    held_->WaitForNotification();
  }
  void Stall() {
    Stall([this](EventLoop&) { HoldUp(); });
  }
  // On the loop: does not return before Release(). A system call that a signal interrupts, and that
  // nobody here calls again.
  ABSL_ATTRIBUTE_NOINLINE void HoldUp() {
    uint64_t released = 0;
    held_->Notify();
    CHECK_EQ(read(gate_.get(), &released, sizeof(released)), ssize_t{sizeof(released)});
    CHECK_EQ(released, 1u);
  }
  // Lets go without waiting.
  void LetGo() {
    const uint64_t one = 1;
    held_.reset();
    CHECK_EQ(write(gate_.get(), &one, sizeof(one)), ssize_t{sizeof(one)});
  }
  void Release() {
    LetGo();
    Flush();
  }
  // Waits until the loop has done what was posted before, in an earlier turn.
  void Flush() {
    absl::Notification done;
    if (ref_.Post([&done] { done.Notify(); })) done.WaitForNotification();
  }
  // Stops the loop; it is destroyed and its thread gone when this returns.
  void End() {
    if (held_.has_value()) LetGo();
    ref_.Stop();
    if (thread_.joinable()) thread_.Join();
  }

 private:
  const UniqueFd gate_{eventfd(0, EFD_CLOEXEC)};
  std::optional<absl::Notification> held_;  // While it is held up, or about to be.
  LoopRef ref_;
  Thread thread_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_STALLING_LOOP_H_
