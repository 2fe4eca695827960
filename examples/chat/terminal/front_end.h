// SPDX-License-Identifier: Apache-2.0
//
// FrontEnd is the side of the client that people see: it listens to a ChatLink and has the loop run
// until it knows with which code the program should end. TerminalChat and StreamChat derive from
// it. Owned by main(); loop-only.
//
//   StreamChat chat(*loop, options, output);
//   chat.Begin();
//   loop->Run();
//   return chat.exit_code();

#ifndef MILLRACE_EXAMPLES_CHAT_TERMINAL_FRONT_END_H_
#define MILLRACE_EXAMPLES_CHAT_TERMINAL_FRONT_END_H_

#include <utility>

#include "absl/status/status.h"
#include "base/thread_role.h"
#include "examples/chat/terminal/chat_link.h"
#include "net/event_loop.h"

namespace millrace {

class FrontEnd : protected ChatListener {
 public:
  FrontEnd(EventLoop& loop, ChatLink::Options options) LOOP_ONLY
      : loop_(loop),
        link_(loop, std::move(options), *this) {}
  FrontEnd(const FrontEnd&) = delete;
  FrontEnd& operator=(const FrontEnd&) = delete;

  void Begin() LOOP_ONLY { link_.Connect(); }

  // Once the loop has ended. `why`, if it is not OK, is for stderr.
  int exit_code() const { return exit_code_; }
  const absl::Status& why() const { return why_; }

 protected:
  // Ends the loop. The first call counts.
  void Exit(int code, absl::Status why = absl::OkStatus()) {
    if (std::exchange(exiting_, true)) return;
    exit_code_ = code;
    why_ = std::move(why);
    loop_.Stop();
  }
  bool exiting() const { return exiting_; }

  void OnEnd(const absl::Status& why) override LOOP_ONLY { Exit(why.ok() ? 0 : 1, why); }

  EventLoop& loop_;
  ChatLink link_;

 private:
  bool exiting_ = false;
  int exit_code_ = 1;
  absl::Status why_;
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_TERMINAL_FRONT_END_H_
