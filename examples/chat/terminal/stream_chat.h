// SPDX-License-Identifier: Apache-2.0
//
// StreamChat is the client in a pipe, or on a terminal that can do no more than a pipe: lines in,
// lines out. What the server says is passed on as it is; what the client itself has to say goes to
// stderr, unless stdout is a terminal. Input is read no faster than the server takes it, and not at
// all while there is none. Loop-only.
//
//   printf 'hi\n' | client                     # The end of input is the end of our half: what the
//                                              # server still says comes out, and then it is over.

#ifndef MILLRACE_EXAMPLES_CHAT_TERMINAL_STREAM_CHAT_H_
#define MILLRACE_EXAMPLES_CHAT_TERMINAL_STREAM_CHAT_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/thread_role.h"
#include "examples/chat/terminal/appearance.h"
#include "examples/chat/terminal/chat_link.h"
#include "examples/chat/terminal/front_end.h"
#include "examples/chat/terminal/input_source.h"
#include "net/event_loop.h"

namespace millrace {

class StreamChat final : public FrontEnd {
 public:
  StreamChat(EventLoop& loop, ChatLink::Options options,
             const Surroundings& surroundings) LOOP_ONLY;

 private:
  void OnUp(bool again) override LOOP_ONLY;
  void OnLine(absl::string_view line) override LOOP_ONLY;
  void OnReady() override LOOP_ONLY { SendLines(); }
  void OnLost(const absl::Status& why) override LOOP_ONLY;
  // A script must be able to see that not all of it was said.
  void OnEnd(const absl::Status& why) override LOOP_ONLY {
    Exit(why.ok() && !refused_lines_ ? 0 : 1, why);
  }

  void OnInput(absl::StatusOr<absl::string_view> bytes) LOOP_ONLY;
  void SendLines() LOOP_ONLY;
  bool SendNextLine() LOOP_ONLY;
  void Print(absl::string_view line) LOOP_ONLY;
  // Of ours: "* connection lost: ..." or "! ...".
  void Tell(absl::string_view line) LOOP_ONLY;

  const Surroundings surroundings_;
  InputSource source_;
  std::string input_;         // Read and not sent.
  size_t dropped_bytes_ = 0;  // Of a line that is too long already, and has not ended yet.
  bool input_ended_ = false;
  bool refused_lines_ = false;
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_TERMINAL_STREAM_CHAT_H_
