// SPDX-License-Identifier: Apache-2.0
#include "net/budget_share.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "net/limits.h"

namespace millrace {
namespace {

// Looks in a row for which what is too much may be for others to close. A loop that stalls does not
// look; then the others help out.
constexpr int kLooksForOthers = 10;

}  // namespace

BudgetHolder::BudgetHolder(BudgetShare& share) : share_(share), number_(share.holders_made_++) {
  ++share_.holders_;
}

BudgetHolder::~BudgetHolder() {
  AssertOnLoop();
  SetHeldBytes(0);
  if (stopped_ && !closing_) --share_.stopped_count_;
  --share_.holders_;
}

void BudgetHolder::SetHeldBytes(uint64_t bytes) {
  if (!closing_ && bytes != bytes_) share_.Change(*this, bytes);
}

BudgetShare::BudgetShare(EventLoop& loop, Ref<MemoryBudget> budget)
    : budget_(std::move(budget)),
      registration_(loop.Name(*this)),
      look_again_(loop.timers(), [this] {
        AssertOnLoop();
        Look();
      }) {
  seat_.loop = loop.ref();
  seat_.share = registration_.token();
  budget_->Join(seat_);
}

BudgetShare::~BudgetShare() {
  AssertOnLoop();
  CHECK_EQ(holders_, 0) << "holders go before their share";
  budget_->Leave(seat_);
  held_ = 0;
  Report();
}

void BudgetShare::Change(BudgetHolder& holder, uint64_t bytes) {
  const int before = MemoryBudget::SizeClass(holder.bytes_), now = MemoryBudget::SizeClass(bytes);
  CountInClass(holder, -1);
  held_ += static_cast<int64_t>(bytes - holder.bytes_);
  holder.bytes_ = bytes;
  CountInClass(holder, 1);
  if (now != before) Place(holder);
  ReportIfFar();
}

void BudgetShare::CountInClass(const BudgetHolder& holder, int sign) {
  const int c = MemoryBudget::SizeClass(holder.bytes_);
  if (c < 0) return;
  seat_.bytes[c].Add(sign * static_cast<int64_t>(holder.bytes_));
  if (holder.stopped_) stopped_bytes_[c] += sign * holder.bytes_;
}

void BudgetShare::Place(BudgetHolder& holder) {
  holder.Unlink();
  const int c = MemoryBudget::SizeClass(holder.bytes_);
  if (c >= 0) {
    (holder.stopped_ ? stopped_ : reading_)[c].PushBack(holder);
  } else if (holder.stopped_) {
    drained_.PushBack(holder);
  }
}

void BudgetShare::ReportIfFar() {
  if (std::abs(held_ - reported_) < static_cast<int64_t>(budget_->options_.report_bytes)) return;
  Report();
  const uint64_t total = budget_->total_bytes();
  if (total <= budget_->stop_bytes()) return;
  BoundReads(total);
  if (looks_soon_ || look_again_.armed()) return;
  looks_soon_ = true;
  registration_.CallAtEndOfTurn();  // When all of this turn has been counted.
}

// Nobody is stopped or closed before the turn is over. So that it does not bring far more than
// there is room for, each of its reads gets its part of that.
void BudgetShare::BoundReads(uint64_t total) {
  size_t most = kReceiveBufferBytes;
  if (total > budget_->stop_bytes()) {
    const uint64_t left = budget_->limit_bytes() - std::min(total, budget_->limit_bytes());
    most = std::clamp<uint64_t>(left / kEventsPerTurnMax, kBudgetReadBytesMin, most);
  }
  if (most == read_bytes_max_) return;
  read_bytes_max_ = most;
  readers_.ForEach([most](BudgetReader& reader) {
    AssertOnLoop();
    reader.SetReadBytesMax(most);
  });
}

void BudgetShare::Add(BudgetReader& reader) {
  readers_.PushBack(reader);
  reader.SetReadBytesMax(read_bytes_max_);
}

void BudgetShare::Report() {
  if (held_ != reported_) budget_->Add(held_ - std::exchange(reported_, held_));
}

void BudgetShare::Look() {
  looks_soon_ = false;
  seat_.told.exchange(false, std::memory_order_acq_rel);
  look_again_.Arm(kBudgetLookAgain);
  Report();
  uint64_t total = budget_->total_bytes();
  if (total > budget_->limit_bytes()) {
    CloseLargest(total);
    total = budget_->total_bytes();
  } else {
    looks_above_limit_ = 0;
  }
  if (total > budget_->stop_bytes()) {
    StopLargest(total);
    ResumeSome(0);
  } else {
    // Between the marks one at a time, lest those that wait for each other do so for ever.
    ResumeSome(total <= budget_->resume_bytes() ? kBudgetResumesPerLook : 1);
  }
  total = budget_->total_bytes();
  BoundReads(total);
  if (total <= budget_->stop_bytes() && stopped_count_ == 0) look_again_.Cancel();
}

void BudgetShare::CloseLargest(uint64_t total) {
  const bool helps = ++looks_above_limit_ > kLooksForOthers;
  const MemoryBudget::Cut cut =
      helps ? budget_->CutToHelp(seat_, total) : budget_->CutToClose(seat_, total);
  Holders chosen;
  for (int c = MemoryBudget::kClasses - 1; c > cut.size_class; --c) {
    chosen.TakeAll(reading_[c]);
    chosen.TakeAll(stopped_[c]);
  }
  // Others first close what is larger; only then it shows what is still to be done.
  if (cut.size_class >= 0 && !cut.others_have_larger) {
    RankClass(cut.size_class, true);
    Choose(cut.bytes, cut.rounds_up, chosen);
  }
  while (!chosen.empty()) Close(chosen.PopFront(), total);
  Report();
  LOG_EVERY_N_SEC(WARNING, 5) << "connections hold " << total << " bytes, above the budget of "
                              << budget_->limit_bytes() << "; "
                              << budget_->closes_.load(std::memory_order_relaxed)
                              << " were closed so far for that";
}

void BudgetShare::Close(BudgetHolder& holder, uint64_t total) {
  const uint64_t bytes = holder.bytes_;
  holder.SetHeldBytes(0);
  holder.Unlink();
  if (holder.stopped_) --stopped_count_;
  holder.closing_ = true;
  budget_->closes_.fetch_add(1, std::memory_order_relaxed);
  holder.CloseForBudget(absl::ResourceExhaustedError(
      absl::StrCat("all connections together hold ", total, " bytes, of which ",
                   budget_->limit_bytes(), " are allowed and ", bytes, " were this one's")));
}

void BudgetShare::StopLargest(uint64_t total) {
  const MemoryBudget::Cut cut = budget_->CutToStop(seat_, total);
  Holders chosen;
  for (int c = MemoryBudget::kClasses - 1; c > cut.size_class; --c) chosen.TakeAll(reading_[c]);
  if (const int c = cut.size_class; c >= 0) {
    RankClass(c, false);
    Choose(cut.bytes - static_cast<int64_t>(stopped_bytes_[c]), cut.rounds_up, chosen);
  }
  while (!chosen.empty()) {
    BudgetHolder& holder = chosen.PopFront();
    CountInClass(holder, -1);
    holder.stopped_ = true;
    CountInClass(holder, 1);
    Place(holder);
    ++stopped_count_;
    budget_->stops_.fetch_add(1, std::memory_order_relaxed);
    holder.StopReadingForBudget();
  }
}

void BudgetShare::RankClass(int c, bool stopped_too) {
  ranked_.clear();
  const auto rank = [this](BudgetHolder& holder) { ranked_.push_back(&holder); };
  reading_[c].ForEach(rank);
  if (stopped_too) stopped_[c].ForEach(rank);
  std::sort(ranked_.begin(), ranked_.end(), [](const BudgetHolder* a, const BudgetHolder* b) {
    return a->bytes_ != b->bytes_ ? a->bytes_ > b->bytes_ : a->number_ < b->number_;
  });
}

void BudgetShare::Choose(int64_t bytes, bool rounds_up, Holders& chosen) {
  for (BudgetHolder* holder : ranked_) {
    const auto held = static_cast<int64_t>(holder->bytes_);
    if (bytes <= 0 || (held > bytes && !rounds_up)) break;
    bytes -= held;
    holder->Unlink();
    chosen.PushBack(*holder);
  }
}

void BudgetShare::ResumeSome(int most) {
  Holders drained;
  drained.TakeAll(drained_);
  while (!drained.empty()) Resume(drained.PopFront());
  for (Holders& stopped : stopped_) {
    while (most > 0 && !stopped.empty()) {
      --most;
      Resume(stopped.PopFront());
    }
  }
}

void BudgetShare::Resume(BudgetHolder& holder) {
  CountInClass(holder, -1);
  holder.stopped_ = false;
  CountInClass(holder, 1);
  Place(holder);
  --stopped_count_;
  budget_->resumes_.fetch_add(1, std::memory_order_relaxed);
  holder.ReadAgainAfterBudget();
}

}  // namespace millrace
