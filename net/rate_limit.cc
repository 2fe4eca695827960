// SPDX-License-Identifier: Apache-2.0
#include "net/rate_limit.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "net/limits.h"

namespace millrace {
namespace {

int64_t BytesIn(absl::Duration time, const RateLimit& limit) {
  return static_cast<int64_t>(limit.bytes_per_second * absl::ToDoubleSeconds(time));
}

// No more than it can ever have, and a byte at least.
int64_t SlowQuantum(const RateLimit& limit) {
  const int64_t bytes = std::min<int64_t>(kRateQuantumBytes, BytesIn(kRateQuantumTimeMax, limit));
  return std::clamp<int64_t>(bytes, 1, limit.burst());
}

absl::Status CheckOne(const RateLimit& limit, absl::string_view name) {
  const double rate = limit.bytes_per_second;
  // Written so that what is no number fails.
  if (limit.on() && !(rate >= TokenRate::kPerSecondMin && rate <= TokenRate::kPerSecondMax)) {
    return absl::InvalidArgumentError(absl::StrCat(name, ".bytes_per_second must be 0 or ",
                                                   TokenRate::kPerSecondMin, " to ",
                                                   TokenRate::kPerSecondMax));
  }
  if (limit.burst_bytes < 0 || limit.burst_bytes > TokenRate::kBurstMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ".burst_bytes must be 0 to ", TokenRate::kBurstMax));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t RateLimit::burst() const {
  if (burst_bytes != 0) return burst_bytes;
  return std::max<int64_t>(BytesIn(kRateBurstTime, *this), kRateQuantumBytes);
}

absl::Status RateLimits::Check() const {
  MILLRACE_RETURN_IF_ERROR(CheckOne(read, "read"));
  return CheckOne(write, "write");
}

RateLimitGroup::Direction::Direction(const RateLimit& limit) : quantum(SlowQuantum(limit)) {
  if (limit.on()) bucket.emplace(limit.bytes_per_second, limit.burst());
}

absl::StatusOr<Ref<RateLimitGroup>> RateLimitGroup::Create(const RateLimits& limits) {
  MILLRACE_RETURN_IF_ERROR(limits.Check());
  return Ref<RateLimitGroup>(new RateLimitGroup(limits));
}

RateLimitGroup::Stats RateLimitGroup::stats() const {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  return {.bytes_read = read_.bytes.load(kRelaxed),
          .bytes_written = write_.bytes.load(kRelaxed),
          .read_pauses = read_.pauses.load(kRelaxed),
          .write_pauses = write_.pauses.load(kRelaxed)};
}

RateLimitedFlow::RateLimitedFlow(const RateLimit& own, RateLimitGroup::Direction* group,
                                 Counter& bytes, Counter& pauses)
    : group_(group != nullptr && group->bucket ? group : nullptr), bytes_(bytes), pauses_(pauses) {
  if (!own.on()) return;
  own_.emplace(own.bytes_per_second, own.burst());
  // A fast connection waits for more, lest it be woken a thousand times a second.
  own_quantum_ =
      std::min(own.burst(), std::max(SlowQuantum(own), BytesIn(kRateQuantumTimeMin, own)));
}

RateLimitedFlow::~RateLimitedFlow() {
  if (reserved_ > 0) group_->bucket->GiveBack(reserved_);
}

size_t RateLimitedFlow::May(size_t wanted, MonotonicTime now) {
  auto room = static_cast<int64_t>(std::min<size_t>(wanted, std::numeric_limits<int64_t>::max()));
  if (own_) {
    const int64_t available = own_->Available(now);
    if (available < std::min(room, own_quantum_)) return 0;
    room = std::min(room, available);
  }
  if (group_ != nullptr) room = std::min(room, GroupRoom(room, now));
  return static_cast<size_t>(room);
}

int64_t RateLimitedFlow::GroupRoom(int64_t wanted, MonotonicTime now) const {
  if (reserved_ > 0 && now < reserved_at_) return 0;
  const int64_t available = group_->bucket->Available(now);
  const int64_t enough = std::min(wanted, group_->quantum);
  // Half of what is there, so that there is something for those who come at the same instant.
  if (reserved_ > 0) return reserved_ + std::max<int64_t>(available / 2, 0);
  return available < enough ? 0 : std::max(enough, available / 2);
}

void RateLimitedFlow::Did(size_t n, MonotonicTime now) {
  const auto bytes = static_cast<int64_t>(n);
  bytes_.Add(n);
  if (own_) own_->Take(bytes, now);
  if (group_ == nullptr) return;
  group_->bytes.fetch_add(n, std::memory_order_relaxed);
  const int64_t reserved = now < reserved_at_ ? 0 : std::exchange(reserved_, 0);
  if (bytes > reserved) group_->bucket->Take(bytes - reserved, now);
  if (bytes < reserved) group_->bucket->GiveBack(reserved - bytes);
}

MonotonicTime RateLimitedFlow::NextAt(size_t wanted, MonotonicTime now) {
  const auto bytes =
      static_cast<int64_t>(std::min<size_t>(wanted, std::numeric_limits<int64_t>::max()));
  MonotonicTime at = own_ ? own_->AvailableAt(std::min(bytes, own_quantum_)) : now;
  // Only who could go on but for the group stands in its line.
  if (at <= now && group_ != nullptr) at = GroupNextAt(bytes, now);
  if (at > now && at != told_) {
    told_ = at;
    pauses_.Increment();
    if (group_ != nullptr) group_->pauses.fetch_add(1, std::memory_order_relaxed);
  }
  return at;
}

MonotonicTime RateLimitedFlow::GroupNextAt(int64_t wanted, MonotonicTime now) {
  if (reserved_ > 0) return reserved_at_;
  const int64_t enough = std::min(wanted, group_->quantum);
  if (group_->bucket->Available(now) >= enough) return now;
  reserved_ = enough;
  reserved_at_ = group_->bucket->Reserve(enough, now);
  return reserved_at_;
}

}  // namespace millrace
