// SPDX-License-Identifier: Apache-2.0
//
// MemoryBudget bounds what all connections of a process hold together in unsent output and unread
// input, which their own limits cannot: a thousand slow peers are a thousand times one. Loops
// report what they hold; while the sum stands above the first mark, the largest holders stop being
// read, the more of them the nearer it is to the limit; above the limit the largest are closed
// until it fits. Who holds little is left alone.
//
//   auto budget = MemoryBudget::Create({.limit_bytes = uint64_t{1} << 30}).value();
//   BudgetShare share(loop, budget);        // On each loop: see net/budget_share.h.
//
// Shared by the loops and whoever else has a Ref; any thread. The sum is coarse, so that its cache
// line is rarely touched: each loop may be off by Options::report_bytes. Above the first mark,
// where it matters, loops look each 10 ms and then report to the byte.

#ifndef MILLRACE_NET_MEMORY_BUDGET_H_
#define MILLRACE_NET_MEMORY_BUDGET_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/counters.h"
#include "base/ref.h"
#include "base/slot_map.h"
#include "net/limits.h"
#include "net/loop_ref.h"

namespace millrace {

class MemoryBudget final : public RefCounted<MemoryBudget> {
 public:
  struct Options {
    // 0 is kBudgetMemoryPercent of the memory that the process may use; see MemoryLimit().
    uint64_t limit_bytes = 0;
    // The marks, in percent of that: above the first one reading stops, below the second it goes
    // on.
    int stop_percent = kBudgetStopPercent;
    int resume_percent = kBudgetResumePercent;
    // What a loop's share changes by before it is reported.
    uint64_t report_bytes = kBudgetReportBytes;
  };
  struct Stats {
    uint64_t total_bytes = 0, peak_bytes = 0;     // As reported.
    uint64_t stops = 0, resumes = 0, closes = 0;  // Of holders.
  };

  // InvalidArgument that names the field, if one is out of bounds.
  static absl::StatusOr<Ref<MemoryBudget>> Create(Options options);
  static absl::StatusOr<Ref<MemoryBudget>> Create() { return Create(Options()); }
  // The one of the process, with the default options: what servers and clients keep to that are not
  // given another one. Made when first asked for.
  static const Ref<MemoryBudget>& OfProcess() noexcept;

  uint64_t limit_bytes() const { return options_.limit_bytes; }
  uint64_t stop_bytes() const { return stop_bytes_; }
  uint64_t resume_bytes() const { return resume_bytes_; }
  uint64_t total_bytes() const {
    return static_cast<uint64_t>(std::max<int64_t>(total_.load(std::memory_order_relaxed), 0));
  }
  Stats stats() const;

 private:
  friend class Ref<MemoryBudget>;
  friend class RefCounted<MemoryBudget>;
  friend class BudgetHolder;
  friend class BudgetShare;

  // Holders are told apart by size, each class up to twice the one before it, so that nobody has to
  // keep them sorted. Class 0 begins at kBudgetHolderBytes; below there is none, -1.
  static constexpr int kClasses = 28;
  static int SizeClass(uint64_t bytes) {
    return std::min(static_cast<int>(std::bit_width(bytes / kBudgetHolderBytes)), kClasses) - 1;
  }

  // A share, as others see it. Its loop writes the bytes.
  struct Seat {
    LoopRef loop;
    Token share;
    std::atomic<bool> told = false;  // A post is under way that has it look.
    std::array<Gauge, kClasses> bytes;
  };
  // Which of its holders a share is to choose: all above a class, and of that class the largest, as
  // long as they fit into `bytes`. One share of all takes one more, if they do not fill it.
  struct Cut {
    int size_class = kClasses;
    int64_t bytes = 0;
    bool rounds_up = false;
    bool others_have_larger = false;  // Above the class, in other shares.
  };

  explicit MemoryBudget(Options options);
  ~MemoryBudget() = default;

  void Join(Seat& seat) ABSL_LOCKS_EXCLUDED(mutex_);
  void Leave(Seat& seat) ABSL_LOCKS_EXCLUDED(mutex_);
  // Reports a difference. Has all shares look if the sum thereby passes a mark.
  void Add(int64_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);
  void TellAll() ABSL_LOCKS_EXCLUDED(mutex_);
  // For `own`, so that all shares together choose the largest of all holders: to be closed, or not
  // to be read, at this sum.
  Cut CutToClose(const Seat& own, uint64_t total) const ABSL_LOCKS_EXCLUDED(mutex_);
  // The same, as if there were no others: for when another one's loop does not do its part. Of what
  // is too much each share that helps takes an equal part.
  Cut CutToHelp(const Seat& own, uint64_t total) const ABSL_LOCKS_EXCLUDED(mutex_);
  Cut CutToStop(const Seat& own, uint64_t total) const ABSL_LOCKS_EXCLUDED(mutex_);

  struct Sizes {
    std::array<int64_t, kClasses> bytes = {};        // Of all shares.
    std::array<const Seat*, kClasses> most_in = {};  // The share that has most of them.
  };
  Sizes SizesOfAll() const ABSL_LOCKS_EXCLUDED(mutex_);
  static Cut CutFor(const Sizes& sizes, int64_t wanted, const Seat& own);

  const Options options_;
  const uint64_t stop_bytes_, resume_bytes_;
  alignas(64) std::atomic<int64_t> total_ = 0;
  std::atomic<int64_t> peak_ = 0;
  alignas(64) std::atomic<uint64_t> stops_ = 0;
  std::atomic<uint64_t> resumes_ = 0, closes_ = 0;
  mutable absl::Mutex mutex_;
  std::vector<Seat*> seats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace millrace

#endif  // MILLRACE_NET_MEMORY_BUDGET_H_
