// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/load/room_log.h"

#include <algorithm>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

// Messages that a member's doubt may keep: some seconds of a busy room.
constexpr size_t kHeldMax = 1024;

}  // namespace

RoomLog::RoomLog(const ChatLoadOptions& options, int room, ErrorTally& errors)
    : options_(options),
      room_(room),
      errors_(errors),
      seats_(static_cast<size_t>(options.members_of(room))),
      next_(seats_.size()) {}

void RoomLog::Join(int member) {
  Seat& seat = SeatOf(member);
  DCHECK(!seat.taken);
  seat.member = member;
  seat.taken = true;
  ++taken_;
}

void RoomLog::Leave(int member) {
  Seat& seat = SeatOf(member);
  DCHECK(seat.taken);
  received_ -= ReceivedBy(seat);
  if (seat.trouble != nullptr) held_ -= static_cast<int64_t>(seat.trouble->held.size());
  seat.trouble.reset();
  seat.taken = false;
  --taken_;
  // What it alone has written stands: there is nobody left to judge.
  if (writer_ == &seat) writer_ = nullptr;
}

void RoomLog::Receive(int member, int64_t message, MonotonicTime now) {
  Seat& seat = SeatOf(member);
  DCHECK(seat.taken);
  if (seat.trouble == nullptr || seat.trouble->held.empty()) {
    if (Judge(seat, message, /*force=*/false, now) == Verdict::kUndecided) Hold(seat, message);
    return;
  }
  Hold(seat, message);
  JudgeHeld(seat, /*force=*/seat.trouble->held.size() > kHeldMax, now);
}

RoomLog::Verdict RoomLog::Judge(Seat& seat, int64_t message, bool force, MonotonicTime now) {
  if (Expects(seat, message)) {
    Advance(seat);
    return Verdict::kJudged;
  }
  bool outvoted = false;
  if (!force && InDoubt(seat)) {
    outvoted = OutvotesWriter(seat, message);
    if (!outvoted) return Verdict::kUndecided;
    EvictWriter();
  }
  Verdict verdict = Verdict::kJudged;
  if (options_.sequence_of(message) >= NextOf(message)) {
    verdict = JudgeNew(seat, message, force);
  } else {
    JudgeKnown(seat, message, now);
  }
  if (outvoted) confirmed_ = end();
  return verdict;
}

// Here nobody agrees with the writer yet.
bool RoomLog::InDoubt(const Seat& seat) const {
  return writer_ != nullptr && writer_ != &seat && seat.position == confirmed_ &&
         confirmed_ < end();
}

bool RoomLog::OutvotesWriter(const Seat& seat, int64_t message) const {
  return std::any_of(seats_.begin(), seats_.end(), [&](const Seat& other) {
    return &other != &seat && &other != writer_ && other.trouble != nullptr &&
           other.position == confirmed_ && !other.trouble->held.empty() &&
           other.trouble->held.front() == message;
  });
}

// What it alone has written is taken out of the order, and is to be judged as what it got.
void RoomLog::EvictWriter() {
  Trouble& trouble = TroubleOf(*writer_);
  for (int64_t at = end() - 1; at >= confirmed_; --at) {
    const int64_t message = order_[static_cast<size_t>(at)];
    NextOf(message) = std::min(NextOf(message), options_.sequence_of(message));
    if (trouble.skipped.erase(message) > 0) continue;  // It had been put in for the gap it left.
    trouble.held.push_front(message);
    ++held_;
    --received_;
  }
  order_.resize(static_cast<size_t>(confirmed_));
  writer_->position = confirmed_;
  writer_ = nullptr;
}

// Nobody has got it before.
RoomLog::Verdict RoomLog::JudgeNew(Seat& seat, int64_t message, bool force) {
  int64_t& next = NextOf(message);
  const int64_t sequence = options_.sequence_of(message);
  if (sequence > next && !force) return Verdict::kUndecided;  // One has gone missing before it.
  const int sender = options_.sender_of(message);
  SkipTo(seat, end(), message);
  while (next < sequence) {
    const int64_t gap = options_.message_of(sender, next);
    Append(seat, gap);
    --seat.position;
    SkipTo(seat, end(), message);
  }
  Append(seat, message);
  ++received_;
  return Verdict::kJudged;
}

// Others have got it before, but not here.
void RoomLog::JudgeKnown(Seat& seat, int64_t message, MonotonicTime now) {
  if (seat.trouble != nullptr && seat.trouble->skipped.erase(message) > 0) {
    ++received_;
    clean_ = false;
    errors_.Add(kReorderedError, now,
                absl::StrCat(seat.trouble->first_skip, ": ", Describe(message), " came later"));
    return;
  }
  const auto here = order_.begin() + seat.position;
  const auto ahead = std::find(here, order_.end(), message);
  if (ahead == order_.end()) {
    clean_ = false;
    errors_.Add(kDuplicatedError, now,
                absl::StrCat(Where(seat, seat.position), "got ", Describe(message), " again"));
    return;
  }
  SkipTo(seat, ahead - order_.begin(), message);
  Advance(seat);
}

