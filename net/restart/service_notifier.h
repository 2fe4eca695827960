// SPDX-License-Identifier: Apache-2.0
//
// ServiceNotifier tells the service manager that started this process how it is: ready, stopping,
// alive. That is the protocol of sd_notify(3): datagrams to the socket that NOTIFY_SOCKET names.
// Without that variable nobody is told and nothing is done; a manager that is gone, slow or deaf
// never hurts the process: what it does not take is dropped and counted. Loop-only, owned by
// main(); made before other threads start, since it takes its variables out of the environment.
//
//   auto notifier = ServiceNotifier::FromEnvironment(*loop);
//   notifier->Tell("READY=1\nSTATUS=listening on 127.0.0.1:7007");
//
// If WATCHDOG_USEC says that the manager wants to hear of us (and WATCHDOG_PID, if it is there,
// that it means this process), a timer of the loop says WATCHDOG=1 twice in that time, from the
// start on: a loop that stands still goes silent.

#ifndef MILLRACE_NET_RESTART_SERVICE_NOTIFIER_H_
#define MILLRACE_NET_RESTART_SERVICE_NOTIFIER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/counters.h"
#include "base/thread_role.h"
#include "base/unique_fd.h"
#include "net/event_loop.h"
#include "net/socket_address.h"
#include "net/timer_wheel.h"

namespace millrace {

class ServiceNotifier {
 public:
  // Written by the loop, read by anyone.
  struct Counters {
    Counter told;
    Counter dropped;  // Nobody there, or no room in its queue.
  };

  // Never fails: what cannot be understood is logged, and then nobody is told.
  static std::unique_ptr<ServiceNotifier> FromEnvironment(EventLoop& loop) LOOP_ONLY;
  ~ServiceNotifier() = default;

  // Whether there is somebody to tell.
  bool active() const { return fd_.valid(); }
  // Lines of NAME=VALUE. Never waits.
  void Tell(absl::string_view lines) LOOP_ONLY;
  // How often WATCHDOG=1 is said; zero: never.
  absl::Duration watchdog_period() const LOOP_ONLY { return watchdog_period_; }
  // Another process answers for the service from now on: it is what is to be watched.
  void StopWatchdog() LOOP_ONLY;

  const Counters& counters() const { return counters_; }

 private:
  explicit ServiceNotifier(EventLoop& loop);

  void Open(const std::string& where) LOOP_ONLY;
  void StartWatchdog(const std::string& microseconds, const std::string& whose) LOOP_ONLY;

  UniqueFd fd_;
  SocketAddress address_;
  absl::Duration watchdog_period_ = absl::ZeroDuration();
  Counters counters_;
  Timer watchdog_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_RESTART_SERVICE_NOTIFIER_H_
