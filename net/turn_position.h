// SPDX-License-Identifier: Apache-2.0
//
// TurnPosition remembers what a loop is at: which part of the turn, and whose call. It costs one
// plain store for each call, and nobody reads it until somebody must know why a turn does not end:
// then a signal handler on the loop's own thread does (see stall_probe.h). So it is one word that
// is never half written. Member of its EventLoop; loop-only.
//
//   position_.EnterEvent(*handler);
//   handler->OnIo(ready);

#ifndef MILLRACE_NET_TURN_POSITION_H_
#define MILLRACE_NET_TURN_POSITION_H_

#include <atomic>
#include <cstdint>

#include "base/thread_role.h"
#include "net/io_handler.h"

namespace millrace {

enum class TurnPart : uint8_t { kEvents, kTimers, kPosts, kEndsOfTurn, kDestruction };

// Where a loop was when somebody asked.
struct TurnDescription {
  uint64_t beat = 0;  // The LoopPulse's: tells which turn it was, if any.
  TurnPart part = TurnPart::kEvents;
  Description who;  // Of no type, unless it is a call of an IoHandler.
};

class TurnPosition {
 public:
  void Enter(TurnPart part) LOOP_ONLY { Set(nullptr, part); }
  // The handler must live until the next Enter, or be forgotten before it dies.
  void EnterEvent(const IoHandler& handler) LOOP_ONLY { Set(&handler, TurnPart::kEvents); }
  void EnterEndOfTurn(const IoHandler& handler) LOOP_ONLY { Set(&handler, TurnPart::kEndsOfTurn); }
  // It may die now, though its call is not over: the part of the turn remains.
  void Forget(const IoHandler& handler) LOOP_ONLY {
    const uintptr_t word = word_.load(std::memory_order_relaxed);
    if ((word & ~kPartMask) == reinterpret_cast<uintptr_t>(&handler)) {
      word_.store(word & kPartMask, std::memory_order_relaxed);
    }
  }

  // Async-signal-safe.
  void Describe(TurnDescription& into) const LOOP_ONLY {
    const uintptr_t word = word_.load(std::memory_order_relaxed);
    into.part = static_cast<TurnPart>(word & kPartMask);
    into.who = Description();
    const auto* handler = reinterpret_cast<const IoHandler*>(word & ~kPartMask);
    if (handler != nullptr) handler->Describe(into.who);
  }

 private:
  // A handler's address leaves three bits free, and the part of most calls is the zero in them.
  static constexpr uintptr_t kPartMask = 7;
  static_assert(alignof(IoHandler) > kPartMask && TurnPart::kEvents == TurnPart{0});
  static_assert(static_cast<uintptr_t>(TurnPart::kDestruction) <= kPartMask);

  void Set(const IoHandler* handler, TurnPart part) {
    word_.store(reinterpret_cast<uintptr_t>(handler) + static_cast<uintptr_t>(part),
                std::memory_order_relaxed);
  }

  std::atomic<uintptr_t> word_{0};
};

}  // namespace millrace

#endif  // MILLRACE_NET_TURN_POSITION_H_