void RoomLog::Advance(Seat& seat) {
  ++seat.position;
  ++received_;
  if (&seat != writer_) confirmed_ = std::max(confirmed_, seat.position);
}

// Requires: the seat is at the end.
void RoomLog::Append(Seat& seat, int64_t message) {
  if (writer_ != &seat) confirmed_ = end();
  writer_ = &seat;
  order_.push_back(message);
  ++NextOf(message);
  ++seat.position;
}

void RoomLog::SkipTo(Seat& seat, int64_t position, int64_t got) {
  if (seat.position == position) return;
  Trouble& trouble = TroubleOf(seat);
  const auto at = [this](int64_t i) { return order_[static_cast<size_t>(i)]; };
  if (trouble.skipped.empty()) {
    trouble.first_skip = absl::StrCat(Where(seat, seat.position), "expected ",
                                      Describe(at(seat.position)), ", got ", Describe(got));
  }
  for (; seat.position < position; ++seat.position) trouble.skipped.insert(at(seat.position));
}

void RoomLog::Hold(Seat& seat, int64_t message) {
  TroubleOf(seat).held.push_back(message);
  ++held_;
}

void RoomLog::JudgeHeld(Seat& seat, bool force, MonotonicTime now) {
  if (seat.trouble == nullptr) return;
  std::deque<int64_t>& held = seat.trouble->held;
  while (!held.empty() && Judge(seat, held.front(), force, now) == Verdict::kJudged) {
    held.pop_front();
    --held_;
  }
}

// As many as can be by a vote; then all.
void RoomLog::JudgeAllHeld(MonotonicTime now) {
  for (int64_t before = -1; held_ > 0 && held_ != before;) {
    before = held_;
    for (Seat& seat : seats_) JudgeHeld(seat, /*force=*/false, now);
  }
  for (Seat& seat : seats_) JudgeHeld(seat, /*force=*/true, now);
}

bool RoomLog::Complete(int64_t sent, MonotonicTime now) {
  const int64_t wanted = sent * taken_;
  if (received_ + held_ < wanted) return false;
  if (held_ > 0) JudgeAllHeld(now);
  return received_ >= wanted;
}

void RoomLog::Finish(int64_t sent, MonotonicTime now) {
  JudgeAllHeld(now);
  for (const Seat& seat : seats_) {
    if (seat.taken && ReceivedBy(seat) < sent) CountMissing(seat, sent, now);
  }
}

void RoomLog::CountMissing(const Seat& seat, int64_t sent, MonotonicTime now) {
  const int64_t count = sent - ReceivedBy(seat);
  std::string first;
  if (seat.trouble != nullptr && !seat.trouble->skipped.empty()) {
    first = seat.trouble->first_skip;
  } else if (seat.position < end()) {
    first = absl::StrCat(Where(seat, seat.position), "expected ",
                         Describe(order_[static_cast<size_t>(seat.position)]), ", got nothing");
  } else {
    first = absl::StrCat(Where(seat, seat.position), "got nothing more, and nobody did");
  }
  clean_ = false;
  errors_.Add(kMissingError, now, absl::StrCat(first, ": ", count, " of ", sent, " never came"),
              count);
}

int64_t& RoomLog::NextOf(int64_t message) {
  return next_[static_cast<size_t>(options_.seat_of(options_.sender_of(message)))];
}

int64_t RoomLog::ReceivedBy(const Seat& seat) const {
  const auto skipped =
      seat.trouble == nullptr ? 0 : static_cast<int64_t>(seat.trouble->skipped.size());
  return seat.position - skipped;
}

RoomLog::Trouble& RoomLog::TroubleOf(Seat& seat) {
  if (seat.trouble == nullptr) seat.trouble = std::make_unique<Trouble>();
  return *seat.trouble;
}

std::string RoomLog::Describe(int64_t message) const { return DescribeMessage(options_, message); }

std::string RoomLog::Where(const Seat& seat, int64_t position) const {
  return absl::StrCat(MemberName(seat.member), " in ", RoomName(room_), ", position ", position,
                      ": ");
}

void CompareLogs(const ChatLoadOptions& options, const RoomLog& log, const RoomLog& other,
                 MonotonicTime now, ErrorTally& errors) {
  if (!log.clean() || !other.clean()) return;
  const auto [here, there] = std::mismatch(log.order().begin(), log.order().end(),
                                           other.order().begin(), other.order().end());
  if (here == log.order().end() || there == other.order().end()) return;
  errors.Add(kReorderedError, now,
             absl::StrCat("members of ", RoomName(log.room()), " on two threads, position ",
                          here - log.order().begin(), ": ", DescribeMessage(options, *here),
                          " for one and ", DescribeMessage(options, *there), " for the other"));
}

}  // namespace millrace
