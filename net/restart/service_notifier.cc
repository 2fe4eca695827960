// SPDX-License-Identifier: Apache-2.0
#include "net/restart/service_notifier.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/log/log.h"
#include "absl/memory/memory.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

// Empty if it is not there.
std::string TakeVariable(const char* name) {
  const char* const text = getenv(name);
  std::string value = text == nullptr ? "" : text;
  unsetenv(name);
  return value;
}

}  // namespace

ServiceNotifier::ServiceNotifier(EventLoop& loop)
    : watchdog_(loop.timers(), [this] {
        AssertOnLoop();
        Tell("WATCHDOG=1");
      }) {}

std::unique_ptr<ServiceNotifier> ServiceNotifier::FromEnvironment(EventLoop& loop) {
  auto notifier = absl::WrapUnique(new ServiceNotifier(loop));
  const std::string where = TakeVariable("NOTIFY_SOCKET");
  const std::string microseconds = TakeVariable("WATCHDOG_USEC");
  const std::string whose = TakeVariable("WATCHDOG_PID");
  if (!where.empty()) notifier->Open(where);
  if (notifier->active() && !microseconds.empty()) notifier->StartWatchdog(microseconds, whose);
  return notifier;
}

void ServiceNotifier::Open(const std::string& where) {
  const bool is_unix = where.size() > 1 && (where[0] == '/' || where[0] == '@');
  const auto address = SocketAddress::Parse(absl::StrCat("unix:", where));
  if (!is_unix || !address.ok()) {
    LOG(WARNING) << "NOTIFY_SOCKET=" << where << ": not a Unix socket's name; nobody is told";
    return;
  }
  address_ = *address;
  fd_.Reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_.valid()) LOG(WARNING) << "NOTIFY_SOCKET=" << where << ": " << strerror(errno);
}

void ServiceNotifier::StartWatchdog(const std::string& microseconds, const std::string& whose) {
  if (!whose.empty() && whose != absl::StrCat(getpid())) return;
  int64_t number;
  if (!absl::SimpleAtoi(microseconds, &number) || number < 1) {
    LOG(WARNING) << "WATCHDOG_USEC=" << microseconds << ": must be a whole number, 1 or more";
    return;
  }
  watchdog_period_ = std::max(absl::Microseconds(number) / 2, absl::Milliseconds(1));
  watchdog_.ArmEvery(watchdog_period_);
}

void ServiceNotifier::StopWatchdog() {
  watchdog_.Cancel();
  watchdog_period_ = absl::ZeroDuration();
}

void ServiceNotifier::Tell(absl::string_view lines) {
  if (!active()) return;
  sockaddr_storage storage;
  const socklen_t bytes = address_.ToSockaddr(storage);
  const ssize_t sent = sendto(fd_.get(), lines.data(), lines.size(), MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&storage), bytes);
  if (sent >= 0) {
    counters_.told.Increment();
    return;
  }
  const int error = errno;
  counters_.dropped.Increment();
  LOG_EVERY_N_SEC(WARNING, 60) << "NOTIFY_SOCKET " << address_ << ": " << strerror(error) << " ("
                               << counters_.dropped.value() << " dropped)";
}

}  // namespace millrace
