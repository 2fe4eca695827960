// SPDX-License-Identifier: Apache-2.0
#include "examples/server/server_main.h"

#include <signal.h>
#include <string.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
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
#include "base/thread.h"
#include "base/thread_role.h"
#include "base/unique_fd.h"
#include "examples/server/activity_log.h"
#include "examples/server/server_flags.h"
#include "examples/server/succession.h"
#include "net/drain.h"
#include "net/poller.h"
#include "net/poller_named.h"
#include "net/restart/inherited_sockets.h"
#include "net/restart/service_notifier.h"
#include "net/signal_watcher.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/stall_watchdog.h"
#include "net/tcp_server.h"
#include "tools/program/process.h"
#include "tools/program/program_main.h"

namespace millrace {
namespace {

// "1 worker loop", "2 worker loops".
std::string Count(int64_t count, absl::string_view what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

// What signals are for. SIGUSR1: what the server is up to goes to the log. SIGTERM or SIGINT, or
// another process that has taken the sockets over: it ends in good order; a second such signal ends
// it at once. SIGHUP says that the terminal is gone, and so begins the end, too; but it never
// counts as the second, for shells and the kernel both send it, and service managers right behind a
// SIGTERM.
class Steward {
 public:
  Steward(EventLoop& main, ServerProgram& program, ServiceNotifier& manager,
          const DrainOptions& drain)
      : main_(main), program_(program), manager_(manager), drain_(drain) {}

  // Until the main loop runs, signals wait: so it has these by then.
  void set_server(TcpServer& server, Succession& succession, ActivityLog& activity) {
    server_ = &server;
    succession_ = &succession;
    activity_ = &activity;
  }

  void OnSignal(int number) LOOP_ONLY {
    if (number == SIGUSR1) return activity_->TellNow();
    // Nothing is told to anybody: who asks twice wants it to be gone.
    if (number != SIGHUP && std::exchange(signalled_, true)) _exit(128 + number);
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

  // The log has it already. A socket that does not listen would end each process that is to take
  // over. Without any, this must end, so that whoever watches it starts another.
  void OnListenerFailed(const TcpServer::ListenerFailure& failure) LOOP_ONLY {
    succession_->Forget(failure.address);
    if (failure.listeners_left > 0 || draining_) return;
    end_ = absl::Status(failure.why.code(),
                        absl::StrCat(failure.why.message(), ": nobody can connect any more"));
    manager_.Tell("STOPPING=1\nSTATUS=draining, for nobody can connect any more");
    succession_->End();
    Drain(end_.message());
  }

  // What the program has to say when the main loop has ended.
  const absl::Status& end() const { return end_; }

 private:
  void Drain(absl::string_view why) LOOP_ONLY {
    draining_ = true;
    LOG(INFO) << program_.name << ": " << why << ": draining " << server_->stats().open
              << " connections, for " << drain_.grace << " at most";
    if (program_.on_drain) program_.on_drain();
    server_->Drain(drain_, [this](const DrainReport& report) {
      LOG(INFO) << program_.name << ": drained " << report;
      main_.Stop();
    });
  }

  EventLoop& main_;
  ServerProgram& program_;
  ServiceNotifier& manager_;
  const DrainOptions drain_;
  TcpServer* server_ = nullptr;
  Succession* succession_ = nullptr;
  ActivityLog* activity_ = nullptr;
  bool signalled_ = false;
  bool draining_ = false;
  absl::Status end_;
};

// nohup(1) does that, and then a terminal's end is nothing to us.
bool HangUpIsIgnored() {
  struct sigaction action = {};
  return sigaction(SIGHUP, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Those that end this process.
std::vector<int> EndSignals() {
  if (HangUpIsIgnored()) return {SIGTERM, SIGINT};
  return {SIGTERM, SIGINT, SIGHUP};
}

// All that the Steward hears of.
std::vector<int> OurSignals() {
  std::vector<int> signals = EndSignals();
  signals.push_back(SIGUSR1);
  return signals;
}

sigset_t SetOf(const std::vector<int>& signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : signals) sigaddset(&set, number);
  return set;
}

// Until somebody watches them they wait, whatever takes time before that; unblocked, they would end
// the process at once.
void BlockSignals() {
  const sigset_t signals = SetOf(OurSignals());
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

// Readable while one of those that end us waits. It is left there, for the main loop.
absl::StatusOr<UniqueFd> WatchForEnd() {
  const sigset_t signals = SetOf(EndSignals());
  UniqueFd fd(signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "signalfd");
  return fd;
}

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

int64_t UsableDescriptors(const std::string& poller) {
  const int64_t limit = RaiseDescriptorLimit();
  return poller == "select" ? std::min<int64_t>(limit, FD_SETSIZE) : limit;
}

// Who comes when there is no descriptor left is turned away; below the cap, it waits. So the cap is
// no higher than what there is, less what the process itself has open: for each loop three, for
// each listener three (its own, its copy, and one in reserve), and some for the log and the like.
absl::Status CapConnections(ServerProgram& program, const ServerSettings& settings,
                            int64_t descriptors) {
  constexpr int64_t kOthers = 20;
  const int loops = 1 + (settings.threads == 0 ? AvailableCpus() : settings.threads);
  const auto listeners = static_cast<int64_t>(settings.sockets.addresses.size());
  const int64_t own = kOthers + 3 * loops + 3 * listeners, room = descriptors - own;
  if (room < 1) {
    return absl::ResourceExhaustedError(
        absl::StrCat(descriptors, " descriptors (ulimit -n) are not enough: the server keeps ", own,
                     " for ", Count(loops, "loop"), " and ", Count(listeners, "listener"),
                     ", and each connection takes one"));
  }
  if (program.connections_max <= room) return absl::OkStatus();
  LOG_IF(WARNING, settings.connections_given)
      << program.name << ": " << descriptors << " descriptors are not enough for "
      << program.connections_max << " connections: at most " << room << " at once";
  program.connections_max = static_cast<int>(room);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<TcpServer>> StartServer(EventLoop& main,
                                                       EventLoopThreadPool& workers,
                                                       ServerProgram& program,
                                                       const ServerSettings& settings,
                                                       Succession& succession, Steward& steward) {
  AssertOnLoop();
  MILLRACE_RETURN_IF_ERROR(succession.Listen());
  MILLRACE_ASSIGN_OR_RETURN(std::vector<Socket> listeners, succession.Copies());
  return TcpServer::Start(
      main, &workers,
      {.listeners = std::move(listeners),
       .handler = std::move(program.handler),
       .limits = program.limits,
       .memory_budget = settings.memory_budget,
       .connections_max = program.connections_max,
       .admission = settings.admission,
       .on_listener_failed = [&steward](const TcpServer::ListenerFailure& failure) {
         AssertOnLoop();
         steward.OnListenerFailed(failure);
       }});
}

// Null if nobody is to watch.
absl::StatusOr<std::unique_ptr<StallWatchdog>> WatchForStalls(absl::Duration threshold,
                                                              EventLoop& main,
                                                              EventLoopThreadPool& workers) {
  if (threshold == absl::ZeroDuration()) return nullptr;
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<StallWatchdog> watchdog,
                            StallWatchdog::Start({.threshold = threshold}));
  watchdog->Watch(main.ref());
  for (size_t i = 0; i < workers.size(); ++i) watchdog->Watch(workers.loop(i));
  return watchdog;
}

// Each thing uses those that stand before it, and goes before them.
absl::Status Serve(ServerProgram& program, const ServerSettings& settings) {
  AssertOnLoop();
  MILLRACE_ASSIGN_OR_RETURN(std::vector<InheritedSocket> inherited, TakeInheritedSockets());
  const int64_t descriptors = UsableDescriptors(settings.poller);
  MILLRACE_ASSIGN_OR_RETURN(PollerFactory poller, PollerNamed(settings.poller));
  MILLRACE_ASSIGN_OR_RETURN(
      std::unique_ptr<EventLoop> main,
      EventLoop::Create(
          {.poller = poller, .name = "main", .measure_turns = settings.measure_turns}));
  std::optional<Steward> steward;  // Signals wait until the main loop runs: it is there by then.
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<SignalWatcher> signals,
                            SignalWatcher::Create(*main, OurSignals(), [&](int number) {
                              AssertOnLoop();
                              steward->OnSignal(number);
                            }));
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<AsyncLogSink> log, AsyncLogSink::Install({}));
  MILLRACE_RETURN_IF_ERROR(CapConnections(program, settings, descriptors));
  const std::unique_ptr<ServiceNotifier> manager = ServiceNotifier::FromEnvironment(*main);
  steward.emplace(*main, program, *manager, settings.drain);
  MILLRACE_ASSIGN_OR_RETURN(
      std::unique_ptr<EventLoopThreadPool> workers,
      EventLoopThreadPool::Start({.threads = settings.threads,
                                  .loop = {.poller = poller,
                                           .busy_poll = settings.busy_poll,
                                           .measure_turns = settings.measure_turns}}));
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<StallWatchdog> watchdog,
                            WatchForStalls(settings.stall_threshold, *main, *workers));
  ServerContext context = {*main, *workers};
  if (program.make_handler) {
    MILLRACE_ASSIGN_OR_RETURN(program.handler, program.make_handler(context));
  }
  MILLRACE_ASSIGN_OR_RETURN(UniqueFd told_to_end, WatchForEnd());
  Succession succession(*main, settings.sockets, std::move(inherited), std::move(told_to_end));
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<TcpServer> server,
                            StartServer(*main, *workers, program, settings, succession, *steward));
  ActivityLog activity(program.name, *main, *workers, *server, *settings.memory_budget);
  steward->set_server(*server, succession, activity);
  MILLRACE_RETURN_IF_ERROR(succession.Begin([&](pid_t successor) {
    AssertOnLoop();
    steward->OnHandedOver(successor);
  }));
  MILLRACE_RETURN_IF_ERROR(Announce(succession, *manager));
  LOG(INFO) << program.name << ": " << Count(static_cast<int64_t>(workers->size()), "worker loop")
            << " on " << settings.poller << ", " << Count(program.connections_max, "connection")
            << " and " << descriptors << " descriptors at most";
  main->Run();
  activity.TellEnd();
  return steward->end();
}

}  // namespace

int ServerMain(int argc, char** argv, ServerProgram program) {
  BlockSignals();
  ServerSettings settings;
  FlagSet flags(program.name, program.description);
  AddServerFlags(flags, settings, program);
  return ProgramMain(argc, argv, flags, [&]() -> absl::Status {
    if (settings.admission.accept_burst > 0 && settings.admission.accepts_per_second == 0) {
      return absl::InvalidArgumentError("--accept_burst: does nothing without --accept_rate");
    }
    settings.sockets.addresses_given = flags.given("listen");
    settings.connections_given = flags.given("max_connections");
    return Serve(program, settings);
  });
}

}  // namespace millrace
