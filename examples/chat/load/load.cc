// SPDX-License-Identifier: Apache-2.0
//
// The chat load client: fills rooms with members, has them talk at a steady rate, checks that each
// gets every message once and all in one order, and tells how long that took.
//
//   bazel run //examples/chat:load -- --members=1000 --rooms=10 --rate=1000

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "examples/chat/load/chat_load.h"
#include "examples/chat/load/chat_load_options.h"
#include "examples/chat/load/chat_load_report.h"
#include "tools/loadgen/result_file.h"
#include "tools/loadgen/terminal_line.h"
#include "tools/program/flag_set.h"
#include "tools/program/program_main.h"

namespace millrace {
namespace {

constexpr absl::string_view kProgram = "load";

void AddFlags(FlagSet& flags, ChatLoadOptions& options, std::string& json) {
  flags.AddAddresses("connect", options.addresses,
                     "the server: 127.0.0.1:7008, [::1]:7008 or unix:/path.sock; several of one "
                     "server, separated by commas or by several --connect, share the members");
  flags.AddInt("threads", options.threads, 1, 1024, "loops that the members live on");
  flags.AddInt("members", options.members, 1, 1'000'000, "connections");
  flags.AddInt("rooms", options.rooms, 1, 1'000'000, "rooms, among which members are spread");
  flags.AddInt("rate", options.rate, 1, 10'000'000,
               "messages per second that all members together send");
  flags.AddInt("message_bytes", options.message_bytes, kChatTextHeaderBytes, kChatTextBytesMax,
               "how long the text of a message is");
  flags.AddDuration("duration", options.duration, absl::Milliseconds(1), "how long is measured");
  flags.AddDuration("warmup", options.warmup, absl::ZeroDuration(),
                    "how long the load is on before that");
  flags.AddDuration("drain", options.drain, absl::ZeroDuration(),
                    "how long the last messages may take to come");
  flags.AddText("json", "FILE", json,
                "also writes the figures to FILE; -: to stdout, in place of the table");
}

absl::StatusOr<ChatLoadReport> Run(const ChatLoadOptions& options) {
  TerminalLine line;
  OnChatLoadProgress on_progress;
  if (line.on_terminal()) {
    on_progress = [&](const ChatLoadProgress& progress) {
      line.Show(progress.ToLine(options.duration));
    };
  }
  absl::StatusOr<ChatLoadReport> report = RunChatLoad(options, std::move(on_progress));
  line.Clear();
  return report;
}

absl::Status RunAndPrint(const ChatLoadOptions& options, const std::string& json) {
  MILLRACE_ASSIGN_OR_RETURN(const ResultFile file, ResultFile::Open("--json", json));
  MILLRACE_ASSIGN_OR_RETURN(const ChatLoadReport report, Run(options));
  MILLRACE_RETURN_IF_ERROR(file.Write(report.ToTable(), report.ToJson()));
  if (report.ok()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(report.error_count(), " errors, the first: ", report.first_error));
}

int Main(int argc, char** argv) {
  ChatLoadOptions options = {.ends_on_signal = true};
  std::string json;
  FlagSet flags(kProgram,
                "Fills the rooms of a chat server, has all members talk at a steady rate, checks "
                "that each gets every message once and all in one order, and tells how long that "
                "took.");
  AddFlags(flags, options, json);
  return ProgramMain(argc, argv, flags, [&] { return RunAndPrint(options, json); });
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
