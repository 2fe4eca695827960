// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/load/chat_worker.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tools/loadgen/error_tally.h"

namespace millrace {
namespace {

// Once all has come, it is listened for so long for what should not.
constexpr absl::Duration kLinger = absl::Milliseconds(50);
// Late messages that are sent in a turn, so that receiving has its turns, too.
constexpr int kSendsPerTurnMax = 1000;
// Of a line that is no message, for people.
constexpr size_t kShownBytesMax = 120;

}  // namespace

ChatWorker::ChatWorker(EventLoop& loop, const ChatLoadOptions& options, Share& share,
                       Listeners listeners)
    : loop_(loop),
      options_(options),
      share_(share),
      tally_(share.tally),
      listeners_(std::move(listeners)),
      sent_(static_cast<size_t>(options.rooms)),
      complete_(static_cast<size_t>(options.rooms)),
      join_timer_(loop.timers(),
                  [this] {
                    AssertOnLoop();
                    OnJoinTimeout();
                  }),
      drain_timer_(loop.timers(),
                   [this] {
                     AssertOnLoop();
                     Finish();
                   }),
      linger_timer_(loop.timers(), [this] {
        AssertOnLoop();
        Finish();
      }) {
  ChatMember::Owner& owner = *this;
  share.logs.resize(static_cast<size_t>(options.rooms));
  for (int number = 0; number < options.members; ++number) {
    if (options.thread_of(number) != share.thread) continue;
    members_.push_back(std::make_unique<ChatMember>(loop, options, tally_, owner, number));
    const int room = options.room_of(number);
    std::unique_ptr<RoomLog>& log = share.logs[static_cast<size_t>(room)];
    if (log == nullptr) log = std::make_unique<RoomLog>(options, room, tally_.errors());
  }
}

// --- Joining -------------------------------------------------------------------------------------

void ChatWorker::Join() {
  for (const std::unique_ptr<ChatMember>& member : members_) waiting_.push_back(member.get());
  unsettled_ = static_cast<int>(members_.size());
  join_timer_.Arm(options_.join_timeout);
  ConnectSome();
}

void ChatWorker::ConnectSome() {
  connects_later_ = false;
  while (pending_ < share_.pending_max && !waiting_.empty()) {
    ChatMember* const member = waiting_.front();
    waiting_.pop_front();
    ++pending_;
    member->Connect();
  }
}

// Not at once: the call that one hears of it in belongs to another member.
void ChatWorker::ConnectLater() {
  if (waiting_.empty() || std::exchange(connects_later_, true)) return;
  loop_.ref().Post([this] {  // It lives as long as the loop does.
    AssertOnLoop();
    ConnectSome();
  });
}

void ChatWorker::OnJoined(ChatMember&) {
  ++joined_;
  tally_.live().members.Add(1);
  if (join_timer_.armed()) join_timer_.Arm(options_.join_timeout);
  Settle();
}

// One more is in, or never will be.
void ChatWorker::Settle() {
  --pending_;
  if (--unsettled_ > 0) return ConnectLater();
  join_timer_.Cancel();
  listeners_.on_joined(joined_);
}

// Nobody got in for so long. The others would wait as long, one batch after the other.
void ChatWorker::OnJoinTimeout() {
  waiting_.clear();
  for (const std::unique_ptr<ChatMember>& member : members_) {
    if (!member->joined()) member->Fail(kTimeoutError, "has not got into its room in time");
  }
}

void ChatWorker::OnFailed(ChatMember& member, bool had_joined, absl::string_view kind,
                          absl::string_view reason) {
  const MonotonicTime now = loop_.clock().Now();
  tally_.errors().Add(kind, now, reason);
  tally_.ShowErrors();
  if (!had_joined) return Settle();
  --joined_;
  tally_.live().members.Sub(1);
  if (!text_.has_value()) return;
  LogOf(member).Leave(member.number());
  if (awaiting_) CheckComplete(LogOf(member), now);
  if (joined_ == 0) EndSending();
}

// --- Sending -------------------------------------------------------------------------------------

void ChatWorker::Prepare(const SendSchedule& schedule, MonotonicTime begin, MonotonicTime end) {
  if (finished_) return;
  schedule_ = schedule;
  text_.emplace(options_, schedule);
  tally_.SetWindow(begin, end);
  send_end_ = end;
  for (const std::unique_ptr<ChatMember>& member : members_) {
    if (member->joined()) LogOf(*member).Join(member->number());
  }
  listeners_.on_prepared();
}

void ChatWorker::Send() {
  if (finished_ || sending_over_) return;
  absl::StatusOr<std::unique_ptr<PreciseTimer>> timer = PreciseTimer::Create(loop_, [this] {
    AssertOnLoop();
    SendDue();
  });
  if (!timer.ok()) {
    tally_.errors().Add("timer", loop_.now(), timer.status().message());
    return EndSending();
  }
  send_timer_ = *std::move(timer);
  SendDue();
}

int64_t ChatWorker::NextMessage() const {
  return options_.message_of(members_[next_sender_]->number(), round_);
}

void ChatWorker::SendDue() {
  if (sending_over_) return;
  const MonotonicTime now = loop_.clock().Now();
  for (int i = 0; i < kSendsPerTurnMax; ++i) {
    const MonotonicTime due = schedule_->due(NextMessage());
    if (due >= send_end_) {
      if (now >= send_end_) return EndSending();
      return send_timer_->ArmAt(send_end_);
    }
    if (due > now) break;
    SendOne(NextMessage(), now);
    if (++next_sender_ < members_.size()) continue;
    next_sender_ = 0;
    ++round_;
  }
  send_timer_->ArmAt(schedule_->due(NextMessage()));
}

void ChatWorker::SendOne(int64_t message, MonotonicTime now) {
  ChatMember& member = *members_[next_sender_];
  if (!member.joined()) return;
  line_.clear();
  text_->AppendLine(message, line_);
  member.Send(line_);
  ++sent_[static_cast<size_t>(options_.room_of(member.number()))];
  tally_.AddSent(schedule_->due(message), now);
}

void ChatWorker::EndBy(MonotonicTime end) {
  if (finished_) return;
  send_end_ = std::min(send_end_, end);
  SendDue();
}

void ChatWorker::EndSending() {
  if (finished_ || std::exchange(sending_over_, true)) return;
  listeners_.on_sent(sent_);
}

// --- Receiving -----------------------------------------------------------------------------------

RoomLog& ChatWorker::LogOf(const ChatMember& member) {
  return *share_.logs[static_cast<size_t>(options_.room_of(member.number()))];
}

void ChatWorker::OnLine(ChatMember& member, absl::string_view line, MonotonicTime now) {
  const int room = options_.room_of(member.number());
  const std::optional<int64_t> message =
      text_.has_value() ? text_->Read(line, room, now) : std::nullopt;
  if (!message.has_value()) return OnForeign(member, line, now);
  tally_.AddDelivery(schedule_->due(*message), now, line.size() + 1);
  RoomLog& log = LogOf(member);
  log.Receive(member.number(), *message, now);
  if (awaiting_) CheckComplete(log, now);
}

void ChatWorker::OnForeign(const ChatMember& member, absl::string_view line, MonotonicTime now) {
  const bool is_error = absl::StartsWith(line, "! ");
  tally_.errors().Add(
      is_error ? kServerError : kForeignError, now,
      absl::StrCat(MemberName(member.number()), " in ", RoomName(options_.room_of(member.number())),
                   ": expected a message of this run, got \"",
                   absl::Utf8SafeCHexEscape(line.substr(0, kShownBytesMax)), "\""));
}

void ChatWorker::Await(std::vector<int64_t> sent) {
  if (finished_) return;
  sent_ = std::move(sent);
  awaiting_ = true;
  drain_timer_.Arm(options_.drain);
  for (const std::unique_ptr<RoomLog>& log : share_.logs) rooms_open_ += log != nullptr;
  const MonotonicTime now = loop_.clock().Now();
  for (const std::unique_ptr<RoomLog>& log : share_.logs) {
    if (log != nullptr) CheckComplete(*log, now);
  }
}

void ChatWorker::CheckComplete(RoomLog& log, MonotonicTime now) {
  const auto room = static_cast<size_t>(log.room());
  if (complete_[room] || !log.Complete(sent_[room], now)) return;
  complete_[room] = true;
  if (--rooms_open_ == 0) linger_timer_.Arm(kLinger);
}

void ChatWorker::Finish() {
  if (std::exchange(finished_, true)) return;
  drain_timer_.Cancel();
  linger_timer_.Cancel();
  join_timer_.Cancel();
  waiting_.clear();
  const MonotonicTime now = loop_.clock().Now();
  for (const std::unique_ptr<RoomLog>& log : share_.logs) {
    if (awaiting_ && log != nullptr) log->Finish(sent_[static_cast<size_t>(log->room())], now);
  }
  for (const std::unique_ptr<ChatMember>& member : members_) member->Drop();
  tally_.live().members.Sub(tally_.live().members.value());
  listeners_.on_done();
}

}  // namespace millrace
