// SPDX-License-Identifier: Apache-2.0
//
// How a TcpConnection ends: what it does once somebody has asked for it, or something broke.
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "net/connection_handler.h"
#include "net/connection_owner.h"
#include "net/io_result.h"
#include "net/socket.h"
#include "net/tcp_connection.h"

namespace millrace {

void TcpConnection::CloseWrite() {
  if (is_.state != State::kOpen) return;
  is_.ends_write = true;
  SettleLater();
}

void TcpConnection::CloseAfterFlush() {
  if (is_.state != State::kOpen) return;
  is_.state = State::kFlushing;
  SettleLater();
}

void TcpConnection::AdvanceClose() {
  if (is_.state == State::kFlushing) input_.reset();  // Nobody will be asked to read it.
  if (!output_.empty()) return;
  // Closing the socket tells the peer as well, when it is all we still have to do.
  if (is_.state == State::kFlushing && is_.peer_ended) return Finish(absl::OkStatus());
  const bool ends = is_.state == State::kFlushing || is_.ends_write;
  if (ends && !is_.write_ended && !is_.output_blocked) SendEnd();
  if (is_.failing) return Finish(why_);
  if (!is_.write_ended) return;
  if (is_.state == State::kFlushing) {
    is_.state = State::kLingering;
    last_write_ = loop().now();  // Our end may have been sent long ago.
    EnsureTimer();
  }
  if (is_.peer_ended) Finish(absl::OkStatus());
}

void TcpConnection::SendEnd() {
  const IoResult result = wire().CloseWrite();
  if (!result.ok()) return Fail(wire().WhyFailed(result));
  last_write_ = loop().now();
  if (result.kind() == IoResult::kDone) {
    is_.write_ended = true;
    return;
  }
  WaitToWrite(result.kind());
}

void TcpConnection::Fail(absl::Status why) {
  if (is_.failing) return;  // The first reason is the cause of the others.
  is_.failing = true;
  why_ = std::move(why);
}

void TcpConnection::Abort(absl::Status why) {
  if (closed()) return;
  resets_ = true;
  Fail(std::move(why));
  SettleLater();
}

void TcpConnection::CloseWire() {
  plain_.socket() = Socket();
  transport_.reset();
}

// Everything is settled before the handler hears of it, and nothing is done after but to die.
void TcpConnection::Finish(const absl::Status& why) {
  if (closed()) return;
  is_.state = State::kClosed;
  Cancel();
  registration_.EndBeforeClose();
  // Where output is dropped, a clean end would have the peer take what it got for all there is.
  // Where none is, what the kernel still holds is delivered.
  if (resets_ || !output_.empty()) wire().socket().ResetOnClose();
  CloseWire();
  output_.Clear();
  ConnectionCounters& counters = owner_.counters();
  if (told_open_) {
    counters.closed.Increment();
    if (!why.ok()) counters.closed_on_error.Increment();
    handler_->OnClose(*this, why);
  } else {
    LOG_EVERY_N_SEC(WARNING, 1) << "connection of " << peer_ << " failed to open: " << why;
    counters.failed_to_open.Increment();
  }
  owner_.OnConnectionEnd(*this, told_open_ ? absl::OkStatus() : why);
}

}  // namespace millrace
