// SPDX-License-Identifier: Apache-2.0
//
// TestLoop is an EventLoop in the test's own thread, stepped by hand, whose time is a FakeClock:
// real sockets, no sleeping, no wall clock. The test plays the loop's thread.
//
//   TestLoop loop;
//   ASSERT_TRUE(loop.StepUntil([&] { return handler.opened; }));
//   loop.Advance(absl::Seconds(60));      // Time passes, and the loop takes a turn.

#ifndef MILLRACE_TESTS_SUPPORT_TEST_LOOP_H_
#define MILLRACE_TESTS_SUPPORT_TEST_LOOP_H_

#include <memory>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "net/event_loop.h"
#include "tests/support/fake_clock.h"

namespace millrace {

class TestLoop {
 public:
  explicit TestLoop(EventLoop::Options options = {}) {
    options.clock = &clock_;
    loop_ = EventLoop::Create(std::move(options)).value();
  }

  EventLoop& operator*() { return *loop_; }
  EventLoop* operator->() { return loop_.get(); }
  FakeClock& clock() { return clock_; }

  // One turn with what is ready now.
  void Step() { loop_->RunOnce(absl::ZeroDuration()); }
  void Steps(int count) {
    for (int i = 0; i < count; ++i) Step();
  }
  // Turns until `done` is true; false if it does not come true. The wait in a turn only spares the
  // processor while the kernel, or another thread, brings what we wait for; it ends when that
  // comes.
  bool StepUntil(absl::FunctionRef<bool()> done) {
    for (int i = 0; i < kTurnsMax; ++i) {
      if (done()) return true;
      loop_->RunOnce(absl::Milliseconds(5));
    }
    return false;
  }
  void Advance(absl::Duration delta) {
    clock_.Advance(delta);
    Step();
  }
  // Destroys the loop; nothing else may be used after.
  void Destroy() { loop_.reset(); }

 private:
  static constexpr int kTurnsMax = 4000;

  FakeClock clock_;
  std::unique_ptr<EventLoop> loop_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_TEST_LOOP_H_
