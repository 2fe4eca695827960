// SPDX-License-Identifier: Apache-2.0
//
// InputSource brings what can be read from a descriptor that is not ours alone, such as stdin, to a
// loop: whatever it is, a terminal, a pipe or a file. It never makes it non-blocking, because that
// would do it to the shell as well; so it reads once each time there is something. A member of who
// wants the input; loop-only.
//
//   InputSource keys(*loop, STDIN_FILENO, [](absl::StatusOr<absl::string_view> bytes) { ... });
//   MILLRACE_RETURN_IF_ERROR(keys.Start());
//   keys.SetReading(false);                    // What comes now stays where it is.

#ifndef MILLRACE_EXAMPLES_CHAT_TERMINAL_INPUT_SOURCE_H_
#define MILLRACE_EXAMPLES_CHAT_TERMINAL_INPUT_SOURCE_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/thread_role.h"
#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/timer_wheel.h"

namespace millrace {

class InputSource final : private IoHandler {
 public:
  // The bytes that came; none at the end; or why there is no reading on. After the latter two it is
  // not called again.
  using OnInput = absl::AnyInvocable<void(absl::StatusOr<absl::string_view> bytes)>;

  InputSource(EventLoop& loop, int fd, OnInput on_input) LOOP_ONLY;

  // Begins to read. Fails if the descriptor can be neither watched nor read without waiting.
  absl::Status Start() LOOP_ONLY;
  void SetReading(bool reading) LOOP_ONLY;

 private:
  void OnIo(Io) override LOOP_ONLY { ReadOnce(); }
  void ReadOnce() LOOP_ONLY;
  void Update() LOOP_ONLY;

  EventLoop& loop_;
  const int fd_;
  OnInput on_input_;
  bool reading_ = true;
  bool ended_ = false;
  bool always_ready_ = false;  // A file: epoll does not take these, since they never make one wait.
  Registration watch_;
  Timer next_read_;  // Of a file, once a turn.
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_TERMINAL_INPUT_SOURCE_H_
