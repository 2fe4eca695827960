// SPDX-License-Identifier: Apache-2.0
//
// The whole of it in one command: an echo server with a loop on every core, and the load client
// against it over loopback, both in this process. Ends with a table of throughput and latency.
//
//   bazel run //:quickstart
//   bazel run //:quickstart -- --connections=5000 --message_bytes=4096 --duration=20s

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "base/thread_role.h"
#include "net/buffer.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/function_handler.h"
#include "net/poller.h"
#include "net/poller_named.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "tools/loadgen/load.h"
#include "tools/loadgen/load_options.h"
#include "tools/loadgen/load_report.h"
#include "tools/loadgen/progress_printer.h"
#include "tools/program/flag_set.h"
#include "tools/program/process.h"
#include "tools/program/program_main.h"

namespace millrace {
namespace {

constexpr absl::string_view kProgram = "quickstart";

struct Settings {
  int threads = 0;
  std::string poller = "epoll";
  LoadOptions load = {.duration = absl::Seconds(5), .warmup = absl::Milliseconds(500)};
};

void AddFlags(FlagSet& flags, Settings& settings) {
  LoadOptions& load = settings.load;
  flags.AddInt("threads", settings.threads, 0, 1024,
               "worker loops of the server, and as many of the client; 0: one for each core");
  flags.AddPoller("poller", settings.poller, "what the server waits with: epoll, poll or select");
  flags.AddInt("connections", load.connections, 1, 1'000'000, "how many at once");
  flags.AddInt("message_bytes", load.message_bytes, 1, kMessageBytesMax, "how large a message is");
  flags.AddInt("pipeline", load.pipeline, 1, kPipelineMax, "messages in flight on a connection");
  flags.AddDuration("duration", load.duration, absl::Milliseconds(1), "how long is measured");
}

// The server. Bytes go back as they come; nothing of it is about speed but the framework.
absl::StatusOr<std::unique_ptr<TcpServer>> StartEcho(EventLoop& main, EventLoopThreadPool& workers,
                                                     int connections_max) {
  return TcpServer::Start(main, &workers,
                          {.addresses = {SocketAddress::Loopback(0)},
                           .handler = FunctionHandlers({.on_data =
                                                            [](TcpConnection& conn, Buffer& input) {
                                                              AssertOnLoop();
                                                              conn.Send(std::move(input));
                                                            }}),
                           .connections_max = connections_max});
}

// The client, on a thread of its own, since the main one is the server's. `report` when it ends.
absl::StatusOr<Thread> StartLoad(const LoadOptions& options, EventLoop& main,
                                 absl::StatusOr<LoadReport>& report) {
  return Thread::Start({.name = "load"}, [&options, &main, &report] {
    ProgressPrinter printer(options.duration);
    report = RunLoad(options, [&](const LoadProgress& progress) { printer.Print(progress); });
    printer.Clear();
    main.Stop();
  });
}

absl::Status PrintReport(const LoadReport& report) {
  PrintOutput(absl::StrCat("\n", report.ToTable(), "\n"));
  if (!report.ok()) {
    return absl::UnavailableError(
        absl::StrCat(report.error_count(), " errors, the first: ", report.first_error));
  }
  if (report.messages == 0) return absl::UnavailableError("not one message came back in time");
  PrintOutput("Every byte came back right.\n");
  return absl::OkStatus();
}

absl::Status Run(Settings& settings) {
  AssertOnLoop();
  const std::string connections = absl::StrCat(settings.load.connections, " connections");
  MILLRACE_RETURN_IF_ERROR(ReserveDescriptors(2 * int64_t{settings.load.connections} + 256,
                                              absl::StrCat("both ends of ", connections)));
  MILLRACE_ASSIGN_OR_RETURN(const PollerFactory poller, PollerNamed(settings.poller));
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> main, EventLoop::Create({.poller = poller}));
  MILLRACE_ASSIGN_OR_RETURN(
      std::unique_ptr<EventLoopThreadPool> workers,
      EventLoopThreadPool::Start({.threads = settings.threads, .loop = {.poller = poller}}));
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<TcpServer> server,
                            StartEcho(*main, *workers, settings.load.connections));
  PrintOutput(absl::StrCat("Millrace: an echo server with ", workers->size(), " worker loops on ",
                           settings.poller, ", at ", server->addresses()[0], ", and ", connections,
                           " to it.\n"));
  settings.load.addresses = server->addresses();
  settings.load.threads = settings.threads;
  absl::StatusOr<LoadReport> report = absl::UnknownError("the load has not run");
  {
    MILLRACE_ASSIGN_OR_RETURN(const Thread load, StartLoad(settings.load, *main, report));
    main->Run();
  }
  MILLRACE_RETURN_IF_ERROR(report.status());
  return PrintReport(*report);
}

int Main(int argc, char** argv) {
  Settings settings;
  FlagSet flags(
      kProgram,
      "An echo server on every core, and the load client against it over loopback, in one "
      "process: tells how fast messages came back, and whether every byte was right.");
  AddFlags(flags, settings);
  return ProgramMain(argc, argv, flags, [&] { return Run(settings); });
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
