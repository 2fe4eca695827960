// SPDX-License-Identifier: Apache-2.0
//
// How a TcpConnection ends: what it does once somebody has asked for it, or something broke.
#include <cerrno>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "net/close_reason.h"
#include "net/connection_handler.h"
#include "net/connection_owner.h"
#include "net/io_result.h"
#include "net/socket.h"
#include "net/tcp_connection.h"

namespace millrace {

void TcpConnection::CloseWrite() {
  if (is_.state != State::kOpen) return;
  is_.ends_write = true;
  Note(FlightEvent::kEndingWrite);
  if (cause_ == CloseCause::kNone) cause_ = CloseCause::kHandlerClosed;
  SettleLater();
}

void TcpConnection::CloseAfterFlush() {
  if (is_.state != State::kOpen) return;
  is_.state = State::kFlushing;
  Note(FlightEvent::kClosing);
  if (cause_ == CloseCause::kNone) cause_ = CloseCause::kHandlerClosed;
  SettleLater();
}

void TcpConnection::AdvanceClose() {
  if (is_.state == State::kFlushing) message_.reset();  // Nobody will be asked to read it.
  if (!output_.empty()) return;
  // Closing the socket tells the peer as well, when it is all we still have to do.
  if (is_.state == State::kFlushing && is_.peer_ended) return Finish();
  const bool ends = is_.state == State::kFlushing || is_.ends_write;
  if (ends && !is_.write_ended && !is_.output_blocked) SendEnd();
  if (is_.failing) return Finish();
  if (!is_.write_ended) return;
  if (is_.state == State::kFlushing) {
    is_.state = State::kLingering;
    last_write_ = loop().now();  // Our end may have been sent long ago.
    EnsureTimer();
  }
  if (is_.peer_ended) Finish();
}

void TcpConnection::SendEnd() {
  const IoResult result = wire().CloseWrite();
  if (!result.ok()) return Fail(result);
  if (result.kind() == IoResult::kDone || !is_.write_stalled) last_write_ = loop().now();
  if (result.kind() == IoResult::kDone) {
    is_.write_ended = true;
    Note(FlightEvent::kEndSent);
    return;
  }
  WaitToWrite(result.kind());
}

void TcpConnection::Fail(CloseCause cause, absl::Status why, int error) {
  if (is_.failing) return;  // The first reason is the cause of the others.
  is_.failing = true;
  Note(FlightEvent::kFailed, static_cast<uint64_t>(error));
  cause_ = cause;
  error_ = static_cast<uint16_t>(error);
  why_ = std::move(why);
}

void TcpConnection::Fail(IoResult failed) {
  const bool shakes = is_.state == State::kHandshaking;
  const bool from_system = failed.call() != IoCall::kNone;  // Else the transport's own.
  Fail(shakes ? CloseCause::kHandshakeFailed : CauseOf(failed), wire().WhyFailed(failed),
       from_system ? failed.error() : 0);
}

void TcpConnection::Abort(absl::Status why, CloseCause cause) {
  if (closed()) return;
  resets_ = true;
  Fail(cause, std::move(why));
  SettleLater();
}

void TcpConnection::EndNow(CloseCause cause, const absl::Status& why) {
  if (closed()) return;
  Fail(cause, why);
  Finish();
}

// The poller refused it. Its status has no errno, but the call that failed was the last one; who
// called the poller has set errno to 0, for it may refuse without asking the kernel.
void TcpConnection::EndUnwatched(const absl::Status& why) {
  resets_ = resets_ || !told_open_;  // An orderly end would be taken for an empty answer.
  Fail(CloseCause::kSystemFailed, why, errno);
  Finish();
}

void TcpConnection::CloseWire() {
  plain_.socket() = Socket();
  transport_.reset();
}

// Everything is settled before the handler hears of it, and nothing is done after but to die.
void TcpConnection::Finish() {
  if (closed()) return;
  is_.state = State::kClosed;
  Cancel();
  registration_.EndBeforeClose();
  // Where output is dropped, a clean end would have the peer take what it got for all there is.
  // Where none is, what the kernel still holds is delivered.
  if (resets_ || !output_.empty()) wire().socket().ResetOnClose();
  CloseWire();
  output_.Clear();
  if (extras_ != nullptr) extras_->EndShared();
  ConnectionCounters& counters = owner_.counters();
  counters.CountEnd(cause_);
  if (told_open_) {
    counters.closed.Increment();
    if (!why_.ok()) counters.closed_on_error.Increment();
    handler_->OnClose(*this, why_);
  } else {
    LOG_EVERY_N_SEC(WARNING, 1) << "connection of " << peer_ << " failed to open: " << why_;
    counters.failed_to_open.Increment();
  }
  owner_.OnConnectionEnd(*this, told_open_ ? absl::OkStatus() : why_);
}

}  // namespace millrace
