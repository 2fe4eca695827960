// SPDX-License-Identifier: Apache-2.0
//
// ConnectionOwner is what a TcpConnection knows of the table that owns it: the loop, the limits,
// the memory it shares with the others, and whom to tell when it ends. Loop-only; lives as long as
// its loop has connections of it.
//
//   ConnectionMemory& memory = loop.Local<ConnectionMemory>();   // One for all tables of a loop.

#ifndef MILLRACE_NET_CONNECTION_OWNER_H_
#define MILLRACE_NET_CONNECTION_OWNER_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "base/counters.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "net/budget_share.h"
#include "net/close_reason.h"
#include "net/connection_limits.h"
#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/limits.h"
#include "net/memory_budget.h"
#include "net/output_queue.h"
#include "net/rate_limit.h"

namespace millrace {

// What all connections of a loop share, so that an idle one holds no buffer.
class ConnectionMemory final : public Deferred {
 public:
  explicit ConnectionMemory(EventLoop& loop)
      : loop_(loop), receive_buffer_(std::make_unique_for_overwrite<char[]>(kReceiveBufferBytes)) {}

  // Where input arrives. Good until the next connection reads.
  absl::Span<char> receive_buffer() const { return {receive_buffer_.get(), kReceiveBufferBytes}; }
  // Whether `bytes` lie there.
  bool Lends(const char* bytes) const {
    const auto address = [](const char* byte) { return reinterpret_cast<uintptr_t>(byte); };
    return address(bytes) - address(receive_buffer_.get()) < kReceiveBufferBytes;
  }
  OutputQueue::Pools& output_pools() { return output_pools_; }

  // The loop's share in `budget`, for as long as somebody has joined. Null if there is no budget.
  BudgetShare* Join(const Ref<MemoryBudget>& budget) LOOP_ONLY;
  // Requires: joined, and the leaver's connections have ended.
  void Leave(const BudgetShare* share) LOOP_ONLY;

 private:
  struct Shared {
    std::unique_ptr<BudgetShare> share;
    int users = 0;
  };

  EventLoop& loop_;
  const std::unique_ptr<char[]> receive_buffer_;
  OutputQueue::Pools output_pools_;
  std::vector<Shared> shares_;  // One for each budget, of which there are few.
};

// Written by the loop, read by anyone.
struct ConnectionCounters {
  Counter opened;           // Told OnOpen().
  Counter closed;           // Told OnClose().
  Counter closed_on_error;  // Of these, those whose reason was not OK.
  Counter failed_to_open;   // Never told OnOpen(): refused, or the handshake failed.
  Counter bytes_read, bytes_written;
  RateLimitCounters limited;  // What those with rate limits did of that, and how often they waited.
  // Of both, closed and failed to open: how many for each CloseCause.
  std::array<Counter, kCloseCauses> ended;

  void CountEnd(CloseCause cause) { ended[static_cast<size_t>(cause)].Increment(); }
};

class TcpConnection;

class ConnectionOwner : private BudgetReader {
 public:
  // Without a budget, what its connections hold together is not bounded.
  ConnectionOwner(EventLoop& loop, const ConnectionLimits& limits, ConnectionCounters& counters,
                  const Ref<MemoryBudget>& budget = {}) LOOP_ONLY
      : loop_(loop),
        limits_(limits),
        timeouts_(limits),
        memory_(loop.Local<ConnectionMemory>()),
        share_(memory_.Join(budget)),
        room_(memory_.receive_buffer().first(limits.read_bytes_per_turn)),
        counters_(counters) {
    if (share_ != nullptr) share_->Add(*this);
  }

  EventLoop& loop() const { return loop_; }
  const ConnectionLimits& limits() const { return limits_; }
  const ConnectionTimeouts& timeouts() const { return timeouts_; }
  ConnectionMemory& memory() const { return memory_; }
  // Null without a budget.
  BudgetShare* budget_share() const { return share_; }
  // Where a turn's read goes: as much of the receive buffer as the limits and the memory budget
  // allow.
  absl::Span<char> room() const { return room_; }
  ConnectionCounters& counters() const { return counters_; }
  // How long a connection that drains may be idle before it is half-closed; 0 is for ever.
  uint32_t drain_idle_ms() const { return drain_idle_ms_; }

  // `conn` has ended, and is to be destroyed later. If it had been opened its handler knows, and
  // `failure` is OK; else nobody knows yet, and `failure` says why it never opened.
  virtual void OnConnectionEnd(TcpConnection& conn, const absl::Status& failure) LOOP_ONLY = 0;

 protected:
  ~ConnectionOwner() {
    AssertOnLoop();
    memory_.Leave(share_);
  }
  void set_drain_idle_ms(uint32_t idle) { drain_idle_ms_ = idle; }

 private:
  void SetReadBytesMax(size_t bytes) final LOOP_ONLY {
    room_ = memory_.receive_buffer().first(std::min(bytes, limits_.read_bytes_per_turn));
  }

  EventLoop& loop_;
  const ConnectionLimits limits_;
  const ConnectionTimeouts timeouts_;
  uint32_t drain_idle_ms_ = 0;
  ConnectionMemory& memory_;
  BudgetShare* const share_;
  absl::Span<char> room_;
  ConnectionCounters& counters_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_CONNECTION_OWNER_H_
