// SPDX-License-Identifier: Apache-2.0
//
// A chat client for the terminal, whose keyboard and connection share one EventLoop.
//
//   bazel run //examples/chat                                  In one terminal,
//   bazel run //examples/chat:client -- --name=alice           and in others.
//   printf 'hello\n' | client --name=herald --room=attic       In a script.

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/log/globals.h"
#include "absl/log/initialize.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/thread_role.h"
#include "examples/chat/terminal/appearance.h"
#include "examples/chat/terminal/chat_link.h"
#include "examples/chat/terminal/front_end.h"
#include "examples/chat/terminal/stream_chat.h"
#include "examples/chat/terminal/terminal_chat.h"
#include "examples/chat/terminal/text.h"
#include "net/event_loop.h"
#include "net/socket_address.h"
#include "tools/program/flag_set.h"
#include "tools/program/process.h"

namespace millrace {
namespace {

constexpr absl::string_view kProgram = "client";

void AddName(FlagSet& flags, absl::string_view flag, absl::string_view value_name,
             std::string& value, absl::string_view help) {
  flags.Add({.name = std::string(flag),
             .value = std::string(value_name),
             .help = std::string(help),
             .read = [&value](absl::string_view text) {
               if (!IsChatName(text)) {
                 return absl::InvalidArgumentError("must be 1 to 32 of A-Z, a-z, 0-9, _ and -");
               }
               value = std::string(text);
               return absl::OkStatus();
             }});
}

void AddFlags(FlagSet& flags, ChatLink::Options& options) {
  flags.Add({.name = "connect",
             .value = "ADDRESS",
             .initial = options.address.ToPrintable(),
             .help = "the server: 127.0.0.1:7008, [::1]:7008 or unix:/path.sock",
             .read = [&options](absl::string_view text) {
               MILLRACE_ASSIGN_OR_RETURN(options.address, SocketAddress::Parse(text));
               return absl::OkStatus();
             }});
  AddName(flags, "name", "NAME", options.name,
          "what to be called; the server picks a name otherwise");
  AddName(flags, "room", "ROOM", options.room, "where to be; the lobby otherwise");
}

absl::StatusOr<int> Chat(ChatLink::Options options) {
  AssertOnLoop();
  MILLRACE_ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop, EventLoop::Create());
  const Surroundings surroundings = SurroundingsOf(STDIN_FILENO, STDOUT_FILENO);
  std::unique_ptr<FrontEnd> chat;
  if (surroundings.edits) {
    chat = std::make_unique<TerminalChat>(*loop, std::move(options), surroundings.appearance);
  } else {
    chat = std::make_unique<StreamChat>(*loop, std::move(options), surroundings);
  }
  chat->Begin();
  loop->Run();
  if (!chat->why().ok()) return chat->why();
  return chat->exit_code();
}

int Main(int argc, char** argv) {
  OccupyStandardDescriptors();
  absl::InitializeLog();
  // What the connection logs, people are told anyway, in words of their own.
  absl::SetStderrThreshold(absl::LogSeverityAtLeast::kError);
  UseUtf8Locale();
  ChatLink::Options options;
  FlagSet flags(kProgram,
                "Talks to a chat server: on a terminal with a line to type in, else lines from "
                "stdin, and what everybody says to stdout.");
  AddFlags(flags, options);
  if (const std::optional<int> code = flags.ParseCommandLine(argc, argv)) return *code;
  const absl::StatusOr<int> code = Chat(std::move(options));
  if (code.ok()) return *code;
  PrintError(kProgram, code.status());
  return 1;
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
