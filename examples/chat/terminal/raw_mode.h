// SPDX-License-Identifier: Apache-2.0
//
// RawMode has a terminal send each key as it is pressed, and not show it: while it lives. Ctrl-C
// and Ctrl-Z still are signals, and newlines still move to the first column. A member of who reads
// the keyboard; what it found is put back when it is destroyed. One thread.
//
//   RawMode raw(STDIN_FILENO);
//   MILLRACE_RETURN_IF_ERROR(raw.Enter());
//   raw.Leave();                               // As for Ctrl-Z; Enter() goes on.

#ifndef MILLRACE_EXAMPLES_CHAT_TERMINAL_RAW_MODE_H_
#define MILLRACE_EXAMPLES_CHAT_TERMINAL_RAW_MODE_H_

#include <termios.h>

#include "absl/status/status.h"

namespace millrace {

class RawMode {
 public:
  explicit RawMode(int fd) : fd_(fd) {}
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  ~RawMode() { Leave(); }

  // Asks anew what to put back if it had been left. Does it again if somebody else undid it.
  absl::Status Enter();
  void Leave();

 private:
  const int fd_;
  bool entered_ = false;
  termios before_ = {};
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_TERMINAL_RAW_MODE_H_
