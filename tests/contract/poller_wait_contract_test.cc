// SPDX-License-Identifier: Apache-2.0
//
// How long every Poller waits. What it says of descriptors is in poller_contract_test.cc.

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/time.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/poller.h"
#include "net/poller_named.h"
#include "tests/support/fake_clock.h"

namespace millrace {
namespace {

// It watches one descriptor, which is ready once it has been rung.
class PollerWaitContractTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<Poller>> poller = PollerNamed(GetParam()).value()();
    ASSERT_TRUE(poller.ok()) << poller.status();
    poller_ = *std::move(poller);
    ASSERT_TRUE(poller_->Add(bell_.get(), Io::kRead, {.slot = 1, .generation = 1}).ok());
  }

  void Ring() { ASSERT_EQ(eventfd_write(bell_.get(), 1), 0); }
  void Silence() {
    eventfd_t rung;
    ASSERT_EQ(eventfd_read(bell_.get(), &rung), 0);
  }

  // How many events one Wait() brings.
  int WaitOnce(const Clock& clock, MonotonicTime until) {
    ReadyEvent event;
    const absl::StatusOr<int> count = poller_->Wait(clock, until, {&event, 1});
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(0);
  }
  // The same of as many as it takes until there is one, or the time has come: a loop, too, looks
  // at its clock and waits again.
  int WaitFor(absl::Duration max_wait) {
    const MonotonicTime until = Now() + max_wait;
    int count = 0;
    for (int waits = 0; count == 0 && Now() < until && !HasFailure(); ++waits) {
      EXPECT_LT(waits, kWaitsMax) << "does not sleep";
      count = WaitOnce(Clock::System(), until);
    }
    return count;
  }
  static MonotonicTime Now() { return Clock::System().Now(); }

  // Far fewer than a poller makes that does not sleep at all, in a millisecond.
  static constexpr int kWaitsMax = 20;

  const UniqueFd bell_ = UniqueFd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  std::unique_ptr<Poller> poller_;
};

TEST_P(PollerWaitContractTest, NothingReadyTimesOut) {
  EXPECT_EQ(WaitFor(absl::Milliseconds(1)), 0);
  EXPECT_EQ(WaitFor(absl::Microseconds(1)), 0) << "however short";
}

TEST_P(PollerWaitContractTest, WatchingNothingTimesOutToo) {
  poller_->Remove(bell_.get());
  EXPECT_EQ(WaitFor(absl::Milliseconds(1)), 0);
}

TEST_P(PollerWaitContractTest, TimeThatIsPastIsNotWaitedFor) {
  for (MonotonicTime past : {MonotonicTime(), Now() - absl::Seconds(1), Now()}) {
    EXPECT_EQ(WaitOnce(Clock::System(), past), 0);
  }
}

TEST_P(PollerWaitContractTest, WhatIsReadyIsToldThoughTimeIsPast) {
  Ring();
  EXPECT_EQ(WaitOnce(Clock::System(), MonotonicTime()), 1);
  const MonotonicTime past = Now();
  int count = 0;
  for (int waits = 0; count == 0 && waits < kWaitsMax; ++waits) {
    count = WaitOnce(Clock::System(), past);
  }
  EXPECT_EQ(count, 1);
}

TEST_P(PollerWaitContractTest, WhatIsReadyIsNotKeptWaiting) {
  Ring();
  EXPECT_EQ(WaitFor(absl::Hours(1)), 1);
  EXPECT_EQ(WaitFor(absl::InfiniteDuration()), 1);
}

// What is left of one wait, such as a timer of the system, is not the next one's.
TEST_P(PollerWaitContractTest, ANearerTimeComesFirst) {
  Ring();
  EXPECT_EQ(WaitFor(absl::Hours(1)), 1);
  EXPECT_EQ(WaitFor(absl::InfiniteDuration()), 1);
  Silence();
  EXPECT_EQ(WaitFor(absl::Milliseconds(1)), 0);
}

TEST_P(PollerWaitContractTest, ALaterTimeIsWaitedForAfterANearerOne) {
  Ring();
  EXPECT_EQ(WaitFor(absl::Microseconds(500)), 1);
  Silence();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(WaitFor(absl::Milliseconds(1)), 0);
}

TEST_P(PollerWaitContractTest, TheClockIsTheCallers) {
  FakeClock clock;
  EXPECT_EQ(WaitOnce(clock, clock.Now()), 0);
  EXPECT_EQ(WaitOnce(clock, clock.Now() - absl::Nanoseconds(1)), 0);
  EXPECT_EQ(WaitOnce(clock, clock.Now() + absl::Milliseconds(1)), 0) << "though it stands still";
  clock.Advance(absl::Hours(1));
  EXPECT_EQ(WaitOnce(clock, clock.Now()), 0);
  Ring();
  EXPECT_EQ(WaitOnce(clock, clock.Now() + absl::Hours(1)), 1);
}

class IntervalTimer {
 public:
  IntervalTimer() {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;  // Which must not have Wait() go on waiting.
    sigaction(SIGALRM, &action, &before_);
    // Again and again: the first may come before the wait does.
    const itimerval every_millisecond = {{0, 1'000}, {0, 1'000}};
    setitimer(ITIMER_REAL, &every_millisecond, nullptr);
  }
  ~IntervalTimer() {
    const itimerval never = {};
    setitimer(ITIMER_REAL, &never, nullptr);
    sigaction(SIGALRM, &before_, nullptr);
  }

 private:
  struct sigaction before_;
};

TEST_P(PollerWaitContractTest, SignalEndsTheWaitWithoutAnError) {
  const IntervalTimer timer;
  EXPECT_EQ(WaitOnce(Clock::System(), MonotonicTime::InfiniteFuture()), 0);
  EXPECT_EQ(WaitOnce(Clock::System(), Now() + absl::Hours(1)), 0);
}

INSTANTIATE_TEST_SUITE_P(Pollers, PollerWaitContractTest,
                         ::testing::Values("epoll", "poll", "select"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace millrace
