// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/load_worker.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tools/loadgen/error_tally.h"
#include "tools/loadgen/thread_usage.h"

namespace millrace {
namespace {

// After a connection that failed, so that a server that is gone is not stormed.
constexpr absl::Duration kRest = absl::Milliseconds(100);
// Overdue messages that are looked at in a turn, so that receiving has its turns, too.
constexpr int kSendsPerTurnMax = 1000;

}  // namespace

LoadWorker::LoadWorker(EventLoop& loop, const LoadSession::Plan& plan, Share share,
                       Listeners listeners)
    : loop_(loop),
      plan_(plan),
      pending_max_(share.pending_max),
      listeners_(std::move(listeners)),
      rest_timer_(loop.timers(),
                  [this] {
                    AssertOnLoop();
                    for (LoadSession* session : std::exchange(resting_, {})) ConnectLater(*session);
                  }),
      begin_timer_(loop.timers(),
                   [this] {
                     AssertOnLoop();
                     plan_.tally.usage().Begin(ThreadUsage::SampleNow());
                   }),
      end_timer_(loop.timers(),
                 [this] {
                   AssertOnLoop();
                   Finish();
                 }),
      overdue_timer_(loop.timers(),
                     [this] {
                       AssertOnLoop();
                       GiveUpUnsent();
                     }),
      grace_timer_(loop.timers(), [this] {
        AssertOnLoop();
        OnGraceOver();
      }) {
  LoadSession::Owner& owner = *this;
  for (int i = share.first; i < plan.options.connections; i += share.step) {
    sessions_.push_back(std::make_unique<LoadSession>(loop, plan_, owner, i));
  }
}

void LoadWorker::Start() {
  last_connected_ = loop_.now();
  for (const std::unique_ptr<LoadSession>& session : sessions_) {
    unsettled_.insert(session.get());
    active_.insert(session.get());
    waiting_.push_back(session.get());
  }
  ConnectSome();
}

void LoadWorker::Measure(MonotonicTime begin, MonotonicTime end) {
  if (finishing_) return;
  plan_.tally.SetWindow(begin, end);
  if (active_.empty()) return;
  if (begin <= loop_.clock().Now()) {  // Without a warmup it always is.
    plan_.tally.usage().Begin(ThreadUsage::SampleNow());
  } else {
    begin_timer_.ArmAt(begin);
  }
  end_timer_.ArmAt(end);
  for (const std::unique_ptr<LoadSession>& session : sessions_) session->Begin();
}

void LoadWorker::Pace(MonotonicTime start) {
  if (finishing_ || active_.empty()) return;
  const SendSchedule schedule(start, plan_.options.rate);
  for (const std::unique_ptr<LoadSession>& session : sessions_) session->Pace(schedule);
  absl::StatusOr<std::unique_ptr<PreciseTimer>> timer = PreciseTimer::Create(loop_, [this] {
    AssertOnLoop();
    SendDue();
  });
  if (!timer.ok()) {
    plan_.tally.AddError("timer", loop_.now(), timer.status().message());
    return Finish();
  }
  send_timer_ = *std::move(timer);
  SendDue();
}

// A session whose pipeline is full sends by itself when there is room.
void LoadWorker::SendDue() {
  if (finishing_) return;
  const MonotonicTime now = loop_.clock().Now();
  for (int i = 0; i < kSendsPerTurnMax; ++i) {
    if (sessions_[next_session_]->DueOf(round_) > now) break;
    sessions_[next_session_]->SendDue(now);
    if (++next_session_ < sessions_.size()) continue;
    next_session_ = 0;
    ++round_;
    SkipWhatHadItsTurn(now);
  }
  const MonotonicTime due = sessions_[next_session_]->DueOf(round_);
  if (!plan_.tally.over(due)) send_timer_->ArmAt(due);
}

// A session that has its turn sends all that is due, or waits for room. So it is enough to go
// through the last round that is due for all, and what has begun of the next.
void LoadWorker::SkipWhatHadItsTurn(MonotonicTime now) {
  const int64_t begun = sessions_.front()->CountBefore(now + absl::Nanoseconds(1));
  round_ = std::max(round_, begun - 2);
}

void LoadWorker::ConnectSome() {
  connects_later_ = false;
  while (pending_ < pending_max_ && !waiting_.empty()) {
    LoadSession* const session = waiting_.front();
    waiting_.pop_front();
    ++pending_;
    session->Connect();
  }
}

// Not at once, because a session that ends right now cannot be connected anew.
void LoadWorker::ConnectLater(LoadSession& session) {
  waiting_.push_back(&session);
  if (std::exchange(connects_later_, true)) return;
  loop_.ref().Post([this] {  // It lives as long as the loop does.
    AssertOnLoop();
    ConnectSome();
  });
}

void LoadWorker::ConnectAfterRest(LoadSession& session) {
  resting_.push_back(&session);
  if (!rest_timer_.armed()) rest_timer_.Arm(kRest);
}

void LoadWorker::OnConnected(LoadSession& session) {
  --pending_;
  plan_.tally.live().connections.Add(1);
  last_connected_ = loop_.now();
  if (unsettled_.contains(&session)) ++connected_;
  SettleFirst(session);
  ConnectSome();
}

void LoadWorker::OnConnectFailed(LoadSession& session, const absl::Status& why) {
  --pending_;
  if (QueueIsFull(session, why)) return ConnectAfterRest(session);
  const bool in_time = !absl::IsDeadlineExceeded(why);
  plan_.tally.AddError(in_time ? kConnectError : kTimeoutError, loop_.now(), why.message());
  // A server that lets one wait so long would let the others wait, too: hours, if they are many.
  if (!in_time && !unsettled_.empty()) GiveUpWaiting();
  if (plan_.options.mode == LoadMode::kChurn && connected_ > 0 && !finishing_) {
    ConnectAfterRest(session);
    return SettleFirst(session);
  }
  Retire(session);
  ConnectSome();
}

void LoadWorker::OnEnded(LoadSession& session) {
  plan_.tally.live().connections.Sub(1);
  if (plan_.options.mode != LoadMode::kChurn || finishing_ || plan_.tally.over(loop_.now())) {
    return Retire(session);
  }
  session.failed() ? ConnectAfterRest(session) : ConnectLater(session);
}

// A Unix listener's queue is full: nothing tells when there is room, so one tries again, for as
// long as others get through.
bool LoadWorker::QueueIsFull(const LoadSession& session, const absl::Status& why) const {
  return session.address().is_unix() && absl::IsResourceExhausted(why) && !finishing_ &&
         loop_.now() < last_connected_ + plan_.options.connect_timeout;
}

void LoadWorker::GiveUpWaiting() {
  for (LoadSession* session : std::exchange(waiting_, {})) {
    plan_.tally.AddError(kTimeoutError, loop_.now(),
                         absl::StrCat("connect ", session->address(), ": not tried any more"));
    Retire(*session);
  }
}

void LoadWorker::SettleFirst(LoadSession& session) {
  if (unsettled_.erase(&session) == 0 || !unsettled_.empty()) return;
  listeners_.on_opened(connected_);
}

// It will not be connected again.
void LoadWorker::Retire(LoadSession& session) {
  SettleFirst(session);
  if (active_.erase(&session) == 0 || !active_.empty()) return;
  plan_.tally.usage().End(ThreadUsage::SampleNow());
  begin_timer_.Cancel();
  end_timer_.Cancel();
  overdue_timer_.Cancel();
  grace_timer_.Cancel();
  listeners_.on_done();
}

void LoadWorker::Finish() {
  if (std::exchange(finishing_, true) || active_.empty()) return;
  plan_.tally.EndBy(loop_.clock().Now());
  plan_.tally.usage().End(ThreadUsage::SampleNow());
  begin_timer_.Cancel();
  const bool sends_overdue = send_timer_ != nullptr;
  (sends_overdue ? overdue_timer_ : grace_timer_).Arm(plan_.options.grace);
  waiting_.clear();
  resting_.clear();
  rest_timer_.Cancel();
  const std::vector<LoadSession*> active(active_.begin(), active_.end());
  for (LoadSession* session : active) {
    if (session->connected() && plan_.options.mode != LoadMode::kIdle) {
      session->Finish();
      continue;
    }
    if (session->connected()) plan_.tally.live().connections.Sub(1);
    session->Drop();
    Retire(*session);
  }
}

// The server is too slow for this rate, or has stopped to answer.
void LoadWorker::GiveUpUnsent() {
  for (const std::unique_ptr<LoadSession>& session : sessions_) session->GiveUpUnsent();
  grace_timer_.Arm(plan_.options.grace);
}

void LoadWorker::OnGraceOver() {
  const std::vector<LoadSession*> active(active_.begin(), active_.end());
  for (LoadSession* session : active) {
    if (session->connected()) {
      session->TimeOut();
      plan_.tally.live().connections.Sub(1);
    }
    session->Drop();
    Retire(*session);
  }
}

}  // namespace millrace
