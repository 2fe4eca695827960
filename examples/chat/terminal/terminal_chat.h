// SPDX-License-Identifier: Apache-2.0
//
// TerminalChat is the client on a terminal: a line to type in at the bottom, and above it what
// everybody says. The terminal is put back as it was on every way out, which the signals that end
// or stop a program are among. Loop-only.
//
//   TerminalChat chat(*loop, options, SurroundingsOf(STDIN_FILENO, STDOUT_FILENO).appearance);
//   chat.Begin();
//
// While there is no connection one can go on typing; Enter then says so, and keeps the line.

#ifndef MILLRACE_EXAMPLES_CHAT_TERMINAL_TERMINAL_CHAT_H_
#define MILLRACE_EXAMPLES_CHAT_TERMINAL_TERMINAL_CHAT_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/thread_role.h"
#include "examples/chat/terminal/appearance.h"
#include "examples/chat/terminal/chat_link.h"
#include "examples/chat/terminal/front_end.h"
#include "examples/chat/terminal/input_source.h"
#include "examples/chat/terminal/line_editor.h"
#include "examples/chat/terminal/raw_mode.h"
#include "examples/chat/terminal/screen.h"
#include "net/event_loop.h"
#include "net/signal_watcher.h"

namespace millrace {

class TerminalChat final : public FrontEnd {
 public:
  TerminalChat(EventLoop& loop, ChatLink::Options options, Appearance appearance) LOOP_ONLY;
  ~TerminalChat() override;

 private:
  void OnUp(bool again) override LOOP_ONLY;
  void OnLine(absl::string_view line) override LOOP_ONLY;
  void OnReady() override LOOP_ONLY {}
  void OnLost(const absl::Status& why) override LOOP_ONLY;

  absl::Status Start() LOOP_ONLY;
  void OnInput(absl::StatusOr<absl::string_view> bytes) LOOP_ONLY;
  void OnEditorEvent(LineEditor::Event event) LOOP_ONLY;
  void OnEnter() LOOP_ONLY;
  void OnSignal(int number) LOOP_ONLY;
  void Suspend() LOOP_ONLY;
  void Resume() LOOP_ONLY;

  void Print(absl::string_view line) LOOP_ONLY;
  void Draw() LOOP_ONLY;
  // Ends the program if the terminal could not be written to.
  void Check(const absl::Status& written) LOOP_ONLY;
  std::string Prompt() const LOOP_ONLY;

  const Appearance appearance_;
  LineEditor editor_;
  Screen screen_;
  RawMode raw_;
  bool started_ = false;
  InputSource source_;
  std::unique_ptr<SignalWatcher> signals_;
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_TERMINAL_TERMINAL_CHAT_H_
