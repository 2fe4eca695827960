// SPDX-License-Identifier: Apache-2.0
//
// What a TcpConnection does when nothing happens to it.
#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "net/connection_limits.h"
#include "net/tcp_connection.h"

namespace millrace {
namespace {

MonotonicTime After(MonotonicTime since, uint32_t timeout_ms) {
  if (timeout_ms == 0) return MonotonicTime::InfiniteFuture();
  return MonotonicTime::FromNanoseconds(since.nanoseconds() + int64_t{timeout_ms} * 1'000'000);
}

}  // namespace

// Why its time is over, if it is; else `next` is when to look again.
absl::Status TcpConnection::CheckDeadlines(MonotonicTime& next) {
  next = MonotonicTime::InfiniteFuture();
  const auto passed = [&](MonotonicTime since, uint32_t timeout_ms) LOOP_ONLY {
    const MonotonicTime deadline = After(since, timeout_ms);
    if (deadline > loop().now()) next = std::min(next, deadline);
    return deadline <= loop().now();
  };
  const auto error = [](absl::string_view what, uint32_t timeout_ms) {
    return absl::DeadlineExceededError(
        absl::StrCat(what, absl::FormatDuration(absl::Milliseconds(timeout_ms))));
  };
  if (is_.state == State::kHandshaking) {
    const uint32_t limit = owner_.timeouts().handshake_ms;
    return passed(last_read_, limit) ? error("no handshake for ", limit) : absl::OkStatus();
  }
  if (is_.state == State::kLingering) {
    const uint32_t limit = owner_.timeouts().linger_ms;
    return passed(last_write_, limit) ? error("the peer kept its end open for ", limit)
                                      : absl::OkStatus();
  }
  if (is_.output_blocked && passed(last_write_, write_timeout_ms_)) {
    return error("the peer took no output for ", write_timeout_ms_);
  }
  if (is_.state == State::kOpen && wants_input() && passed(last_read_, read_timeout_ms_)) {
    return error("no input for ", read_timeout_ms_);
  }
  return passed(IdleSince(), idle_timeout_ms_) ? error("idle for ", idle_timeout_ms_)
                                               : absl::OkStatus();
}

// Called when a deadline begins or comes nearer. That they move away with each message needs
// nothing: the timer finds out when it fires, so a message costs two stores and no timer.
void TcpConnection::EnsureTimer() {
  MonotonicTime next;
  if (!CheckDeadlines(next).ok()) next = loop().now();
  if (!armed() || next < deadline()) loop().timers().ArmAt(*this, next);
}

void TcpConnection::OnTimer() {
  MonotonicTime next;
  absl::Status status = CheckDeadlines(next);
  if (status.ok()) return loop().timers().ArmAt(*this, next);
  Fail(std::move(status));
  Settle();
}

void TcpConnection::SetIdleTimeout(absl::Duration timeout) {
  idle_timeout_ms_ = ConnectionTimeouts::ToMilliseconds(timeout);
  // Idleness is both; but output that waits must not be put off by this.
  (is_.output_blocked ? last_read_ : last_write_) = loop().now();
  if (!closed()) EnsureTimer();
}

void TcpConnection::SetReadTimeout(absl::Duration timeout) {
  read_timeout_ms_ = ConnectionTimeouts::ToMilliseconds(timeout);
  last_read_ = loop().now();
  if (!closed()) EnsureTimer();
}

void TcpConnection::SetWriteTimeout(absl::Duration timeout) {
  write_timeout_ms_ = ConnectionTimeouts::ToMilliseconds(timeout);
  last_write_ = loop().now();
  if (!closed()) EnsureTimer();
}

}  // namespace millrace
