// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/stream_chat.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "examples/chat/terminal/write_all.h"

namespace millrace {

StreamChat::StreamChat(EventLoop& loop, ChatLink::Options options, const Surroundings& surroundings)
    : FrontEnd(loop, std::move(options)),
      surroundings_(surroundings),
      source_(loop, STDIN_FILENO, [this](absl::StatusOr<absl::string_view> bytes) {
        AssertOnLoop();
        OnInput(bytes);
      }) {}

void StreamChat::OnUp(bool again) {
  if (again) {
    Tell("* connected again");
    return SendLines();
  }
  const absl::Status status = source_.Start();
  if (!status.ok()) Exit(1, status);
}

void StreamChat::OnLost(const absl::Status& why) {
  Tell(absl::StrCat("* connection lost: ", why.message(), "; trying again"));
  SendLines();  // Which stops the reading.
}

void StreamChat::OnInput(absl::StatusOr<absl::string_view> bytes) {
  if (!bytes.ok()) return Exit(1, bytes.status());
  input_ended_ = bytes->empty();
  input_.append(bytes->data(), bytes->size());
  SendLines();
}

void StreamChat::SendLines() {
  while (link_.ready() && SendNextLine()) {
  }
  if (link_.ready() && input_ended_) link_.EndInput();
  source_.SetReading(link_.ready());
}

// False if there is no whole line.
bool StreamChat::SendNextLine() {
  const size_t end = input_.find('\n');
  if (end == input_.npos && !input_ended_) {
    if (input_.size() > kChatLineBytesMax + 1) {  // With the CR that is dropped.
      dropped_bytes_ += input_.size();
      input_.clear();
    }
    return false;
  }
  if (end == input_.npos && input_.empty() && dropped_bytes_ == 0) return false;
  std::string line = input_.substr(0, end);
  input_.erase(0, end == input_.npos ? end : end + 1);
  if (absl::EndsWith(line, "\r")) line.pop_back();
  const size_t dropped_bytes = std::exchange(dropped_bytes_, 0);
  const absl::Status status =
      dropped_bytes > 0 ? ChatLineTooLong(dropped_bytes + line.size()) : link_.Send(line);
  if (!status.ok()) {
    Tell(absl::StrCat("! not sent: ", status.message()));
    refused_lines_ = true;
  }
  return true;
}

void StreamChat::OnLine(absl::string_view line) {
  if (!surroundings_.on_terminal) return Print(line);
  Print(Dress(line, link_.name(), surroundings_.appearance));
}

void StreamChat::Tell(absl::string_view line) {
  if (surroundings_.on_terminal) return Print(Dress(line, "", surroundings_.appearance));
  // There is nobody to tell that this did not work.
  WriteAll(STDERR_FILENO, absl::StrCat(line, "\n")).IgnoreError();
}

void StreamChat::Print(absl::string_view line) {
  if (exiting()) return;
  const absl::Status status = WriteAll(STDOUT_FILENO, absl::StrCat(line, "\n"));
  if (!status.ok())
    Exit(1, absl::Status(status.code(), absl::StrCat("stdout: ", status.message())));
}

}  // namespace millrace
