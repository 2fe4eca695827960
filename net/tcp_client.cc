// SPDX-License-Identifier: Apache-2.0
#include "net/tcp_client.h"

#include <utility>

#include "absl/log/check.h"

namespace millrace {

TcpClient::TcpClient(EventLoop& loop, Options options)
    : loop_(loop),
      settings_(std::make_unique<Settings>(std::move(options))),
      options_(settings_->options),
      backoff_(options_.retry.value_or(Backoff::Options()),
               options_.seed == 0 ? Random::FromEntropy() : Random(options_.seed)),
      table_(std::make_unique<ConnectionTable>(loop, options_.limits, counters_,
                                               options_.memory_budget)),
      connector_(loop),
      retry_timer_(loop.timers(), [this] {
        AssertOnLoop();
        Try();
      }) {
  CHECK(options_.handler) << "TcpClient needs a handler factory";
  CHECK_OK(options_.limits.Check());
  table_->set_on_end([this](const ConnectionTable::End& end) {
    AssertOnLoop();
    end.failure.ok() ? OnConnectionEnd() : OnFailed(end.failure);
  });
}

// This may come from inside a call of the handler: what is on the stack lives to the end of the
// turn.
TcpClient::~TcpClient() {
  AssertOnLoop();
  table_->StopTelling();
  table_->CloseAll(absl::CancelledError("the client was destroyed"));
  loop_.DestroyLater(std::move(table_));
  loop_.DestroyLater(std::move(settings_));
}

void TcpClient::Connect() {
  if (connected() || will_retry()) return;
  attempts_ = 0;
  Try();
}

void TcpClient::Try() {
  ++attempts_;
  connector_.Connect(options_.address, options_.connect, [this](absl::StatusOr<Socket> socket) {
    AssertOnLoop();
    OnResult(std::move(socket));
  });
}

void TcpClient::OnResult(absl::StatusOr<Socket> socket) {
  absl::Status status = socket.status();
  if (status.ok() && options_.no_delay) status = socket->SetNoDelay();
  if (!status.ok()) return OnFailed(status);
  connected_ = loop_.now();
  bytes_read_before_ = counters_.bytes_read.value();
  table_->Open(*std::move(socket), options_.address, options_.transport, options_.handler);
}

void TcpClient::OnFailed(const absl::Status& why) {
  const bool gives_up = options_.attempts_max > 0 && attempts_ >= options_.attempts_max;
  if ((options_.retry || options_.reconnect) && !gives_up) RetryLater();
  if (options_.on_connect_failed) options_.on_connect_failed(why);
}

// A peer that accepts, greets perhaps, and fails, again and again, is not to be stormed.
void TcpClient::OnConnectionEnd() {
  attempts_ = 0;
  const bool spoke = counters_.bytes_read.value() > bytes_read_before_;
  if (spoke && loop_.now() - connected_ >= backoff_.next()) backoff_.Reset();
  if (options_.reconnect) RetryLater();
}

void TcpClient::RetryLater() { retry_timer_.Arm(backoff_.Next()); }

}  // namespace millrace
