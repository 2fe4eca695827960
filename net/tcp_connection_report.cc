// SPDX-License-Identifier: Apache-2.0
//
// What a TcpConnection tells of itself to somebody who wants to know why it stands still.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/flight_recorder.h"
#include "net/tcp_connection.h"

namespace millrace {
namespace {

absl::string_view NameOf(ConnectionState state) {
  switch (state) {
    case ConnectionState::kHandshaking:
      return "shaking hands";
    case ConnectionState::kOpen:
      return "open";
    case ConnectionState::kFlushing:
      return "flushing";
    case ConnectionState::kLingering:
      return "lingering";
    case ConnectionState::kClosed:
      break;
  }
  return "closed";
}

}  // namespace

const FlightRecorder* TcpConnection::flight_recorder() const {
  return extras_ == nullptr ? nullptr : extras_->recorder.get();
}

void TcpConnection::NoteNow(FlightEvent event, uint64_t number) {
  extras_->recorder->Record(event, number, loop().now());
}

std::string TcpConnection::Report() const {
  std::string text = absl::StrCat(peer_, " ", NameOf(is_.state));
  const auto add_if = [&](bool holds, absl::string_view what) {
    if (holds) absl::StrAppend(&text, ", ", what);
  };
  add_if(is_.failing, "failing");
  add_if(is_.pauses > 0, "paused");
  add_if(is_.above_high, "above the high mark");
  add_if(is_.output_blocked, "output blocked");
  add_if(is_.read_waits, "reading waits for its rate");
  add_if(is_.write_waits, "writing waits for its rate");
  add_if(is_.write_ended, "our end sent");
  add_if(is_.peer_ended, "the peer's end came");
  add_if(message_ != nullptr, "a message under way");
  const auto ago = [this](MonotonicTime then) LOOP_ONLY {
    return absl::FormatDuration(absl::Trunc(loop().now() - then, absl::Milliseconds(1)));
  };
  absl::StrAppend(&text, "; ", output_.bytes(), " bytes unsent, ", unread_bytes(), " unread; read ",
                  ago(last_read_), " ago, wrote ", ago(last_write_), " ago");
  const FlightRecorder* const recorder = flight_recorder();
  if (recorder == nullptr) return text + "\n";
  absl::StrAppend(&text, "; ", ago(recorder->since()), " old, ", recorder->recorded(), " events\n");
  return text + recorder->ToString(loop().now());
}

}  // namespace millrace
