// SPDX-License-Identifier: Apache-2.0
#include "examples/server/server_main.h"

#include <signal.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/async_log_sink.h"
#include "base/status_macros.h"
#include "base/thread_role.h"
#include "examples/server/succession.h"
#include "net/drain.h"
#include "net/inherited_sockets.h"
#include "net/limits.h"
#include "net/poller.h"
#include "net/poller_named.h"
#include "net/service_notifier.h"
#include "net/signal_watcher.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/tcp_server.h"
#include "tools/program/process.h"
#include "tools/program/program_main.h"

namespace millrace {
namespace {

constexpr int kThreadsMax = 1024;

// What the flags say.
struct Settings {
  Succession::Settings sockets;
  int threads = 0;
  std::string poller = "epoll";
  absl::Duration busy_poll = absl::ZeroDuration();
  absl::Duration drain_timeout = absl::Seconds(10);
};

void AddFlags(FlagSet& flags, Settings& settings, ServerProgram& program) {
  settings.sockets.addresses = {SocketAddress::Loopback(program.port)};
  flags.AddAddresses(
      "listen", settings.sockets.addresses,
      "where: 127.0.0.1:7007, [::1]:7007, *:7007 (all addresses) or unix:/path.sock; "
      "port 0 picks a free one; several separated by commas, or by several --listen");
  flags.AddInt("threads", settings.threads, 0, kThreadsMax,
               "worker loops, each with a thread; 0: one for each core it may use");
  flags.AddPoller("poller", settings.poller, "what the loops wait with: epoll, poll or select");
  flags.AddDuration("busy_poll", settings.busy_poll, absl::ZeroDuration(),
                    "how long a busy loop asks for more before it sleeps: half the latency of lone "
                    "requests, for up to a core; 100us is a good value, 0s is off",
                    kBusyPollMax);
  flags.AddDuration("idle_timeout", program.limits.idle_timeout, absl::Milliseconds(1),
                    "closes a connection on which nothing moved for so long; inf: never");
  flags.AddInt("max_connections", program.connections_max, 1, 10'000'000,
               "how many at once; more wait until one ends");
  flags.AddDuration("drain_timeout", settings.drain_timeout, absl::ZeroDuration(),
                    "how long connections may go on after SIGTERM or SIGINT; inf: as they like");
  flags.Add({.name = "takeover",
             .value = "PATH",
             .help =
                 "takes the listening sockets over from the process that offers them at this "
                 "Unix socket, if there is one, which then drains; and offers them there to the "
                 "next one",
             .read = [&settings](absl::string_view path) -> absl::Status {
               MILLRACE_ASSIGN_OR_RETURN(settings.sockets.offer,
                                         SocketAddress::Parse(absl::StrCat("unix:", path)));
               return absl::OkStatus();
             }});
  if (program.add_flags) program.add_flags(flags);
}

// How the server ends in good order: by a signal, or because another process has taken its sockets
// over. A second signal ends it at once.
class Ending {
 public:
  Ending(EventLoop& main, ServerProgram& program, ServiceNotifier& manager, absl::Duration grace)
      : main_(main), program_(program), manager_(manager), grace_(grace) {}

  // Until the main loop runs, signals wait: so it has these by then.
  void set_server(TcpServer& server, Succession& succession) {
    server_ = &server;
    succession_ = &succession;
  }

  void OnSignal(int number) LOOP_ONLY {
    // Nothing is told to anybody: who asks twice wants it to be gone.
    if (std::exchange(signalled_, true)) _exit(128 + number);
    if (draining_) return;
    manager_.Tell(
        absl::StrCat("STOPPING=1\nSTATUS=draining ", server_->stats().open, " connections"));
    succession_->End();
    Drain(strsignal(number));
  }

  // The process number tells the service manager whom to follow from now on.
  void OnHandedOver(pid_t successor) LOOP_ONLY {
    manager_.Tell(absl::StrCat("MAINPID=", successor));
    manager_.StopWatchdog();
    Drain(absl::StrCat("process ", successor, " has taken over"));
  }

 private:
  void Drain(absl::string_view why) LOOP_ONLY {
    draining_ = true;
    LOG(INFO) << program_.name << ": " << why << ": draining " << server_->stats().open
              << " connections, for " << grace_ << " at most";
    if (program_.on_drain) program_.on_drain();
    server_->Drain({.grace = grace_}, [this](const DrainReport& report) {
      LOG(INFO) << program_.name << ": drained " << report;
      main_.Stop();
    });
  }

