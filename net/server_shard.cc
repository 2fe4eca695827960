// SPDX-License-Identifier: Apache-2.0
#include "net/server_shard.h"

#include <memory>
#include <utility>

#include "base/monotonic_time.h"
#include "net/close_reason.h"
#include "net/connection_owner.h"

namespace millrace {
namespace {

// Calls back when it is destroyed: behind all that was given to DestroyLater() before it.
class CallWhenDestroyed final : public Deferred {
 public:
  explicit CallWhenDestroyed(absl::AnyInvocable<void()> call) : call_(std::move(call)) {}
  ~CallWhenDestroyed() override { call_(); }

 private:
  absl::AnyInvocable<void()> call_;
};

}  // namespace

ServerShard::ServerShard(EventLoop& loop, const Plan& plan, Counters& counters, Listeners listeners)
    : loop_(loop),
      plan_(plan),
      counters_(counters),
      listeners_(std::move(listeners)),
      table_(loop, plan.limits, counters.connections, plan.memory_budget),
      acceptors_(loop, plan.admission, counters.accepting,
                 [this](Admission::Room room) {
                   AssertOnLoop();
                   TellRoom(room);
                 }),
      grace_timer_(loop.timers(), [this] {
        AssertOnLoop();
        CutOff(absl::DeadlineExceededError("the server's drain timeout is over"),
               CloseCause::kDrainTimeout);
      }) {
  acceptors_.set_on_failed(std::move(listeners_.on_listener_failed));
  table_.set_on_end([this](const ConnectionTable::End& end) {
    AssertOnLoop();
    GiveUp(end.peer, end.listener);
    ReportIfDrained();
  });
}

ServerShard::~ServerShard() {
  AssertOnLoop();
  CutOff(absl::CancelledError("the server's loop has ended"), CloseCause::kOwnerGone);
  acceptors_.StopListening();
  // After End() the counters may be gone.
  if (listeners_.on_drained) listeners_.on_drained(draining_ ? Report() : DrainReport());
  if (!listeners_.on_destroyed) return;
  loop_.DestroyLater(std::make_unique<CallWhenDestroyed>(std::move(listeners_.on_destroyed)));
}

void ServerShard::Open(Socket socket, const SocketAddress& peer, uint16_t listener) {
  table_.Open(std::move(socket), peer, plan_.transport, plan_.handler, listener);
}

void ServerShard::GiveUp(const SocketAddress& peer, uint16_t listener) {
  TellRoom(plan_.admission.Leave(peer, listener));
}

void ServerShard::TellRoom(Admission::Room room) {
  if (room.any() && listeners_.on_room) listeners_.on_room(room);
}

void ServerShard::Drain(const DrainOptions& options) {
  acceptors_.StopListening();
  if (!draining_) before_ = Count();
  draining_ = true;
  table_.TellDrain(options.idle);
  const MonotonicTime end = loop_.now() + options.grace;
  if (!grace_timer_.armed() || end < grace_timer_.deadline()) grace_timer_.ArmAt(end);
  ReportIfDrained();
}

void ServerShard::End(const absl::Status& why) {
  listeners_.on_room = nullptr;
  listeners_.on_drained = nullptr;
  acceptors_.StopListening();
  grace_timer_.Cancel();
  table_.CloseAll(why);
}

void ServerShard::CutOff(const absl::Status& why, CloseCause cause) {
  cut_off_.cut_off += static_cast<int64_t>(table_.size());
  cut_off_.cut_off_with_output += static_cast<int64_t>(table_.CountWithOutput());
  table_.CloseAll(why, cause);
}

void ServerShard::ReportIfDrained() {
  if (!draining_ || table_.size() > 0 || !listeners_.on_drained) return;
  grace_timer_.Cancel();
  std::exchange(listeners_.on_drained, nullptr)(Report());
}

DrainReport ServerShard::Count() const {
  const ConnectionCounters& counters = counters_.connections;
  const int64_t closed = counters.closed.value();
  const int64_t on_error = counters.closed_on_error.value();
  const int64_t half_closed = counters.ended[static_cast<size_t>(CloseCause::kDrainIdle)].value();
  const int64_t never_opened = counters.failed_to_open.value();
  return {.ended = closed - on_error - half_closed,
          .half_closed = half_closed,
          .failed = on_error + never_opened};
}

DrainReport ServerShard::Report() const {
  DrainReport report = Count();
  report.ended -= before_.ended;
  report.half_closed -= before_.half_closed;
  report.failed -= before_.failed + cut_off_.cut_off;
  report += cut_off_;
  return report;
}

}  // namespace millrace
