// SPDX-License-Identifier: Apache-2.0
//
// RateLimiter bounds how fast one connection reads and writes; RateLimitGroup how fast many do
// together, on whatever loops they are. Each direction has a rate and a burst of its own, of the
// connection and of the group, and any of them may be off. A connection that may not go on leaves
// its socket alone until the instant it is told: TCP makes the peer wait. A limiter belongs to its
// connection, on the connection's loop; a group to all who hold a Ref of it, on any thread.
//
//   const size_t room = limiter.MayRead(buffer.size(), now);
//   if (room == 0) return WaitUntil(limiter.ReadableAt(now));
//   limiter.DidRead(Read(buffer.first(room)), now);
//
// Nobody is woken for a few bytes: who waits, waits for a quantum. Members of a group that wait
// stand in a line. Each has the next quantum that comes reserved for it, at an instant of its own,
// so none is overtaken, and no crowd is woken to find that one of them has taken all.

#ifndef MILLRACE_NET_RATE_LIMIT_H_
#define MILLRACE_NET_RATE_LIMIT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/counters.h"
#include "base/monotonic_time.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "base/token_bucket.h"

namespace millrace {

// One direction. Slow timers are a millisecond late at most, so a burst of less than a few
// milliseconds' worth does not reach its rate.
struct RateLimit {
  double bytes_per_second = 0;  // 0 is no limit.
  // What may go at once after a rest. 0 is what comes in kRateBurstTime, or kRateQuantumBytes if
  // that is more.
  int64_t burst_bytes = 0;

  bool on() const { return bytes_per_second != 0; }
  int64_t burst() const;
};

struct RateLimits {
  RateLimit read = {};
  RateLimit write = {};

  bool on() const { return read.on() || write.on(); }
  // InvalidArgument that names the field, if one is out of bounds.
  absl::Status Check() const;
};

// What the limited connections of one loop have done. Written by it, read by anyone.
struct RateLimitCounters {
  Counter bytes_read, bytes_written;
  Counter read_pauses, write_pauses;  // How often one was told to wait.
};

class RateLimitGroup final : public RefCounted<RateLimitGroup> {
 public:
  // What its members have done.
  struct Stats {
    uint64_t bytes_read = 0, bytes_written = 0;
    uint64_t read_pauses = 0, write_pauses = 0;
  };

  // As RateLimits::Check().
  static absl::StatusOr<Ref<RateLimitGroup>> Create(const RateLimits& limits);

  Stats stats() const;

 private:
  friend class Ref<RateLimitGroup>;
  friend class RefCounted<RateLimitGroup>;
  friend class RateLimitedFlow;
  friend class RateLimiter;

  struct Direction {
    explicit Direction(const RateLimit& limit);

    std::optional<SharedTokenBucket> bucket;
    int64_t quantum;
    std::atomic<uint64_t> bytes = 0, pauses = 0;
  };

  explicit RateLimitGroup(const RateLimits& limits) : read_(limits.read), write_(limits.write) {}
  ~RateLimitGroup() = default;

  Direction read_;
  alignas(64) Direction write_;  // Who reads does not disturb who writes.
};

// One direction of a RateLimiter, which has the public face.
class RateLimitedFlow {
 public:
  RateLimitedFlow(const RateLimit& own, RateLimitGroup::Direction* group, Counter& bytes,
                  Counter& pauses);
  RateLimitedFlow(const RateLimitedFlow&) = delete;
  RateLimitedFlow& operator=(const RateLimitedFlow&) = delete;
  // Its place in the line is free.
  ~RateLimitedFlow();

  size_t May(size_t wanted, MonotonicTime now) LOOP_ONLY;
  void Did(size_t n, MonotonicTime now) LOOP_ONLY;
  MonotonicTime NextAt(size_t wanted, MonotonicTime now) LOOP_ONLY;

 private:
  int64_t GroupRoom(int64_t wanted, MonotonicTime now) const LOOP_ONLY;
  MonotonicTime GroupNextAt(int64_t wanted, MonotonicTime now) LOOP_ONLY;

  std::optional<TokenBucket> own_;
  int64_t own_quantum_ = 0;
  RateLimitGroup::Direction* const group_;  // Null if it does not limit this direction.
  int64_t reserved_ = 0;                    // Bytes of the group's that are ours
  MonotonicTime reserved_at_;               // from this instant on.
  MonotonicTime told_;                      // So that a pause counts once.
  Counter& bytes_;
  Counter& pauses_;
};

class RateLimiter {
 public:
  // `group` may be none. Requires: own.Check() is OK; `counters` outlive this.
  RateLimiter(const RateLimits& own, Ref<RateLimitGroup> group, RateLimitCounters& counters)
      : group_(std::move(group)),
        read_(own.read, group_ ? &group_->read_ : nullptr, counters.bytes_read,
              counters.read_pauses),
        write_(own.write, group_ ? &group_->write_ : nullptr, counters.bytes_written,
               counters.write_pauses) {}

  // How many of `wanted` bytes may be read now; 0 if it is better to wait until ReadableAt().
  size_t MayRead(size_t wanted, MonotonicTime now) LOOP_ONLY { return read_.May(wanted, now); }
  // So many were read: to be told of each read, also of what was more than allowed.
  void DidRead(size_t n, MonotonicTime now) LOOP_ONLY { read_.Did(n, now); }
  // When to ask MayRead() again; now or past if it says something else than 0. In a group this
  // takes a place in the line, and keeps it: what is reserved stays so until the next DidRead().
  MonotonicTime ReadableAt(MonotonicTime now) LOOP_ONLY {
    return read_.NextAt(std::numeric_limits<int64_t>::max(), now);
  }

  // The same for writing. `wanted` is what waits to be written.
  size_t MayWrite(size_t wanted, MonotonicTime now) LOOP_ONLY { return write_.May(wanted, now); }
  void DidWrite(size_t n, MonotonicTime now) LOOP_ONLY { write_.Did(n, now); }
  MonotonicTime WritableAt(size_t wanted, MonotonicTime now) LOOP_ONLY {
    return write_.NextAt(wanted, now);
  }

 private:
  const Ref<RateLimitGroup> group_;
  RateLimitedFlow read_, write_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_RATE_LIMIT_H_
