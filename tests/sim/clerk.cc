// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/clerk.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "net/close_reason.h"
#include "net/limits.h"
#include "net/memory_budget.h"

namespace millrace {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(1);
// Looks of a loop for which others may have to close first, and one that helps; see
// docs/overload.md.
constexpr int kLooksUntilItFits = 12;
constexpr size_t kSendBytes = 2'000;

// Half of them are small. With larger ones, who sends a part holds memory.
size_t DrawMessage(World& world) { return 8 + world.Below(1 << world.Below(14)); }

}  // namespace

Office::Office(World& world)
    : world_(world),
      message_bytes_(DrawMessage(world)),
      answer_bytes_(message_bytes_ << world.Below(6)),
      answers_max_(uint64_t{4096} << world.Below(6)) {}

HandlersOf Office::Clerks() {
  return [this](Owner& owner) { return std::make_unique<Clerk>(*this, owner); };
}

bool Office::Check(const ServerHost& server) {
  if (!rates_held_back_ && world_.protection().rates.on()) {
    rates_held_back_ = server.stats().rate_pauses_read > 0;
  }
  for (Clerk* const clerk : clerks_) clerk->CheckClocks(!rates_held_back_);
  if (world_.protection().budget) {
    CheckSum();
    CheckChoice();
  }
  return true;
}

uint64_t Office::Held() const {
  uint64_t sum = 0;
  for (const Clerk* const clerk : clerks_) sum += clerk->Held();
  return sum;
}

absl::Duration Office::Stalls() const {
  return world_.faults().stall > 0 ? world_.faults().stall_max : absl::ZeroDuration();
}

// The sum is right at each step, but for what loops have not reported yet; and if it is too much,
// not for long.
void Office::CheckSum() {
  const MemoryBudget& budget = *world_.protection().budget;
  const uint64_t held = Held(), total = budget.total_bytes();
  const uint64_t loops = 1 + world_.sim().workers().size();
  const uint64_t unreported = loops * world_.protection().report_bytes;
  const bool is_right = held <= total + unreported && total <= held + unreported;
  world_.Expect(is_right, absl::StrCat("the memory budget counts ", total,
                                       " bytes, and connections hold ", held));
  if (held <= budget.limit_bytes() + unreported) {
    too_much_since_.reset();
    return;
  }
  const MonotonicTime now = world_.sim().now();
  if (!too_much_since_) too_much_since_ = now;
  const absl::Duration most = kLooksUntilItFits * (kBudgetLookAgain + kTick + 4 * Stalls());
  world_.Expect(now - *too_much_since_ <= most,
                absl::StrCat("connections hold ", held, " bytes for long, above the budget"));
}

// "... and 5000 were this one's". Of one loop the largest go.
void Office::OnClosedForBudget(const Clerk& closed, const absl::Status& why) {
  const std::vector<std::string> words = absl::StrSplit(why.message(), ' ');
  uint64_t bytes = 0;
  const auto were = std::find(words.begin(), words.end(), "were");
  const bool is_told = were != words.end() && absl::SimpleAtoi(*(were - 1), &bytes);
  world_.Expect(is_told && bytes >= kBudgetHolderBytes, "closed for what is not much");
  least_closed_ = std::min(least_closed_, bytes);
  for (const Clerk* const other : clerks_) {
    if (&other->conn_->loop() == &closed.conn_->loop()) spared_.try_emplace(other, other->Held());
  }
}

void Office::CheckChoice() {
  for (Clerk* const clerk : clerks_) {
    const auto found = spared_.find(clerk);
    if (found == spared_.end()) continue;
    world_.Expect(std::min(found->second, clerk->Held()) <= least_closed_,
                  absl::StrCat("closed for the budget with ", least_closed_, " bytes, and one of ",
                               found->second, " was spared"));
  }
  spared_.clear();
  least_closed_ = UINT64_MAX;
}

Clerk::Clerk(Office& office, Owner& owner)
    : office_(office), world_(office.world_), owner_(owner), work_(office.work_) {
  world_.AddHandler();
}

Clerk::~Clerk() { world_.RemoveHandler(); }

void Clerk::OnOpen(TcpConnection& conn) {
  world_.TellOpened(owner_);
  line_ = &world_.LineOf(conn.peer_address(), /*echo=*/false);
  mine().opened = true;
  conn_ = &conn;
  opened_at_ = world_.sim().now();
  office_.clerks_.insert(this);
  OnWritable(conn);
}

void Clerk::OnWritable(TcpConnection& conn) {
  while (work_ == Office::Work::kSend && conn.open() &&
         conn.output_bytes() <= world_.limits().output_bytes_high) {
    Send(conn, kSendBytes);
  }
}

