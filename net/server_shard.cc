// SPDX-License-Identifier: Apache-2.0
#include "net/server_shard.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "net/close_reason.h"

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
      table_(loop, plan.limits, counters.connections),
      grace_timer_(loop.timers(), [this] {
        AssertOnLoop();
        table_.CloseAll(absl::DeadlineExceededError("the server's drain timeout is over"),
                        CloseCause::kDrainTimeout);
      }) {
  table_.set_on_end([this](const absl::Status&) {
    AssertOnLoop();
    OnConnectionEnd();
  });
}

ServerShard::~ServerShard() {
  AssertOnLoop();
  table_.CloseAll(absl::CancelledError("the server's loop has ended"));
  if (listeners_.on_drained) listeners_.on_drained();
  if (!listeners_.on_destroyed) return;
  loop_.DestroyLater(std::make_unique<CallWhenDestroyed>(std::move(listeners_.on_destroyed)));
}

void ServerShard::Open(Socket socket, const SocketAddress& peer) {
  table_.Open(std::move(socket), peer, plan_.transport, plan_.handler);
}

absl::Status ServerShard::Listen(Socket listener, Acceptor::OnAccept on_accept) {
  MILLRACE_ASSIGN_OR_RETURN(
      std::unique_ptr<Acceptor> acceptor,
      Acceptor::Adopt(loop_, std::move(listener), std::move(on_accept), &counters_.accepting));
  acceptors_.push_back(std::move(acceptor));
  return absl::OkStatus();
}

void ServerShard::PauseAccepting() {
  for (const std::unique_ptr<Acceptor>& acceptor : acceptors_) acceptor->Pause();
}

void ServerShard::ResumeAccepting() {
  for (const std::unique_ptr<Acceptor>& acceptor : acceptors_) acceptor->Resume();
}

// One of them may be on the stack, accepting: that one must not be destroyed yet.
void ServerShard::StopListening() {
  for (std::unique_ptr<Acceptor>& acceptor : acceptors_) {
    acceptor->StopListening();
    loop_.DestroyLater(std::move(acceptor));
  }
  acceptors_.clear();
}

void ServerShard::Drain(absl::Duration grace) {
  StopListening();
  if (!draining_) table_.TellDrain();
  draining_ = true;
  const MonotonicTime end = loop_.now() + grace;
  if (!grace_timer_.armed() || end < grace_timer_.deadline()) grace_timer_.ArmAt(end);
  ReportIfDrained();
}

void ServerShard::End(const absl::Status& why) {
  listeners_.on_connection_end = nullptr;
  listeners_.on_drained = nullptr;
  StopListening();
  grace_timer_.Cancel();
  table_.CloseAll(why);
}

void ServerShard::OnConnectionEnd() {
  if (listeners_.on_connection_end) listeners_.on_connection_end();
  ReportIfDrained();
}

void ServerShard::ReportIfDrained() {
  if (!draining_ || table_.size() > 0 || !listeners_.on_drained) return;
  grace_timer_.Cancel();
  std::exchange(listeners_.on_drained, nullptr)();
}

}  // namespace millrace
