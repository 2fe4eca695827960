// SPDX-License-Identifier: Apache-2.0
//
// A TimerWheel keeps the deadlines of one loop, a handful or a million alike. Most are never
// reached: an idle timeout is put off with each message and cancelled with its connection. So
// arming, putting off and cancelling are O(1), allocate nothing, and only the few that come due pay
// for more. The loop owns the wheel, tells it the time once a turn and sleeps until NextDeadline();
// everything here belongs to the loop's thread.
//
// Deadlines are kept in ticks of a millisecond and rounded up: never early, up to a tick late.
//
//   class Session {
//     explicit Session(EventLoop& loop) : idle_timer_(loop.timers(), [this] { Close(); }) {}
//     void OnMessage() LOOP_ONLY { idle_timer_.Arm(absl::Seconds(60)); }  // Replaces the last one.
//     Timer idle_timer_;                                                  // Cancelled with it.
//   };

#ifndef MILLRACE_NET_TIMER_WHEEL_H_
#define MILLRACE_NET_TIMER_WHEEL_H_

#include <array>
#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "base/intrusive_list.h"
#include "base/monotonic_time.h"
#include "base/thread_role.h"

namespace millrace {

// What a wheel holds: one deadline, in 32 bytes. Derive from it where memory counts; elsewhere a
// Timer is easier. Destroying it cancels it. It may outlive its wheel, and while armed it must not
// be given to another one.
class TimerEntry : private ListLink<TimerEntry> {
 public:
  bool armed() const LOOP_ONLY { return linked(); }
  // Harmless if it is not armed.
  void Cancel() LOOP_ONLY { Unlink(); }
  // When it is due, in whole ticks. Requires: armed.
  MonotonicTime deadline() const LOOP_ONLY;

 protected:
  TimerEntry() = default;
  ~TimerEntry() = default;

  // It came due. It is no longer armed, so this may arm it again, and may cancel or destroy any
  // entry, this one too.
  virtual void OnTimer() LOOP_ONLY = 0;

 private:
  friend class TimerWheel;
  friend class IntrusiveList<TimerEntry, TimerEntry>;

  uint64_t tick_ = 0;
};

class TimerWheel {
 public:
  // Requires: `now` does not lie before the clock's zero.
  explicit TimerWheel(MonotonicTime now);
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Arms `entry`, whether it was armed or not. A deadline that is past or now is due in the next
  // FireDue(), but never in one that is under way; InfiniteFuture() cancels.
  void ArmAt(TimerEntry& entry, MonotonicTime deadline) LOOP_ONLY;
  // The same, counted from now().
  void ArmAfter(TimerEntry& entry, absl::Duration delay) LOOP_ONLY { ArmAt(entry, now_ + delay); }

  MonotonicTime now() const LOOP_ONLY { return now_; }
  // An instant before now() is ignored. Fires nothing.
  void SetNow(MonotonicTime now) LOOP_ONLY;

  // Fires all that is due at now(), the earliest tick first and within a tick in no set order;
  // returns how many. Not from inside OnTimer().
  int FireDue() LOOP_ONLY;

  // When to call FireDue() next; InfiniteFuture() if nothing is armed. Never later than the first
  // deadline. A far one is approached in a few steps, each of which fires nothing: at most one for
  // each level of the wheel.
  MonotonicTime NextDeadline() LOOP_ONLY;

 private:
  using Entries = IntrusiveList<TimerEntry, TimerEntry>;

  // Level 0 has a slot for each tick of the 64 around position_, level 1 one for each 64 ticks of
  // the 4,096 around it, and so on: an entry lies at the level of the highest base-64 digit in
  // which its tick differs from position_, in the slot of its own digit there. So the slots of a
  // level are never reused before position_ has passed them, and every level holds only what comes
  // before all that the next one holds.
  static constexpr int kSlotBits = 6;
  static constexpr int kSlots = 1 << kSlotBits;
  static constexpr int kLevels = 8;

  static constexpr uint64_t kNever = UINT64_MAX;

  struct Slot {
    int level = 0;
    int index = 0;
    uint64_t first_tick = kNever;
  };

  Entries& EntriesOf(const Slot& slot) { return slots_[slot.level * kSlots + slot.index]; }
  void Place(TimerEntry& entry) LOOP_ONLY;
  const Slot& FirstOccupiedSlot() LOOP_ONLY;
  Slot FindFirstOccupiedSlot() LOOP_ONLY;
  uint64_t FirstTickOf(int level, int index) const LOOP_ONLY;
  void TakeDue(Entries& due) LOOP_ONLY;
  void Cascade(Entries& entries) LOOP_ONLY;

  MonotonicTime now_;
  uint64_t now_tick_;  // now_ rounded down.
  // Never after now_tick_. No armed tick lies before it, but for those that FireDue() is firing.
  uint64_t position_;
  bool firing_ = false;
  // A bit for each slot that may hold something. Cancelling does not come by here, so it may be
  // empty all the same; who finds that clears the bit.
  std::array<uint64_t, kLevels> occupied_ = {};
  // No occupied slot comes before this one, which is empty if its last entry was cancelled.
  Slot first_;
  std::array<Entries, kLevels * kSlots> slots_;
};

// Calls a function when its time has come. A member of the object it serves; destroying it cancels
// it, and the function may do that itself.
class Timer final : private TimerEntry {
 public:
  // `wheel` must be there whenever this is armed anew.
  Timer(TimerWheel& wheel, absl::AnyInvocable<void()> on_fire);
  ~Timer();

  // Each of the three replaces what was armed before.
  void Arm(absl::Duration delay) LOOP_ONLY { ArmAt(wheel_.now() + delay); }
  void ArmAt(MonotonicTime deadline) LOOP_ONLY;
  // Fires at now() plus each multiple of `period`, which is a millisecond at least. Once for all
  // those that a stall has missed: a late firing does not put off the later ones. Stays armed while
  // the function runs.
  void ArmEvery(absl::Duration period) LOOP_ONLY;

  using TimerEntry::armed;
  using TimerEntry::Cancel;
  using TimerEntry::deadline;

 private:
  void OnTimer() LOOP_ONLY override;
  void ArmNextPeriod() LOOP_ONLY;

  TimerWheel& wheel_;
  bool* destroyed_ = nullptr;    // While on_fire_ runs: where to tell it that this is gone.
  int64_t period_ns_ = 0;        // 0: fires once.
  MonotonicTime periodic_next_;  // Not rounded, lest the rounding add up.
  absl::AnyInvocable<void()> on_fire_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_TIMER_WHEEL_H_
