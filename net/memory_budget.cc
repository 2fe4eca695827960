// SPDX-License-Identifier: Apache-2.0
#include "net/memory_budget.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "absl/base/no_destructor.h"
#include "base/memory_limit.h"
#include "base/thread_role.h"
#include "net/event_loop.h"
#include "net/io_handler.h"

namespace millrace {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Without overflow, for any number of bytes.
uint64_t Percent(uint64_t bytes, int percent) {
  return bytes / 100 * percent + bytes % 100 * percent / 100;
}

absl::Status Check(const MemoryBudget::Options& options) {
  if (options.stop_percent < 1 || options.stop_percent > 100) {
    return absl::InvalidArgumentError("stop_percent must be 1 to 100");
  }
  if (options.resume_percent < 0 || options.resume_percent > options.stop_percent) {
    return absl::InvalidArgumentError("resume_percent must be 0 to stop_percent");
  }
  if (options.report_bytes == 0) {
    return absl::InvalidArgumentError("report_bytes must not be 0");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Ref<MemoryBudget>> MemoryBudget::Create(Options options) {
  const absl::Status status = Check(options);
  if (!status.ok()) return status;
  if (options.limit_bytes == 0) {
    options.limit_bytes = Percent(MemoryLimit(), kBudgetMemoryPercent);
  }
  options.limit_bytes =
      std::min<uint64_t>(options.limit_bytes, std::numeric_limits<int64_t>::max());
  return Ref<MemoryBudget>(new MemoryBudget(options));
}

const Ref<MemoryBudget>& MemoryBudget::OfProcess() noexcept {
  static const absl::NoDestructor<Ref<MemoryBudget>> budget(Create().value());
  return *budget;
}

MemoryBudget::MemoryBudget(Options options)
    : options_(options),
      stop_bytes_(Percent(options.limit_bytes, options.stop_percent)),
      resume_bytes_(Percent(options.limit_bytes, options.resume_percent)) {}

MemoryBudget::Stats MemoryBudget::stats() const {
  return {.total_bytes = total_bytes(),
          .peak_bytes = static_cast<uint64_t>(peak_.load(kRelaxed)),
          .stops = stops_.load(kRelaxed),
          .resumes = resumes_.load(kRelaxed),
          .closes = closes_.load(kRelaxed)};
}

void MemoryBudget::Join(Seat& seat) {
  absl::MutexLock lock(&mutex_);
  seats_.push_back(&seat);
}

void MemoryBudget::Leave(Seat& seat) {
  absl::MutexLock lock(&mutex_);
  seats_.erase(std::find(seats_.begin(), seats_.end(), &seat));
}

void MemoryBudget::Add(int64_t bytes) {
  // Release, with TellAll(): who has cleared `told` sees the sum that it was told of.
  const int64_t before = total_.fetch_add(bytes, std::memory_order_release), now = before + bytes;
  if (bytes <= 0) return;
  int64_t peak = peak_.load(kRelaxed);
  while (now > peak && !peak_.compare_exchange_weak(peak, now, kRelaxed)) {
  }
  const auto passes = [&](uint64_t mark) {
    return std::max<int64_t>(before, 0) <= static_cast<int64_t>(mark) &&
           now > static_cast<int64_t>(mark);
  };
  if (passes(stop_bytes_) || passes(limit_bytes())) TellAll();
}

void MemoryBudget::TellAll() {
  absl::MutexLock lock(&mutex_);
  for (Seat* seat : seats_) {
    if (seat->told.exchange(true, std::memory_order_acq_rel)) continue;
    // Without the mailbox's bound: a loop so busy is the last that may miss this.
    seat->loop.PostAlways([share = seat->share] {
      AssertOnLoop();
      IoHandler* handler = EventLoop::Current()->Find(share);
      if (handler != nullptr) handler->OnEndOfTurn();
    });
  }
}

MemoryBudget::Sizes MemoryBudget::SizesOfAll() const {
  Sizes sizes;
  std::array<int64_t, kClasses> most = {};
  absl::MutexLock lock(&mutex_);
  for (const Seat* seat : seats_) {
    for (int c = 0; c < kClasses; ++c) {
      const int64_t bytes = seat->bytes[c].value();
      sizes.bytes[c] += bytes;
      if (bytes <= most[c]) continue;
      most[c] = bytes;
      sizes.most_in[c] = seat;
    }
  }
  return sizes;
}

MemoryBudget::Cut MemoryBudget::CutFor(const Sizes& sizes, int64_t wanted, const Seat& own) {
  bool others_have_larger = false;
  for (int c = kClasses - 1; c >= 0; --c) {
    const int64_t own_bytes = own.bytes[c].value();
    if (sizes.bytes[c] >= wanted && sizes.bytes[c] > 0) {
      const double part = 1.0 * own_bytes / sizes.bytes[c];
      return {c, std::llround(part * wanted), sizes.most_in[c] == &own, others_have_larger};
    }
    wanted -= sizes.bytes[c];
    others_have_larger |= sizes.bytes[c] > own_bytes;
  }
  return {.size_class = -1};  // All of them.
}

MemoryBudget::Cut MemoryBudget::CutToClose(const Seat& own, uint64_t total) const {
  return CutFor(SizesOfAll(), static_cast<int64_t>(total - limit_bytes()), own);
}

MemoryBudget::Cut MemoryBudget::CutToHelp(const Seat& own, uint64_t total) const {
  Sizes sizes;
  for (int c = 0; c < kClasses; ++c) {
    sizes.bytes[c] = own.bytes[c].value();
    sizes.most_in[c] = &own;
  }
  absl::MutexLock lock(&mutex_);
  const auto shares = static_cast<int64_t>(seats_.size());
  return CutFor(sizes, static_cast<int64_t>(total - limit_bytes()) / shares + 1, own);
}

MemoryBudget::Cut MemoryBudget::CutToStop(const Seat& own, uint64_t total) const {
  if (total >= limit_bytes()) return {.size_class = -1};
  const Sizes sizes = SizesOfAll();
  const int64_t all = std::accumulate(sizes.bytes.begin(), sizes.bytes.end(), int64_t{0});
  const double pressure = 1.0 * (total - stop_bytes_) / (limit_bytes() - stop_bytes_);
  return CutFor(sizes, std::max<int64_t>(std::llround(all * pressure), 1), own);
}

}  // namespace millrace
