// SPDX-License-Identifier: Apache-2.0
//
// The load client: puts connections and messages on an echo server, checks every byte that comes
// back, and tells how fast they came.
//
//   bazel run //tools/loadgen -- --connect=127.0.0.1:7007 --connections=1000 --json=result.json
//
// Without --rate it is a closed loop: a message that comes back lets the next one go, so that a
// server that stalls is asked less while it does, and percentiles flatter it. With --rate=N
// messages are due at their times whatever comes back, and are timed from then.
//
// docs/loadgen.md tells what is measured, and how to see that it is the server and not the client.

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "net/socket_address.h"
#include "tools/loadgen/load.h"
#include "tools/loadgen/load_options.h"
#include "tools/loadgen/load_page.h"
#include "tools/loadgen/load_report.h"
#include "tools/loadgen/progress_printer.h"
#include "tools/loadgen/result_file.h"
#include "tools/program/flag_set.h"
#include "tools/program/process.h"
#include "tools/program/program_main.h"

namespace millrace {
namespace {

constexpr absl::string_view kProgram = "loadgen";
constexpr absl::Duration kWarmupMax = absl::Hours(24);

// Where the figures go, besides to the table.
struct Outputs {
  std::string json = "";
  std::string report = "";
  std::string command_line = "";  // That asked for it.
};

void AddFlags(FlagSet& flags, LoadOptions& options, Outputs& outputs) {
  options.addresses = {SocketAddress::Loopback(7007)};
  flags.AddAddresses(
      "connect", options.addresses,
      "the server: 127.0.0.1:7007, [::1]:7007 or unix:/path.sock; several, separated "
      "by commas or by several --connect, share the connections");
  flags.Add({.name = "mode",
             .value = "MODE",
             .initial = std::string(LoadModeName(options.mode)),
             .help = "echo: each connection sends messages and takes them back; churn: each "
                     "connects, sends one, takes it back and closes, over and over; idle: each "
                     "connects, and that is all",
             .read = [&options](absl::string_view text) {
               MILLRACE_ASSIGN_OR_RETURN(options.mode, LoadModeNamed(text));
               return absl::OkStatus();
             }});
  flags.AddInt("threads", options.threads, 0, 1024, "0: one for each core it may use");
  flags.AddInt("connections", options.connections, 1, 10'000'000, "how many at once");
  flags.AddInt("message_bytes", options.message_bytes, 1, kMessageBytesMax,
               "how large a message is");
  flags.AddSwitch("framed", options.framed,
                  "each message is four bytes of length, the highest first, and the rest of "
                  "message_bytes: for servers of requests that reply with the same");
  flags.AddInt("pipeline", options.pipeline, 1, kPipelineMax,
               "messages in flight on each connection, in mode echo");
  flags.AddInt("rate", options.rate, 0, kRateMax,
               "messages per second in total, in mode echo, timed from when each was due, also if "
               "its pipeline was full then; 0: each that comes back is answered by the next");
  flags.AddDuration("duration", options.duration, absl::Milliseconds(1), "how long is measured");
  flags.AddDuration("warmup", options.warmup, absl::ZeroDuration(),
                    "how long the load is on before that, with all connections open", kWarmupMax);
  flags.AddText("json", "FILE", outputs.json,
                "also writes the figures to FILE; -: to stdout, in place of the table");
  flags.AddText("report", "FILE.html", outputs.report,
                "also writes a page with the figures, throughput over time and the latency "
                "distribution drawn");
}

// A line on stderr.
void Say(absl::string_view text) { PrintError(kProgram, absl::UnknownError(text)); }

// The run's end may take some seconds, in which nothing else would show that the signal was heard.
void SayItFinishes(const LoadOptions& options) {
  if (options.ending_max() <= absl::ZeroDuration()) return;
  Say(absl::StrFormat("finishing: waiting up to %g s for what is under way; again to end at once",
                      absl::ToDoubleSeconds(options.ending_max())));
}

// What the exit code does not tell; and what the table says of the figures, if there is none.
void Warn(const LoadReport& report, bool has_table) {
  if (report.interrupted) Say(report.Interruption());
  if (has_table) return;
  const std::string note = report.Note();
  for (const absl::string_view line : absl::StrSplit(note, '\n', absl::SkipEmpty())) Say(line);
}

absl::StatusOr<LoadReport> Run(const LoadOptions& options) {
  ProgressPrinter printer(options.duration);
  OnLoadProgress on_progress;
  if (printer.on_terminal()) {
    on_progress = [&printer](const LoadProgress& progress) { printer.Print(progress); };
  }
  const auto on_interrupt = [&] {
    printer.Clear();
    SayItFinishes(options);
  };
  absl::StatusOr<LoadReport> report = RunLoad(options, std::move(on_progress), on_interrupt);
  printer.Clear();
  return report;
}

absl::Status RunAndPrint(const LoadOptions& options, const Outputs& outputs) {
  if (outputs.report == "-") return absl::InvalidArgumentError("--report=-: must be a file");
  MILLRACE_ASSIGN_OR_RETURN(const ResultFile file, ResultFile::Open("--json", outputs.json));
  MILLRACE_ASSIGN_OR_RETURN(const ResultFile page, ResultFile::Open("--report", outputs.report));
  if (file.IsSameAs(page)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--json=", outputs.json, " and --report=", outputs.report, " are one file"));
  }
  MILLRACE_ASSIGN_OR_RETURN(const LoadReport report, Run(options));
  MILLRACE_RETURN_IF_ERROR(file.Write(report.ToTable(), report.ToJson()));
  MILLRACE_RETURN_IF_ERROR(page.WriteFile(LoadPage(report, outputs.command_line)));
  Warn(report, /*has_table=*/outputs.json != "-");
  if (report.ok()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(report.error_count(), " errors, the first: ", report.first_error));
}

int Main(int argc, char** argv) {
  LoadOptions options = {.ends_on_signal = true};
  Outputs outputs = {.command_line = CommandLineOf(argc, argv)};
  FlagSet flags(
      kProgram,
      "Puts load on an echo server, checks every byte that comes back, and tells how fast "
      "they came.");
  AddFlags(flags, options, outputs);
  return ProgramMain(argc, argv, flags, [&] { return RunAndPrint(options, outputs); });
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
