// SPDX-License-Identifier: Apache-2.0
//
// TcpClient connects, and keeps one connection: it tries again with growing pauses if it is told
// to, and connects anew when the connection ends. Its handler is as a server's. Loop-only; owned by
// whoever wants the connection; destroying it, at any time, ends all of it: an open connection's
// handler hears Cancelled, and after that nothing is called.
//
//   TcpClient client(*loop, {
//       .address = SocketAddress::Loopback(7007),
//       .handler = [] { return std::make_unique<PingHandler>(); },
//       .retry = Backoff::Options(),
//       .on_connect_failed = [](const absl::Status& why) { LOG(WARNING) << why; }});
//   client.Connect();

#ifndef MILLRACE_NET_TCP_CLIENT_H_
#define MILLRACE_NET_TCP_CLIENT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "net/backoff.h"
#include "net/connection_handler.h"
#include "net/connection_limits.h"
#include "net/connection_owner.h"
#include "net/connection_table.h"
#include "net/connector.h"
#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/memory_budget.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/timer_wheel.h"
#include "net/transport.h"

namespace millrace {

class TcpClient {
 public:
  struct Options {
    SocketAddress address = SocketAddress::Loopback(0);
    HandlerFactory handler = {};      // Asked for each connection made.
    TransportFactory transport = {};  // Empty: plain.
    ConnectionLimits limits = {};
    Ref<MemoryBudget> memory_budget = MemoryBudget::OfProcess();  // As a server's. {}: none.
    ConnectOptions connect = {};
    bool no_delay = true;
    // Pauses between tries; none: one try. A connection on which something came, and that lasted
    // longer than the next pause, starts them anew.
    std::optional<Backoff::Options> retry = {};
    int attempts_max = 0;  // In a row, before it gives up; 0: never.
    // Whether to connect again, after a pause, when a connection has ended; and to go on trying,
    // with the default pauses if `retry` is none.
    bool reconnect = false;
    // Hears of each try that failed, and why: also when the connection was made but not opened, for
    // its transport could not shake hands. May destroy the client. will_retry() tells what is
    // next.
    absl::AnyInvocable<void(const absl::Status& why)> on_connect_failed = {};
    uint64_t seed = 0;  // Of the pauses' jitter; 0: from the system.
  };

  TcpClient(EventLoop& loop, Options options) LOOP_ONLY;
  TcpClient(const TcpClient&) = delete;
  TcpClient& operator=(const TcpClient&) = delete;
  ~TcpClient();

  // Starts to connect; what comes of it is told later. Does nothing while it connects, waits to, or
  // is connected.
  void Connect() LOOP_ONLY;
  // There is a connection, which may still be shaking hands.
  bool connected() const LOOP_ONLY { return table_->size() > 0; }
  // A try is under way, or will be after a pause.
  bool will_retry() const LOOP_ONLY { return connector_.connecting() || retry_timer_.armed(); }
  const ConnectionCounters& counters() const { return counters_; }

 private:
  void Try() LOOP_ONLY;
  void OnResult(absl::StatusOr<Socket> socket) LOOP_ONLY;
  void OnFailed(const absl::Status& why) LOOP_ONLY;
  void OnConnectionEnd() LOOP_ONLY;
  void RetryLater() LOOP_ONLY;

  // Outlives this by the rest of the turn: one of its functions may be what destroys the client.
  struct Settings final : Deferred {
    explicit Settings(Options given) : options(std::move(given)) {}
    Options options;
  };

  EventLoop& loop_;
  std::unique_ptr<Settings> settings_;
  Options& options_;
  Backoff backoff_;
  ConnectionCounters counters_;
  std::unique_ptr<ConnectionTable> table_;
  Connector connector_;
  Timer retry_timer_;
  int attempts_ = 0;
  MonotonicTime connected_;         // When the connection was made,
  uint64_t bytes_read_before_ = 0;  // and what had been read by then.
};

}  // namespace millrace

#endif  // MILLRACE_NET_TCP_CLIENT_H_