void Clerk::OnData(TcpConnection& conn, Buffer& input) {
  heard_any_ = true;
  const size_t whole = office_.message_bytes_;
  const uint64_t messages = work_ == Office::Work::kAnswer ? input.size() / whole : 0;
  const size_t taken = work_ == Office::Work::kAnswer ? messages * whole : input.size();
  Take(input, taken);
  Answer(conn, messages);
  NoteRest(conn, input.size(), taken > 0);
}

void Clerk::Take(Buffer& input, size_t size) {
  const absl::string_view bytes = input.readable().substr(0, size);
  world_.Expect(IsPattern(line_->KeyOf(Side::kClient), mine().received, bytes),
                "bytes came that were not sent");
  mine().received += size;
  world_.tally().Count("bytes received", static_cast<int64_t>(size));
  input.Consume(size);
}

void Clerk::Answer(TcpConnection& conn, uint64_t messages) {
  for (; messages > 0 && mine().sent < office_.answers_max_; --messages) {
    Send(conn, std::min(office_.answer_bytes_, office_.answers_max_ - mine().sent));
  }
}

void Clerk::Send(TcpConnection& conn, uint64_t bytes) {
  if (!conn.open()) return;
  std::string pattern = Pattern(line_->KeyOf(Side::kServer), mine().sent, bytes);
  mine().sent += bytes;
  world_.tally().Count("messages sent");
  conn.SendOwned(std::move(pattern));
}

// A message begins with the first bytes that wait for the rest, and anew when some were taken.
void Clerk::NoteRest(const TcpConnection& conn, size_t rest, bool consumed) {
  if (rest == 0) return message_.reset();
  if (!message_ || consumed) message_ = {.since = world_.sim().now()};
  message_->bytes = rest;
  if (!conn.reads() && !message_->held) message_->held = world_.sim().now();
}

uint64_t Clerk::Held() const {
  const uint64_t held = conn_->output_bytes() + (message_ ? message_->bytes : 0);
  return held >= kBudgetHolderBytes ? held : 0;
}

MonotonicTime Clerk::MessageDeadline() const {
  return message_->since + world_.protection().progress.message_timeout;
}

MonotonicTime Clerk::RateDeadline() const {
  const ProgressLimits& limits = world_.protection().progress;
  if (limits.bytes_per_second_min == 0) return MonotonicTime::InfiniteFuture();
  const double seconds = 1.0 * message_->bytes / limits.bytes_per_second_min;
  return message_->since + limits.rate_grace + absl::Seconds(seconds);
}

// Time in which we do not read is taken out once it is over.
void Clerk::CheckClocks(bool exact) {
  const MonotonicTime now = world_.sim().now();
  if (message_ && conn_->reads() == message_->held.has_value()) {
    if (message_->held) message_->since = message_->since + (now - *message_->held);
    message_->held = conn_->reads() ? std::nullopt : std::optional(now);
  }
  if (!exact || !conn_->reads()) return;
  const MonotonicTime latest = now - 2 * kTick - 4 * office_.Stalls();
  const absl::Duration first_byte = world_.protection().progress.first_byte_timeout;
  world_.Expect(heard_any_ || mine().heard_end || opened_at_ + first_byte >= latest,
                "who never spoke was not ended");
  if (!message_) return;
  world_.Expect(MessageDeadline() >= latest, "half a message stayed for too long");
  world_.Expect(RateDeadline() >= latest, "a message came too slowly, for too long");
}

void Clerk::OnEndOfInput(TcpConnection& conn, Buffer& rest) {
  mine().heard_end = true;
  Take(rest, rest.size());
  message_.reset();
  world_.Expect(mine().received == line_->client.sent, "the end came before all bytes");
  mine().left = true;
  world_.TellLeft(conn.peer_address());
  conn.CloseAfterFlush();
}

void Clerk::OnClose(TcpConnection& conn, const absl::Status& why) {
  world_.TellClosed(owner_, conn, why);
  mine().closed = true;
  mine().why = why;
  office_.clerks_.erase(this);
  CheckCause(conn.close_reason().cause);
  if (conn.close_reason().cause == CloseCause::kMemoryBudget) {
    office_.OnClosedForBudget(*this, why);
  }
}

// Not before its time.
void Clerk::CheckCause(CloseCause cause) {
  const MonotonicTime now = world_.sim().now();
  if (cause == CloseCause::kFirstByteTimeout) {
    const MonotonicTime due = opened_at_ + world_.protection().progress.first_byte_timeout;
    world_.Expect(!heard_any_ && now >= due, "who had spoken was ended as if not");
  } else if (cause == CloseCause::kMessageTimeout) {
    world_.Expect(message_ && now >= MessageDeadline(), "who was in time was ended for a message");
  } else if (cause == CloseCause::kRateTimeout) {
    const MonotonicTime due = message_ ? RateDeadline() : MonotonicTime::InfiniteFuture();
    // Nanoseconds are rounded in another way.
    world_.Expect(now + absl::Microseconds(1) >= due, "who was fast enough was ended as slow");
  }
}

}  // namespace millrace
