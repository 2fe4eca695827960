// SPDX-License-Identifier: Apache-2.0
//
// Connector makes one connection, within a time. Loop-only; owned by whoever wants it; destroying
// it gives up, and then nobody hears of it.
//
//   Connector connector(loop);
//   connector.Connect(address, {.timeout = absl::Seconds(3)}, [&](absl::StatusOr<Socket> socket) {
//     if (!socket.ok()) LOG(ERROR) << socket.status();   // Says which address, and why.
//   });

#ifndef MILLRACE_NET_CONNECTOR_H_
#define MILLRACE_NET_CONNECTOR_H_

#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/thread_role.h"
#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/limits.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/timer_wheel.h"

namespace millrace {

struct ConnectOptions {
  absl::Duration timeout = kConnectTimeout;
  std::optional<SocketAddress> local_address = {};  // To bind to; port 0 lets the kernel choose it.
};

class Connector final : public IoHandler {
 public:
  // Called once for each Connect(), never from inside it. May destroy the connector.
  using OnResult = absl::AnyInvocable<void(absl::StatusOr<Socket> socket) &&>;

  explicit Connector(EventLoop& loop);

  // Requires: not connecting.
  void Connect(const SocketAddress& address, const ConnectOptions& options,
               OnResult on_result) LOOP_ONLY;
  bool connecting() const LOOP_ONLY { return static_cast<bool>(on_result_); }

 private:
  void OnIo(Io ready) override LOOP_ONLY;
  absl::Status Begin(const ConnectOptions& options) LOOP_ONLY;
  absl::Status Prepare(const ConnectOptions& options) LOOP_ONLY;
  absl::Status CheckConnected() LOOP_ONLY;
  void OnTimer() LOOP_ONLY;
  absl::Status Failure(const absl::Status& why) const;
  void End(absl::StatusOr<Socket> result) LOOP_ONLY;

  EventLoop& loop_;
  SocketAddress address_;
  Socket socket_;
  Registration registration_;
  OnResult on_result_;
  absl::Status begun_;  // How Begin() went, if there is nothing to wait for.
  Timer timer_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_CONNECTOR_H_
