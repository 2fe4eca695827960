// SPDX-License-Identifier: Apache-2.0
//
// What a TcpConnection does so that all together stay within bounds: keeps to rates, and tells the
// memory budget what it holds. See docs/overload.md.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "base/ref.h"
#include "base/status_macros.h"
#include "net/budget_share.h"
#include "net/close_reason.h"
#include "net/connection_extras.h"
#include "net/flight_recorder.h"
#include "net/limits.h"
#include "net/pending_message.h"
#include "net/rate_limit.h"
#include "net/tcp_connection.h"

namespace millrace {

ConnectionExtras& TcpConnection::extras() {
  if (extras_ == nullptr) extras_ = std::make_unique<ConnectionExtras>();
  return *extras_;
}

// Those that need more than most connections have. Before it is watched.
void TcpConnection::TakeUpLimits() {
  const ConnectionLimits& limits = owner_.limits();
  if (limits.flight_recorder) {
    extras().recorder = std::make_unique<FlightRecorder>(loop().now());
    is_.recorded = true;
  }
  if (limits.rate.on() || limits.rate_group)
    CHECK_OK(SetRateLimits(limits.rate, limits.rate_group));
}

absl::Status TcpConnection::SetRateLimits(const RateLimits& rate, Ref<RateLimitGroup> group) {
  MILLRACE_RETURN_IF_ERROR(rate.Check());
  if (closed()) return absl::OkStatus();
  is_.paced = rate.on() || group;
  if (is_.paced || extras_ != nullptr) extras().pace.reset();  // Its place in a line is free.
  if (is_.paced) {
    extras().pace =
        std::make_unique<ConnectionPace>(rate, std::move(group), owner_.counters().limited);
  }
  if (is_.read_waits) last_read_ = loop().now();
  if (is_.write_waits) last_write_ = loop().now();
  if (!is_.read_waits && !is_.write_waits) return absl::OkStatus();
  is_.read_waits = is_.write_waits = false;
  if (message_ != nullptr) message_->SetReading(is_.wants_input(), loop().now());
  SettleLater();
  EnsureTimer();
  return absl::OkStatus();
}

size_t TcpConnection::MayRead() {
  ConnectionPace& pace = *extras_->pace;
  const size_t room = pace.limiter.MayRead(owner_.room().size(), loop().now());
  if (room > 0) return room;
  pace.read_at = pace.limiter.ReadableAt(loop().now());
  is_.read_waits = true;
  Note(FlightEvent::kReadWaits);
  EnsureTimer();
  return 0;
}

uint64_t TcpConnection::MayWrite() {
  ConnectionPace& pace = *extras_->pace;
  const uint64_t most = pace.limiter.MayWrite(output_.bytes(), loop().now());
  if (most > 0) return most;
  pace.write_at = pace.limiter.WritableAt(output_.bytes(), loop().now());
  is_.write_waits = true;
  Note(FlightEvent::kWriteWaits, output_.bytes());
  EnsureTimer();
  return 0;
}

// It was we who waited, so all clocks of the peer count from now.
bool TcpConnection::EndWaits() {
  const MonotonicTime now = loop().now();
  const bool reads = is_.read_waits && extras_->pace->read_at <= now;
  const bool writes = is_.write_waits && extras_->pace->write_at <= now;
  if (reads) last_read_ = now;
  if (writes) last_write_ = now;
  is_.read_waits = is_.read_waits && !reads;
  is_.write_waits = is_.write_waits && !writes;
  if (message_ != nullptr) message_->SetReading(is_.wants_input(), now);
  return reads || writes;
}

// What is below kBudgetHolderBytes is told as nothing: it could not be stopped anyway, and its
// connection goes the short way again.
void TcpConnection::CountHeld() {
  BudgetShare* const share = owner_.budget_share();
  const uint64_t bytes = output_.memory_bytes() + unread_bytes();
  is_.holds_much = share != nullptr && bytes >= kBudgetHolderBytes;
  if (extras_ == nullptr || extras_->holding == nullptr) {
    if (!is_.holds_much) return;
    extras().holding = std::make_unique<ConnectionHolding>(*share, *this);
  }
  extras_->holding->SetHeldBytes(is_.holds_much ? bytes : 0);
}

void ConnectionHolding::StopReadingForBudget() {
  conn_.Note(FlightEvent::kStoppedByBudget, held_bytes());
  conn_.PauseReading();
}

void ConnectionHolding::ReadAgainAfterBudget() {
  conn_.Note(FlightEvent::kResumedByBudget);
  conn_.ResumeReading();
}

// At once: a close that waits for its turn would hold what has been promised to others. It ends
// this, too.
void ConnectionHolding::CloseForBudget(const absl::Status& why) {
  conn_.resets_ = true;
  conn_.EndNow(CloseCause::kMemoryBudget, why);
}

}  // namespace millrace
