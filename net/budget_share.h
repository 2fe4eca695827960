// SPDX-License-Identifier: Apache-2.0
//
// BudgetShare is one loop's part in a MemoryBudget: it knows what the loop's connections hold, and
// which of them hold much, and does to its own what the sum over all loops asks for. BudgetHolder
// is what it knows of one connection. Both are loop-only; the share outlives its holders.
//
//   class Session : BudgetHolder {                              // Or a part of it, made when
//   needed.
//     Session(BudgetShare& share) : BudgetHolder(share) {}
//     void Settle() LOOP_ONLY { SetHeldBytes(output_.bytes()); }   // O(1), calls nobody.
//     void StopReadingForBudget() override LOOP_ONLY { PauseReading(); }
//     ...
//
// Holders of less than kBudgetHolderBytes need not exist: nothing is ever done to them. Their bytes
// can be counted all the same, by Count().

#ifndef MILLRACE_NET_BUDGET_SHARE_H_
#define MILLRACE_NET_BUDGET_SHARE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "base/intrusive_list.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/limits.h"
#include "net/memory_budget.h"
#include "net/poller.h"
#include "net/timer_wheel.h"

namespace millrace {

class BudgetShare;

class BudgetHolder : private ListLink<BudgetHolder> {
 public:
  BudgetHolder(const BudgetHolder&) = delete;
  BudgetHolder& operator=(const BudgetHolder&) = delete;

  uint64_t held_bytes() const { return bytes_; }
  // What it holds now, as soon as that has changed.
  void SetHeldBytes(uint64_t bytes) LOOP_ONLY;

 protected:
  // Holds nothing at first.
  explicit BudgetHolder(BudgetShare& share) LOOP_ONLY;
  // What it held is free.
  ~BudgetHolder();

  // These come from a turn of their own, never from inside a call of this or the share. Any of them
  // may destroy any holder. The first two alternate.
  virtual void StopReadingForBudget() LOOP_ONLY = 0;
  virtual void ReadAgainAfterBudget() LOOP_ONLY = 0;
  // The last call. It counts for nothing any more, and is to let go of what it holds.
  virtual void CloseForBudget(const absl::Status& why) LOOP_ONLY = 0;

 private:
  friend class BudgetShare;
  friend class IntrusiveList<BudgetHolder, BudgetHolder>;

  BudgetShare& share_;
  uint64_t bytes_ = 0;
  const uint64_t number_;  // In order of making: tells apart those that hold the same.
  bool stopped_ = false;
  bool closing_ = false;
};

// Whoever reads on a loop, and is told how much a read may bring while memory is short.
class BudgetReader : private ListLink<BudgetReader> {
 public:
  virtual void SetReadBytesMax(size_t bytes) LOOP_ONLY = 0;

 protected:
  ~BudgetReader() = default;

 private:
  friend class BudgetShare;
  friend class IntrusiveList<BudgetReader, BudgetReader>;
};

class BudgetShare final : private IoHandler {
 public:
  BudgetShare(EventLoop& loop, Ref<MemoryBudget> budget) LOOP_ONLY;
  // Requires: its holders are gone.
  ~BudgetShare() override;

  // Bytes more or less that no holder holds.
  void Count(int64_t bytes) LOOP_ONLY {
    held_ += bytes;
    ReportIfFar();
  }
  // Tells it now, and whenever that changes, until it is destroyed.
  void Add(BudgetReader& reader) LOOP_ONLY;
  // What this loop holds, to the byte.
  int64_t held_bytes() const LOOP_ONLY { return held_; }
  const MemoryBudget& budget() const { return *budget_; }

 private:
  friend class BudgetHolder;
  using Holders = IntrusiveList<BudgetHolder, BudgetHolder>;
  using ByClass = std::array<Holders, MemoryBudget::kClasses>;

  void Change(BudgetHolder& holder, uint64_t bytes) LOOP_ONLY;
  void Place(BudgetHolder& holder) LOOP_ONLY;
  void CountInClass(const BudgetHolder& holder, int sign) LOOP_ONLY;

  void ReportIfFar() LOOP_ONLY;
  void BoundReads(uint64_t total) LOOP_ONLY;
  void Report() LOOP_ONLY;
  void OnIo(Io) override LOOP_ONLY {}
  void OnEndOfTurn() override LOOP_ONLY { Look(); }
  // Compares the sum with the marks, and does what it asks for.
  void Look() LOOP_ONLY;

  void CloseLargest(uint64_t total) LOOP_ONLY;
  void StopLargest(uint64_t total) LOOP_ONLY;
  // Lets go on those that hold little by now, and of the others so many, of the smallest
  // class first.
  void ResumeSome(int most) LOOP_ONLY;
  void Resume(BudgetHolder& holder) LOOP_ONLY;
  void Close(BudgetHolder& holder, uint64_t total) LOOP_ONLY;
  // Puts a class into ranked_, the largest first.
  void RankClass(int c, bool stopped_too) LOOP_ONLY;
  // Moves the first of ranked_ into `chosen`, as Cut says.
  void Choose(int64_t bytes, bool rounds_up, Holders& chosen) LOOP_ONLY;

  const Ref<MemoryBudget> budget_;
  MemoryBudget::Seat seat_;
  Registration registration_;
  Timer look_again_;
  bool looks_soon_ = false;

  IntrusiveList<BudgetReader, BudgetReader> readers_;
  size_t read_bytes_max_ = kReceiveBufferBytes;

  int64_t held_ = 0;
  int64_t reported_ = 0;
  uint64_t holders_made_ = 0;
  int holders_ = 0;
  // Each holder of kBudgetHolderBytes or more is in one of these. One that shrinks below while it
  // is stopped is in drained_.
  ByClass reading_, stopped_;
  std::array<uint64_t, MemoryBudget::kClasses> stopped_bytes_ = {};
  Holders drained_;
  int stopped_count_ = 0;
  int looks_above_limit_ = 0;  // In a row.
  std::vector<BudgetHolder*> ranked_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_BUDGET_SHARE_H_
