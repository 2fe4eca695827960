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

#include <semaphore.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/log/check.h"
#include "absl/synchronization/notification.h"
#include "base/thread.h"
#include "net/event_loop.h"
#include "net/loop_ref.h"

namespace millrace {

class StallingLoop {
 public:
  explicit StallingLoop(std::string name = "mill") {
    sem_init(&gate_, /*pshared=*/0, 0);
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
  // On the loop: does not return before Release(). It waits in a system call, which a signal may
  // interrupt and must not end. (By a semaphore, and not by a Notification or a read, because there
  // ThreadSanitizer would keep signals back.)
  ABSL_ATTRIBUTE_NOINLINE void HoldUp() {
    held_->Notify();
    CHECK_EQ(sem_wait(&gate_), 0);
  }
  // Lets go without waiting.
  void LetGo() {
    held_.reset();
    sem_post(&gate_);
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
  sem_t gate_;
  std::optional<absl::Notification> held_;  // While it is held up, or about to be.
  LoopRef ref_;
  Thread thread_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_STALLING_LOOP_H_
