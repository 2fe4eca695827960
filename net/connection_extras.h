// SPDX-License-Identifier: Apache-2.0
//
// ConnectionExtras is what few connections need, behind one pointer of their TcpConnection, so that
// the others do not grow by it. Made when the first of it is wanted, and kept until the end;
// loop-only.
//
//   if (extras_ != nullptr && extras_->timeouts) ...      // It has timeouts of its own.

#ifndef MILLRACE_NET_CONNECTION_EXTRAS_H_
#define MILLRACE_NET_CONNECTION_EXTRAS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "base/monotonic_time.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "net/budget_share.h"
#include "net/connection_limits.h"
#include "net/flight_recorder.h"
#include "net/rate_limit.h"

namespace millrace {

class TcpConnection;

// The timeouts that can be set for one connection, 0 for none, and since when each counts at the
// earliest.
struct OwnTimeouts {
  explicit OwnTimeouts(const ConnectionTimeouts& usual)
      : idle_ms(usual.idle_ms), read_ms(usual.read_ms), write_ms(usual.write_ms) {}

  uint32_t idle_ms, read_ms, write_ms;
  MonotonicTime idle_from, read_from, write_from;
};

// Its rate limits, and until when a direction waits that does.
struct ConnectionPace {
  ConnectionPace(const RateLimits& limits, Ref<RateLimitGroup> group, RateLimitCounters& counters)
      : limiter(limits, std::move(group), counters) {}

  RateLimiter limiter;
  MonotonicTime read_at, write_at;
};

// What the memory budget knows of a connection.
class ConnectionHolding final : public BudgetHolder {
 public:
  ConnectionHolding(BudgetShare& share, TcpConnection& conn) LOOP_ONLY : BudgetHolder(share),
                                                                         conn_(conn) {}

 private:
  void StopReadingForBudget() override LOOP_ONLY;
  void ReadAgainAfterBudget() override LOOP_ONLY;
  void CloseForBudget(const absl::Status& why) override LOOP_ONLY;

  TcpConnection& conn_;
};

struct ConnectionExtras {
  std::optional<OwnTimeouts> timeouts;         // If any was set; else the owner's hold.
  std::unique_ptr<FlightRecorder> recorder;    // If it is on.
  std::unique_ptr<ConnectionPace> pace;        // If there are rate limits.
  std::unique_ptr<ConnectionHolding> holding;  // Once it has held kBudgetHolderBytes.

  // The connection has ended: what it shares with others is theirs, whenever it is destroyed.
  void EndShared() {
    pace.reset();
    holding.reset();
  }
};

}  // namespace millrace

#endif  // MILLRACE_NET_CONNECTION_EXTRAS_H_
