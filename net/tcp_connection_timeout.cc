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
#include "base/counters.h"
#include "base/monotonic_time.h"
#include "net/close_reason.h"
#include "net/connection_extras.h"
#include "net/connection_limits.h"
#include "net/limits.h"
#include "net/pending_message.h"
#include "net/poller.h"
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

class TcpConnection::Deadlines {
 public:
  explicit Deadlines(TcpConnection& conn) : conn_(conn), is_(conn.is_) {}

  // The connection's own, from now on.
  OwnTimeouts& Own();
  // Why its time is over, if it is; else `next` is when to look again.
  CloseReason Check(MonotonicTime& next) LOOP_ONLY;
  // The same, when a deadline has come.
  CloseReason CheckAfterLooks(MonotonicTime& next) LOOP_ONLY;
  // Of the message that is under way. Requires: we read.
  CloseReason CheckProgress(MonotonicTime& next) LOOP_ONLY;
  // Has the timer fire then, if not earlier.
  void Await(MonotonicTime next) LOOP_ONLY;

 private:
  MonotonicTime now() const LOOP_ONLY { return conn_.loop().now(); }
  const ConnectionTimeouts& limits() const { return conn_.owner_.timeouts(); }
  // Whether a limit that counts since then is passed.
  bool Passed(MonotonicTime since, uint32_t timeout_ms, MonotonicTime& next) const LOOP_ONLY {
    return IsOver(After(since, timeout_ms), now(), next);
  }
  CloseReason CheckEnds(MonotonicTime& next) LOOP_ONLY;
  CloseReason CheckIo(const OwnTimeouts& own, MonotonicTime& next) LOOP_ONLY;
  MonotonicTime EndOfWaits() const LOOP_ONLY;
  MonotonicTime NextLookInDrain() const LOOP_ONLY;

  TcpConnection& conn_;
  const ConnectionCondition& is_;
};

OwnTimeouts TcpConnection::timeouts() const {
  if (extras_ != nullptr && extras_->timeouts) return *extras_->timeouts;
  return OwnTimeouts(owner_.timeouts());
}

OwnTimeouts& TcpConnection::Deadlines::Own() {
  std::optional<OwnTimeouts>& own = conn_.extras().timeouts;
  if (!own) own.emplace(limits());
  return *own;
}

CloseReason TcpConnection::Deadlines::Check(MonotonicTime& next) {
  next = MonotonicTime::InfiniteFuture();
  if (is_.state == State::kHandshaking || is_.state == State::kLingering) return CheckEnds(next);
  const OwnTimeouts own = conn_.timeouts();
  CloseReason too_slow = CheckIo(own, next);
  if (too_slow.cause != CloseCause::kNone) return too_slow;
  next = std::min({next, NextLookInDrain(), EndOfWaits()});
  if (is_.read_waits || is_.write_waits) return {};  // It is we who hold it back.
  const MonotonicTime idle_since = std::max({conn_.last_read_, conn_.last_write_, own.idle_from});
  if (!Passed(idle_since, own.idle_ms, next)) return {};
  return Overdue(CloseCause::kIdleTimeout, "idle for ", own.idle_ms);
}

// Where the loop stood still, what the peer did in time is not yet seen: it is, before the time is
// said to be over.
CloseReason TcpConnection::Deadlines::CheckAfterLooks(MonotonicTime& next) {
  const Counter& bytes_read = conn_.owner_.counters().bytes_read;
  CloseReason why = Check(next);
  for (int looks = 0; looks < kLooksBeforeTimeoutMax; ++looks) {
    if (why.cause == CloseCause::kNone && next > now()) break;
    const uint64_t before = bytes_read.value();
    conn_.OnIo(Io::kRead | Io::kWrite);
    if (conn_.closed()) break;
    why = Check(next);
    if (bytes_read.value() == before) break;
  }
  return why;
}

// Of the connection's beginning and its end.
CloseReason TcpConnection::Deadlines::CheckEnds(MonotonicTime& next) {
  if (is_.state == State::kHandshaking) {
    const uint32_t limit = limits().handshake_ms;
    if (!Passed(conn_.last_read_, limit, next)) return {};
    return Overdue(CloseCause::kHandshakeTimeout, "no handshake for ", limit);
  }
  const uint32_t limit = limits().linger_ms;
  if (!Passed(conn_.last_write_, limit, next)) return {};
  return Overdue(CloseCause::kLingerTimeout, "the peer kept its end open for ", limit);
}

CloseReason TcpConnection::Deadlines::CheckIo(const OwnTimeouts& own, MonotonicTime& next) {
  const MonotonicTime wrote = std::max(conn_.last_write_, own.write_from);
  if (is_.output_blocked && Passed(wrote, own.write_ms, next)) {
    return Overdue(CloseCause::kWriteTimeout, "the peer took no output for ", own.write_ms);
  }
  if (is_.state != State::kOpen || !is_.wants_input()) return {};
  if (conn_.message_ != nullptr || is_.awaits_first_byte) {
    CloseReason too_slow = CheckProgress(next);
    if (too_slow.cause != CloseCause::kNone) return too_slow;
  }
  if (!Passed(std::max(conn_.last_read_, own.read_from), own.read_ms, next)) return {};
  return Overdue(CloseCause::kReadTimeout, "no input for ", own.read_ms);
}

