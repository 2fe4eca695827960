// SPDX-License-Identifier: Apache-2.0
//
// ChatText writes the texts that members send, and reads the lines that come of them. A text says
// who sent it, the how many-th of that member it is, and when it was due, in nanoseconds of this
// process's clock, and is filled up with letters that are its own. All of it follows from the
// message's number: so what is read either is just what was sent, or is foreign. Immutable; any
// thread.
//
//   text.AppendLine(k, out);                       // "0000000700000002..."
//   std::optional<int64_t> k = text.Read("[room3] load7: 0000000700000002...", 3, now);

#ifndef MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_TEXT_H_
#define MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/monotonic_time.h"
#include "examples/chat/load/chat_load_options.h"
#include "tools/loadgen/send_schedule.h"

namespace millrace {

class ChatText {
 public:
  // `options` must outlive it.
  ChatText(const ChatLoadOptions& options, const SendSchedule& schedule);

  // What the sender of `message` says, with its newline.
  void AppendLine(int64_t message, std::string& out) const;

  // The message that `line`, without its newline, brings to a member of `room`. None if it is no
  // line of this run, of this room, or none that could have been sent before `now`.
  std::optional<int64_t> Read(absl::string_view line, int room, MonotonicTime now) const;

 private:
  std::optional<int64_t> ReadText(absl::string_view text, MonotonicTime now) const;
  absl::string_view PaddingOf(int64_t message) const;

  const ChatLoadOptions& options_;
  const SendSchedule schedule_;
  const std::string letters_;          // Paddings are pieces of it.
  std::vector<std::string> openings_;  // "[room3] load", for each room.
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_TEXT_H_
