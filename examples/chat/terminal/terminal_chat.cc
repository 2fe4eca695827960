// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/terminal_chat.h"

#include <signal.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace millrace {

TerminalChat::TerminalChat(EventLoop& loop, ChatLink::Options options, Appearance appearance)
    : FrontEnd(loop, std::move(options)),
      appearance_(appearance),
      screen_(STDOUT_FILENO, appearance.colours),
      raw_(STDIN_FILENO),
      source_(loop, STDIN_FILENO, [this](absl::StatusOr<absl::string_view> bytes) {
        AssertOnLoop();
        OnInput(bytes);
      }) {}

TerminalChat::~TerminalChat() {
  if (started_) screen_.TakeRowAway().IgnoreError();
}

// Not before there is somebody to talk to: until then the terminal is as the shell left it, and
// what is typed ahead waits in it.
absl::Status TerminalChat::Start() {
  MILLRACE_ASSIGN_OR_RETURN(
      signals_,
      SignalWatcher::Create(loop_, {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH},
                            [this](int number) {
                              AssertOnLoop();
                              OnSignal(number);
                            }));
  MILLRACE_RETURN_IF_ERROR(raw_.Enter());
  started_ = true;
  return source_.Start();
}

void TerminalChat::OnUp(bool again) {
  if (again) return Print("* connected again");
  const absl::Status status = Start();
  status.ok() ? Draw() : Exit(1, status);
}

void TerminalChat::OnLost(const absl::Status& why) {
  Print(absl::StrCat("* connection lost: ", why.message(), "; trying again"));
}

void TerminalChat::OnLine(absl::string_view line) { Print(line); }

void TerminalChat::OnInput(absl::StatusOr<absl::string_view> bytes) {
  // The terminal is gone. The signal that says so may be slower.
  if (!bytes.ok() || bytes->empty()) return Exit(128 + SIGHUP);
  absl::string_view input = *bytes;
  while (!input.empty() && !exiting()) OnEditorEvent(editor_.Take(input));
  Draw();
}

void TerminalChat::OnEditorEvent(LineEditor::Event event) {
  switch (event) {
    case LineEditor::Event::kNone:
      return;
    case LineEditor::Event::kEnter:
      return OnEnter();
    case LineEditor::Event::kEnd:
      return link_.Leave();
    case LineEditor::Event::kInterrupt:
      return Exit(128 + SIGINT);
    case LineEditor::Event::kClearScreen:
      return Check(screen_.ClearAndDraw({}));
    case LineEditor::Event::kFull:
      return Print(absl::StrCat("! a line cannot become longer than ", LineEditor::kTextBytesMax,
                                " bytes: the rest is dropped"));
  }
}

void TerminalChat::OnEnter() {
  if (editor_.text().empty()) return;
  const absl::Status status = link_.Send(editor_.text());
  if (status.ok()) return editor_.Finish();
  Print(absl::StrCat("! not sent: ", status.message(), "; the line stays here"));
}

void TerminalChat::OnSignal(int number) {
  if (number == SIGTSTP) return Suspend();
  if (number == SIGCONT) return Resume();
  if (number == SIGWINCH) return Draw();
  Exit(128 + number);
}

// The signal then does what it does to those who do not watch it; which is nothing, if there is
// nobody who could wake us.
void TerminalChat::Suspend() {
  screen_.TakeRowAway().IgnoreError();
  raw_.Leave();
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTSTP);
  raise(SIGTSTP);
  pthread_sigmask(SIG_UNBLOCK, &stop, nullptr);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  Resume();
}

void TerminalChat::Resume() {
  const absl::Status status = raw_.Enter();
  status.ok() ? Draw() : Exit(1, status);
}

void TerminalChat::Print(absl::string_view line) {
  if (exiting()) return;
  const std::string prompt = Prompt();
  Check(screen_.Print(absl::StrCat(Dress(line, link_.name(), appearance_), "\n"),
                      {.prompt = prompt, .text = editor_.text(), .cursor = editor_.cursor()}));
}

void TerminalChat::Draw() {
  if (exiting()) return;
  const std::string prompt = Prompt();
  Check(screen_.Draw({.prompt = prompt, .text = editor_.text(), .cursor = editor_.cursor()}));
}

void TerminalChat::Check(const absl::Status& written) {
  if (written.ok()) return;
  Exit(1, absl::Status(written.code(), absl::StrCat("stdout: ", written.message())));
}

std::string TerminalChat::Prompt() const {
  if (!link_.up()) return "(offline) ";
  if (link_.name().empty()) return "> ";
  return absl::StrCat("[", link_.room(), "] ", link_.name(), "> ");
}

}  // namespace millrace
