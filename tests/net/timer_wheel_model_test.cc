// SPDX-License-Identifier: Apache-2.0
//
// TimerWheel and std::multimap, given the same random commands, have to agree.
#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "gtest/gtest.h"
#include "net/timer_wheel.h"

namespace millrace {
namespace {

using absl::Milliseconds;

MonotonicTime At(absl::Duration since_zero) { return MonotonicTime() + since_zero; }

// Entries act at random from inside their callbacks as well.
class TimerWheelModelTest : public testing::TestWithParam<int> {
 protected:
  TimerWheelModelTest() {
    for (int id = 0; id < 200; ++id) entries_.push_back(std::make_unique<Entry>(*this, id));
  }

  // A sleep of some length; short ones are commonest. Never the one that NextDeadline() asks for.
  void PassTime() {
    wheel_.SetNow(wheel_.now() + absl::Nanoseconds(RandomNanoseconds()));
    CheckFireDue();
  }

  // Sleeps as long as the wheel allows.
  void SleepUntilNextDeadline() {
    const MonotonicTime next = wheel_.NextDeadline();
    if (armed_.empty()) {
      ASSERT_EQ(next, MonotonicTime::InfiniteFuture());
      return;
    }
    ASSERT_LE(next, At(Milliseconds(armed_.begin()->first)));
    wheel_.SetNow(next);
    CheckFireDue();
    // Either that fired or it brought the next deadline nearer, but it never asks to spin.
    if (armed_.empty() || armed_.begin()->first > NowTick()) {
      ASSERT_GT(wheel_.NextDeadline(), wheel_.now());
    }
  }

  void ActAtRandom() {
    const int id = Random(entries_.size());
    switch (Random(8)) {
      case 0:
        return Cancel(id);
      case 1:
        return Recreate(id);
      case 2:
        return Arm(id, wheel_.now() - absl::Nanoseconds(Random(3'000'000)));
      case 3:  // Put off, by a little or by much.
        if (!entries_[id]->armed()) return;
        return Arm(id, entries_[id]->deadline() + absl::Nanoseconds(RandomNanoseconds()));
      default:
        return Arm(id, wheel_.now() + absl::Nanoseconds(RandomNanoseconds()));
    }
  }

  int64_t Random(int64_t below) {
    return std::uniform_int_distribution<int64_t>(0, below - 1)(rng_);
  }

 private:
  class Entry final : public TimerEntry {
   public:
    Entry(TimerWheelModelTest& test, int id) : test_(test), id_(id) {}

   private:
    void OnTimer() override { test_.OnFired(id_); }

    TimerWheelModelTest& test_;
    int id_;
  };
  using Model = std::multimap<int64_t, int>;  // From tick to id.

  int64_t NowTick() const { return wheel_.now().nanoseconds() / 1'000'000; }
  // Up to half a day; each order of magnitude as often as the next.
  int64_t RandomNanoseconds() { return Random(int64_t{1} << Random(46)) + 1; }

  static void EraseFrom(Model& model, int id) {
    std::erase_if(model, [id](const auto& item) { return item.second == id; });
  }

  void Cancel(int id) {
    entries_[id]->Cancel();
    EraseFrom(armed_, id);
    EraseFrom(due_, id);
    ASSERT_FALSE(entries_[id]->armed());
  }

  void Recreate(int id) {
    Cancel(id);
    entries_[id] = std::make_unique<Entry>(*this, id);
  }

  void Arm(int id, MonotonicTime deadline) {
    EraseFrom(armed_, id);
    EraseFrom(due_, id);
    wheel_.ArmAt(*entries_[id], deadline);
    const int64_t rounded_up = (deadline.nanoseconds() + 999'999) / 1'000'000;
    armed_.emplace(deadline <= wheel_.now() ? NowTick() : rounded_up, id);
    ASSERT_TRUE(entries_[id]->armed());
  }

  void CheckFireDue() {
    const auto end = armed_.upper_bound(NowTick());
    due_ = Model(armed_.begin(), end);
    armed_.erase(armed_.begin(), end);
    wheel_.FireDue();
    EXPECT_TRUE(due_.empty()) << due_.size() << " did not fire";
  }

  void OnFired(int id) {
    const auto item = std::find_if(due_.begin(), due_.end(),
                                   [id](const auto& item) { return item.second == id; });
    ASSERT_NE(item, due_.end()) << id << " was not due";
    EXPECT_EQ(item->first, due_.begin()->first) << id << " fired out of order";
    due_.erase(item);
    ++fired_;
    if (Random(2) == 0) ActAtRandom();
  }

 protected:
  int64_t fired_ = 0;

 private:
  std::mt19937_64 rng_{static_cast<uint64_t>(GetParam())};
  TimerWheel wheel_{At(absl::Nanoseconds(Random(int64_t{1} << 50)))};
  Model armed_;
  Model due_;  // While FireDue() runs: what it has yet to fire.
  std::vector<std::unique_ptr<Entry>> entries_;
};

TEST_P(TimerWheelModelTest, AgreesWithAMultimap) {
  for (int step = 0; step < 20'000 && !HasFailure(); ++step) {
    switch (Random(4)) {
      case 0:
        PassTime();
        break;
      case 1:
        SleepUntilNextDeadline();
        break;
      default:
        ActAtRandom();
    }
  }
  EXPECT_GT(fired_, 1'000);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TimerWheelModelTest, testing::Range(1, 9));

}  // namespace
}  // namespace millrace
