// SPDX-License-Identifier: Apache-2.0
//
// What a TcpConnection does when nothing happens to it.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "net/close_reason.h"
#include "net/connection_extras.h"
#include "net/connection_limits.h"
#include "net/pending_message.h"
#include "net/tcp_connection.h"

namespace millrace {
namespace {

MonotonicTime After(MonotonicTime since, uint32_t timeout_ms) {
  if (timeout_ms == 0) return MonotonicTime::InfiniteFuture();
  return MonotonicTime::FromNanoseconds(since.nanoseconds() + int64_t{timeout_ms} * 1'000'000);
}

// Whether `deadline` has come; if not, it may be what comes `next`.
bool IsOver(MonotonicTime deadline, MonotonicTime now, MonotonicTime& next) {
  if (deadline > now) next = std::min(next, deadline);
  return deadline <= now;
}

CloseReason Overdue(CloseCause cause, absl::string_view what, uint32_t timeout_ms) {
  return {.cause = cause,
          .status = absl::DeadlineExceededError(
              absl::StrCat(what, absl::FormatDuration(absl::Milliseconds(timeout_ms))))};
}

}  // namespace

ConnectionExtras& TcpConnection::extras() {
  if (extras_ == nullptr) extras_ = std::make_unique<ConnectionExtras>();
  return *extras_;
}

OwnTimeouts TcpConnection::timeouts() const {
  if (extras_ != nullptr && extras_->timeouts) return *extras_->timeouts;
  return OwnTimeouts(owner_.timeouts());
}

OwnTimeouts& TcpConnection::own_timeouts() {
  std::optional<OwnTimeouts>& own = extras().timeouts;
  if (!own) own.emplace(owner_.timeouts());
  return *own;
}

// Why its time is over, if it is; else `next` is when to look again.
CloseReason TcpConnection::CheckDeadlines(MonotonicTime& next) {
  next = MonotonicTime::InfiniteFuture();
  const auto passed = [&](MonotonicTime since, uint32_t timeout_ms) LOOP_ONLY {
    return IsOver(After(since, timeout_ms), loop().now(), next);
  };
  if (is_.state == State::kHandshaking) {
    const uint32_t limit = owner_.timeouts().handshake_ms;
    if (!passed(last_read_, limit)) return {};
    return Overdue(CloseCause::kHandshakeTimeout, "no handshake for ", limit);
  }
  if (is_.state == State::kLingering) {
    const uint32_t limit = owner_.timeouts().linger_ms;
    if (!passed(last_write_, limit)) return {};
    return Overdue(CloseCause::kLingerTimeout, "the peer kept its end open for ", limit);
  }
  const OwnTimeouts own = timeouts();
  if (is_.output_blocked && passed(std::max(last_write_, own.write_from), own.write_ms)) {
    return Overdue(CloseCause::kWriteTimeout, "the peer took no output for ", own.write_ms);
  }
  const bool reads = is_.state == State::kOpen && is_.wants_input();
  if (reads && (message_ != nullptr || is_.awaits_first_byte)) {
    CloseReason too_slow = CheckProgress(next);
    if (too_slow.cause != CloseCause::kNone) return too_slow;
  }
  if (reads && passed(std::max(last_read_, own.read_from), own.read_ms)) {
    return Overdue(CloseCause::kReadTimeout, "no input for ", own.read_ms);
  }
  next = std::min(next, NextLookInDrain());
  const MonotonicTime idle_since = std::max({last_read_, last_write_, own.idle_from});
  if (!passed(idle_since, own.idle_ms)) return {};
  return Overdue(CloseCause::kIdleTimeout, "idle for ", own.idle_ms);
}

// Requires: we read.
CloseReason TcpConnection::CheckProgress(MonotonicTime& next) {
  const ConnectionTimeouts& limits = owner_.timeouts();
  const MonotonicTime now = loop().now();
  if (is_.awaits_first_byte && IsOver(After(last_read_, limits.first_byte_ms), now, next)) {
    return Overdue(CloseCause::kFirstByteTimeout, "no first byte for ", limits.first_byte_ms);
  }
  if (message_ == nullptr || message_->over()) return {};
  if (IsOver(After(message_->since(), limits.message_ms), now, next)) {
    return Overdue(CloseCause::kMessageTimeout, "a message was not whole after ",
                   limits.message_ms);
  }
  const uint64_t rate = limits.bytes_per_second_min;
  if (rate == 0 || !IsOver(message_->RateDeadline(limits.rate_grace_ms, rate), now, next)) {
    return {};
  }
  return {.cause = CloseCause::kRateTimeout,
          .status = absl::DeadlineExceededError(absl::StrCat(
              "a message came slower than ", rate, " bytes a second: ", message_->bytes(), " in ",
              absl::FormatDuration(now - message_->since())))};
}

// Called when a deadline begins or comes nearer. That they move away with each message needs
// nothing: the timer finds out when it fires, so a message costs two stores and no timer.
void TcpConnection::EnsureTimer() {
  MonotonicTime next;
  if (CheckDeadlines(next).cause != CloseCause::kNone) next = loop().now();
  EnsureTimerBy(next);
}

void TcpConnection::EnsureTimerBy(MonotonicTime next) {
  if (!armed() || next < deadline()) loop().timers().ArmAt(*this, next);
}

// The same for a message that begins, which may be often: its deadlines alone.
void TcpConnection::EnsureMessageTimer() {
  if (!owner_.timeouts().limits_messages()) return;
  MonotonicTime next = MonotonicTime::InfiniteFuture();
  CheckProgress(next);
  EnsureTimerBy(next);
}

void TcpConnection::OnTimer() {
  Note(FlightEvent::kTimer);
  MonotonicTime next;
  CloseReason why = CheckDeadlines(next);
  const bool overdue = why.cause != CloseCause::kNone;
  if (!overdue && next > loop().now()) return loop().timers().ArmAt(*this, next);
  overdue ? Fail(why.cause, std::move(why.status)) : EndIdleInDrain();
  Settle();
  if (!closed()) EnsureTimer();
}

void TcpConnection::TellDrain() {
  const bool first = !drains_;
  drains_ = true;
  if (closed() || is_.state == State::kHandshaking) return;  // Shake() tells it when it is open.
  if (first) TellHandlerDrain();
  SettleLater();
  if (!closed()) EnsureTimer();
}

void TcpConnection::TellHandlerDrain() {
  if (is_.state != State::kOpen || is_.failing) return;
  ++in_handler_;
  handler_->OnDrain(*this);
  --in_handler_;
}

void TcpConnection::EndIdleInDrain() {
  is_.ends_write = true;
  if (cause_ == CloseCause::kNone) cause_ = CloseCause::kDrainIdle;
}

// When it will have been idle for long enough to be half-closed, if nothing happens. While it is
// busy (something is on its way through it, or its handler works at something and does not read),
// that it has come to rest is found out by looking again: when it did, it read or wrote.
MonotonicTime TcpConnection::NextLookInDrain() const {
  if (!drains_ || is_.state != State::kOpen || is_.ends_write || is_.peer_ended) {
    return MonotonicTime::InfiniteFuture();
  }
  const bool is_busy = !output_.empty() || message_ != nullptr || is_.pauses > 0;
  return After(is_busy ? loop().now() : std::max(last_read_, last_write_), owner_.drain_idle_ms());
}

// Each counts from now, and puts none of the others off.
void TcpConnection::SetIdleTimeout(absl::Duration timeout) {
  own_timeouts().idle_ms = ConnectionTimeouts::ToMilliseconds(timeout);
  own_timeouts().idle_from = loop().now();
  if (!closed()) EnsureTimer();
}

void TcpConnection::SetReadTimeout(absl::Duration timeout) {
  own_timeouts().read_ms = ConnectionTimeouts::ToMilliseconds(timeout);
  own_timeouts().read_from = loop().now();
  if (!closed()) EnsureTimer();
}

void TcpConnection::SetWriteTimeout(absl::Duration timeout) {
  own_timeouts().write_ms = ConnectionTimeouts::ToMilliseconds(timeout);
  own_timeouts().write_from = loop().now();
  if (!closed()) EnsureTimer();
}

}  // namespace millrace
