// SPDX-License-Identifier: Apache-2.0
#include "net/connector.h"

#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace millrace {

Connector::Connector(EventLoop& loop)
    : loop_(loop), address_(SocketAddress::Any(0)), timer_(loop.timers(), [this] {
        AssertOnLoop();
        OnTimer();
      }) {}

void Connector::Connect(const SocketAddress& address, const ConnectOptions& options,
                        OnResult on_result) {
  CHECK(!connecting());
  address_ = address;
  on_result_ = std::move(on_result);
  begun_ = Begin(options);
  // What is decided already is told in the next turn, never from inside this call.
  timer_.Arm(begun_.ok() ? options.timeout : absl::ZeroDuration());
}

// OK if there is something to wait for: a connection that is made at once is writable at once.
absl::Status Connector::Begin(const ConnectOptions& options) {
  const absl::Status prepared = Prepare(options);
  if (!prepared.ok()) return Failure(prepared);
  MILLRACE_RETURN_IF_ERROR(socket_.Connect(address_).status());
  absl::StatusOr<Registration> watch = loop_.Watch(socket_.fd(), Io::kWrite, *this);
  if (!watch.ok()) return Failure(watch.status());
  registration_ = *std::move(watch);
  return absl::OkStatus();
}

absl::Status Connector::Prepare(const ConnectOptions& options) {
  MILLRACE_ASSIGN_OR_RETURN(socket_, Socket::CreateFor(address_));
  return options.local_address ? socket_.Bind(*options.local_address) : absl::OkStatus();
}

void Connector::OnIo(Io) {
  const absl::Status status = CheckConnected();
  status.ok() ? End(std::move(socket_)) : End(Failure(status));
}

absl::Status Connector::CheckConnected() {
  MILLRACE_RETURN_IF_ERROR(socket_.TakeError());
  // A connect to a port of this machine where nobody listens may find itself: the kernel may choose
  // that very port as ours, and two SYNs that cross make a connection (RFC 9293, section 3.5).
  const absl::StatusOr<SocketAddress> local = socket_.LocalAddress();
  if (local.ok() && *local == address_ && !address_.is_unix()) {
    return absl::UnavailableError("connected to itself");
  }
  return absl::OkStatus();
}

void Connector::OnTimer() {
  if (!begun_.ok()) return End(begun_);
  // Where the loop stood still, an answer that came in time is not yet seen.
  if (socket_.PeerAddress().ok()) return OnIo(Io::kWrite);
  End(Failure(absl::DeadlineExceededError("no answer in time")));
}

absl::Status Connector::Failure(const absl::Status& why) const {
  return absl::Status(why.code(), absl::StrCat("connect ", address_, ": ", why.message()));
}

void Connector::End(absl::StatusOr<Socket> result) {
  timer_.Cancel();
  registration_ = Registration();
  socket_ = Socket();
  std::exchange(on_result_, nullptr)(std::move(result));
}

}  // namespace millrace
