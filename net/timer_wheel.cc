// SPDX-License-Identifier: Apache-2.0
#include "net/timer_wheel.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/log/check.h"

namespace millrace {
namespace {

constexpr uint64_t kTickNanoseconds = 1'000'000;
// The last whole one that MonotonicTime can name, in the year 292 of its clock. Deadlines after it
// count as this.
constexpr uint64_t kTickMax = std::numeric_limits<int64_t>::max() / kTickNanoseconds;

// Both require: not before the clock's zero.
uint64_t TickRoundedDown(MonotonicTime time) {
  return static_cast<uint64_t>(time.nanoseconds()) / kTickNanoseconds;
}
uint64_t TickRoundedUp(MonotonicTime time) {
  const uint64_t nanoseconds = static_cast<uint64_t>(time.nanoseconds());
  return std::min((nanoseconds + kTickNanoseconds - 1) / kTickNanoseconds, kTickMax);
}

// Whether the n-th entry is taken from the back of its list. In a burst each is a cache miss, and
// as only one entry tells where the next one is, from one end one of them is under way at a time.
// From both ends by turns it is two: with a million due within 100 ms, 105 ns each instead of 180.
// Small lists are not worth it and keep their order.
constexpr bool IsFromBack(int n) { return n > 64 && n % 2 != 0; }

MonotonicTime TimeOfTick(uint64_t tick) {
  return MonotonicTime::FromNanoseconds(static_cast<int64_t>(tick * kTickNanoseconds));
}

}  // namespace

static_assert(sizeof(TimerEntry) == 32, "two to a cache line: keep it small");

MonotonicTime TimerEntry::deadline() const {
  DCHECK(armed());
  return TimeOfTick(tick_);
}

TimerWheel::TimerWheel(MonotonicTime now)
    : now_(now), now_tick_(TickRoundedDown(now)), position_(now_tick_) {
  static_assert(kTickMax >> (kLevels * kSlotBits) == 0, "every tick has a place");
  CHECK(now >= MonotonicTime()) << "before the clock's zero";
}

void TimerWheel::ArmAt(TimerEntry& entry, MonotonicTime deadline) {
  if (deadline == MonotonicTime::InfiniteFuture()) return entry.Cancel();
  const uint64_t tick = deadline <= now_ ? now_tick_ : TickRoundedUp(deadline);
  // What is only put off, the commonest case by far, may stay where it is if that is above level 0:
  // there the slot is emptied when its time comes, and each entry placed anew by its tick. So this
  // touches one cache line, not those of four entries. (One that FireDue() has taken out already
  // is not due after position_, and so is none of these.)
  const uint64_t level0_end = position_ | (kSlots - 1);
  if (entry.tick_ > level0_end && entry.tick_ <= tick && entry.armed()) {
    entry.tick_ = tick;
    return;
  }
  entry.Cancel();
  entry.tick_ = tick;
  Place(entry);
}

// Requires: `entry` is in no list, and its tick not before position_.
inline void TimerWheel::Place(TimerEntry& entry) {
  const uint64_t difference = entry.tick_ ^ position_;
  const int level = (std::bit_width(difference | (kSlots - 1)) - 1) / kSlotBits;
  const int shift = level * kSlotBits;
  const Slot slot = {level, static_cast<int>((entry.tick_ >> shift) & (kSlots - 1)),
                     entry.tick_ >> shift << shift};
  EntriesOf(slot).PushBack(entry);
  occupied_[level] |= uint64_t{1} << slot.index;
  if (slot.first_tick < first_.first_tick) first_ = slot;
}

void TimerWheel::SetNow(MonotonicTime now) {
  if (now <= now_) return;
  now_ = now;
  now_tick_ = TickRoundedDown(now);
}

int TimerWheel::FireDue() {
  CHECK(!firing_) << "from inside OnTimer()";
  firing_ = true;
  // All are taken out before the first one fires. So what a callback arms is not met again here,
  // and what it cancels or destroys leaves this list by itself.
  Entries due;
  TakeDue(due);
  int fired = 0;
  for (uint64_t tick = 0; !due.empty(); ++fired) {
    const bool from_back = IsFromBack(fired) && due.back().tick_ == tick;
    TimerEntry& entry = from_back ? due.PopBack() : due.PopFront();
    tick = entry.tick_;
    entry.OnTimer();
  }
  firing_ = false;
  return fired;
}

// Goes from occupied slot to occupied slot, so that a long sleep costs no more than a short one.
void TimerWheel::TakeDue(Entries& due) {
  while (FirstOccupiedSlot().first_tick <= now_tick_) {
    const Slot slot = first_;
    position_ = slot.first_tick;
    occupied_[slot.level] &= ~(uint64_t{1} << slot.index);
    if (slot.level == 0) {
      due.TakeAll(EntriesOf(slot));
    } else {
      Cascade(EntriesOf(slot));
    }
    first_ = FindFirstOccupiedSlot();
  }
  position_ = now_tick_;
}

// Moves each to where it belongs now that position_ has reached their slot: mostly a lower level.
void TimerWheel::Cascade(Entries& entries) {
  for (int moved = 0; !entries.empty(); ++moved) {
    Place(IsFromBack(moved) ? entries.PopBack() : entries.PopFront());
  }
}

MonotonicTime TimerWheel::NextDeadline() {
  const uint64_t tick = FirstOccupiedSlot().first_tick;
  return tick == kNever ? MonotonicTime::InfiniteFuture() : TimeOfTick(tick);
}

// Asked for in each turn, and mostly the same as in the last one.
inline const TimerWheel::Slot& TimerWheel::FirstOccupiedSlot() {
  if (first_.first_tick != kNever && EntriesOf(first_).empty()) first_ = FindFirstOccupiedSlot();
  return first_;
}

TimerWheel::Slot TimerWheel::FindFirstOccupiedSlot() {
  for (int level = 0; level < kLevels; ++level) {
    for (uint64_t& bits = occupied_[level]; bits != 0; bits &= bits - 1) {
      const int index = std::countr_zero(bits);
      if (!slots_[level * kSlots + index].empty()) {
        return {level, index, FirstTickOf(level, index)};
      }
    }
  }
  return {};
}

uint64_t TimerWheel::FirstTickOf(int level, int index) const {
  const int shift = level * kSlotBits;
  const uint64_t above = position_ >> (shift + kSlotBits) << (shift + kSlotBits);
  return above | (static_cast<uint64_t>(index) << shift);
}

Timer::Timer(TimerWheel& wheel, absl::AnyInvocable<void()> on_fire)
    : wheel_(wheel), on_fire_(std::move(on_fire)) {
  CHECK(on_fire_ != nullptr);
}

Timer::~Timer() {
  if (destroyed_ != nullptr) *destroyed_ = true;
}

void Timer::ArmAt(MonotonicTime deadline) {
  period_ns_ = 0;
  wheel_.ArmAt(*this, deadline);
}

void Timer::ArmEvery(absl::Duration period) {
  CHECK_GE(period, absl::Milliseconds(1));
  period_ns_ = absl::ToInt64Nanoseconds(period);
  periodic_next_ = wheel_.now() + period;
  wheel_.ArmAt(*this, periodic_next_);
}

void Timer::ArmNextPeriod() {
  const int64_t late_ns = wheel_.now().nanoseconds() - periodic_next_.nanoseconds();
  const int64_t missed_ns = late_ns - late_ns % period_ns_;
  periodic_next_ = periodic_next_ + absl::Nanoseconds(missed_ns) + absl::Nanoseconds(period_ns_);
  wheel_.ArmAt(*this, periodic_next_);
}

void Timer::OnTimer() {
  if (period_ns_ != 0) ArmNextPeriod();
  // The function may destroy this timer. It runs from here, so that it does not destroy itself and
  // what it has captured.
  absl::AnyInvocable<void()> on_fire = std::move(on_fire_);
  bool destroyed = false;
  destroyed_ = &destroyed;
  on_fire();
  if (destroyed) return;
  destroyed_ = nullptr;
  on_fire_ = std::move(on_fire);
}

}  // namespace millrace