  EventLoop& main_;
  ServerProgram& program_;
  ServiceNotifier& manager_;
  const absl::Duration grace_;
  TcpServer* server_ = nullptr;
  Succession* succession_ = nullptr;
  bool signalled_ = false;
  bool draining_ = false;
};

// Tells those who wait for it that it can be reached: people and scripts, and the service manager.
absl::Status Announce(const Succession& succession, ServiceNotifier& manager) {
  AssertOnLoop();
  const std::vector<SocketAddress> addresses = succession.addresses();
  std::string lines;
  for (const SocketAddress& address : addresses) {
    absl::StrAppend(&lines, "listening on ", address, "\n");
  }
  const bool printed = PrintOutput(lines);
  // With the old process gone, not to serve would be worse than not to say so.
  if (!printed && succession.predecessor()) {
    LOG(ERROR) << "stdout takes nothing";
  } else if (!printed) {
    return absl::UnavailableError("stdout takes nothing");
  }
  std::string state = absl::StrCat("READY=1\nSTATUS=listening on ", absl::StrJoin(addresses, ", "));
  if (succession.predecessor()) absl::StrAppend(&state, "\nMAINPID=", getpid());
  manager.Tell(state);
  return absl::OkStatus();
}

void LogEnd(const ServerProgram& program, const TcpServer::Stats& stats) {
  LOG(INFO) << program.name << ": ended after " << stats.accepted << " connections ("
            << stats.closed_on_error << " ended on an error or a limit, " << stats.failed_to_open
            << " could not be opened, " << stats.refused << " turned away), " << stats.bytes_read
            << " bytes in, " << stats.bytes_written << " out";
}

int64_t UsableDescriptors(const std::string& poller) {
  const int64_t limit = RaiseDescriptorLimit();
  return poller == "select" ? std::min<int64_t>(limit, FD_SETSIZE) : limit;
}

// Who comes when there is no descriptor left is turned away; below the cap, it waits. So the cap is
// no higher than what there is, less what the process itself has open.
void CapConnections(ServerProgram& program, int64_t descriptors) {
  constexpr int64_t kOwn = 64;
  const int64_t room = std::max(descriptors - kOwn, descriptors / 2);
  if (program.connections_max <= room) return;
  LOG(WARNING) << program.name << ": " << descriptors << " descriptors are not enough for "
               << program.connections_max << " connections: at most " << room << " at once";
  program.connections_max = static_cast<int>(room);
}

absl::StatusOr<std::unique_ptr<TcpServer>> StartServer(EventLoop& main,
                                                       EventLoopThreadPool& workers,
                                                       ServerProgram& program,
                                                       Succession& succession) {
  AssertOnLoop();
  MILLRACE_RETURN_IF_ERROR(succession.Listen());
  MILLRACE_ASSIGN_OR_RETURN(std::vector<Socket> listeners, succession.Copies());
  return TcpServer::Start(main, &workers,
                          {.listeners = std::move(listeners),
                           .handler = std::move(program.handler),
                           .limits = program.limits,
                           .connections_max = program.connections_max});
}

// Each thing uses those that stand before it, and goes before them.
absl::Status Serve(ServerProgram& program, const Settings& settings) {
  AssertOnLoop();
  MILLRACE_ASSIGN_OR_RETURN(std::vector<InheritedSocket> inherited, TakeInheritedSockets());
  const int64_t descriptors = UsableDescriptors(settings.poller);
  CapConnections(program, descriptors);
  MILLRACE_ASSIGN_OR_RETURN(PollerFactory poller, PollerNamed(settings.poller));
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> main, EventLoop::Create({.poller = poller}));
  const std::unique_ptr<ServiceNotifier> manager = ServiceNotifier::FromEnvironment(*main);
  Ending ending(*main, program, *manager, settings.drain_timeout);
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<SignalWatcher> signals,
                            SignalWatcher::Create(*main, {SIGTERM, SIGINT}, [&](int number) {
                              AssertOnLoop();
                              ending.OnSignal(number);
                            }));
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<AsyncLogSink> log, AsyncLogSink::Install({}));
  MILLRACE_ASSIGN_OR_RETURN(
      std::unique_ptr<EventLoopThreadPool> workers,
      EventLoopThreadPool::Start({.threads = settings.threads,
                                  .loop = {.poller = poller, .busy_poll = settings.busy_poll}}));
  ServerContext context = {*main, *workers};
  if (program.make_handler) {
    MILLRACE_ASSIGN_OR_RETURN(program.handler, program.make_handler(context));
  }
  Succession succession(*main, settings.sockets, std::move(inherited));
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<TcpServer> server,
                            StartServer(*main, *workers, program, succession));
  ending.set_server(*server, succession);
  MILLRACE_RETURN_IF_ERROR(succession.Begin([&](pid_t successor) {
    AssertOnLoop();
    ending.OnHandedOver(successor);
  }));
  MILLRACE_RETURN_IF_ERROR(Announce(succession, *manager));
  LOG(INFO) << program.name << ": " << workers->size() << " worker loops on " << settings.poller
            << ", " << program.connections_max << " connections and " << descriptors
            << " descriptors at most";
  main->Run();
  LogEnd(program, server->stats());
  return absl::OkStatus();
}

}  // namespace

int ServerMain(int argc, char** argv, ServerProgram program) {
  Settings settings;
  FlagSet flags(program.name, program.description);
  AddFlags(flags, settings, program);
  return ProgramMain(argc, argv, flags, [&] {
    settings.sockets.addresses_given = flags.given("listen");
    return Serve(program, settings);
  });
}

}  // namespace millrace