CloseReason TcpConnection::Deadlines::CheckProgress(MonotonicTime& next) {
  if (is_.awaits_first_byte && Passed(conn_.last_read_, limits().first_byte_ms, next)) {
    return Overdue(CloseCause::kFirstByteTimeout, "no first byte for ", limits().first_byte_ms);
  }
  const PendingMessage* const message = conn_.message_.get();
  if (message == nullptr || message->over()) return {};
  if (Passed(message->since(), limits().message_ms, next)) {
    return Overdue(CloseCause::kMessageTimeout, "a message was not whole after ",
                   limits().message_ms);
  }
  const uint64_t rate = limits().bytes_per_second_min;
  if (rate == 0 || !IsOver(message->RateDeadline(limits().rate_grace_ms, rate), now(), next)) {
    return {};
  }
  return {.cause = CloseCause::kRateTimeout,
          .status = absl::DeadlineExceededError(absl::StrCat(
              "a message came slower than ", rate, " bytes a second: ", message->bytes(), " in ",
              absl::FormatDuration(now() - message->since())))};
}

// When a direction that waits for its rate may go on.
MonotonicTime TcpConnection::Deadlines::EndOfWaits() const {
  MonotonicTime end = MonotonicTime::InfiniteFuture();
  if (is_.read_waits) end = std::min(end, conn_.extras_->pace->read_at);
  if (is_.write_waits) end = std::min(end, conn_.extras_->pace->write_at);
  return end;
}

// When it will have been idle for long enough to be half-closed, if nothing happens. While it is
// busy (something is on its way through it, or its handler works at something and does not read),
// that it has come to rest is found out by looking again: when it did, it read or wrote.
MonotonicTime TcpConnection::Deadlines::NextLookInDrain() const {
  if (!conn_.drains_ || is_.state != State::kOpen || is_.ends_write || is_.peer_ended) {
    return MonotonicTime::InfiniteFuture();
  }
  const bool is_busy =
      !conn_.output_.empty() || conn_.message_ != nullptr || is_.pauses > 0 || is_.read_waits;
  return After(is_busy ? now() : std::max(conn_.last_read_, conn_.last_write_),
               conn_.owner_.drain_idle_ms());
}

void TcpConnection::Deadlines::Await(MonotonicTime next) {
  if (!conn_.armed() || next < conn_.deadline()) conn_.loop().timers().ArmAt(conn_, next);
}

// Called when a deadline begins or comes nearer. That they move away with each message needs
// nothing: the timer finds out when it fires, so a message costs two stores and no timer.
void TcpConnection::EnsureTimer() {
  Deadlines deadlines(*this);
  MonotonicTime next;
  if (deadlines.Check(next).cause != CloseCause::kNone) next = loop().now();
  deadlines.Await(next);
}

// The same for a message that begins, which may be often: its deadlines alone.
void TcpConnection::EnsureMessageTimer() {
  if (!owner_.timeouts().limits_messages()) return;
  Deadlines deadlines(*this);
  MonotonicTime next = MonotonicTime::InfiniteFuture();
  deadlines.CheckProgress(next);
  deadlines.Await(next);
}

void TcpConnection::OnTimer() {
  Note(FlightEvent::kTimer);
  const bool goes_on = is_.paced && EndWaits();
  MonotonicTime next;
  CloseReason why = Deadlines(*this).CheckAfterLooks(next);
  if (closed()) return;
  const bool overdue = why.cause != CloseCause::kNone, looks_later = next > loop().now();
  if (!overdue && looks_later && !goes_on) return loop().timers().ArmAt(*this, next);
  if (overdue) Fail(why.cause, std::move(why.status));
  if (!overdue && !looks_later) {  // It was idle for long enough, in a drain.
    is_.ends_write = true;
    if (cause_ == CloseCause::kNone) cause_ = CloseCause::kDrainIdle;
  }
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

// Each counts from now, and puts none of the others off.
void TcpConnection::SetIdleTimeout(absl::Duration timeout) {
  Deadlines(*this).Own().idle_ms = ConnectionTimeouts::ToMilliseconds(timeout);
  Deadlines(*this).Own().idle_from = loop().now();
  if (!closed()) EnsureTimer();
}

void TcpConnection::SetReadTimeout(absl::Duration timeout) {
  Deadlines(*this).Own().read_ms = ConnectionTimeouts::ToMilliseconds(timeout);
  Deadlines(*this).Own().read_from = loop().now();
  if (!closed()) EnsureTimer();
}

void TcpConnection::SetWriteTimeout(absl::Duration timeout) {
  Deadlines(*this).Own().write_ms = ConnectionTimeouts::ToMilliseconds(timeout);
  Deadlines(*this).Own().write_from = loop().now();
  if (!closed()) EnsureTimer();
}

}  // namespace millrace
