// SPDX-License-Identifier: Apache-2.0
//
// Bug list, 5: the clock on the wall is stepped, by hours and back, and nobody notices: timers
// tick, timeouts keep their time, connections live.
#include "tests/stress/wall_clock.h"

#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/timer_wheel.h"
#include "tests/stress/stress.h"
#include "tests/support/noise.h"
#include "tests/support/peer.h"

namespace millrace {
namespace {

TEST(WallClockTest, IsReallyMovedHere) {
  const absl::Time before = absl::Now();
  const MonotonicTime instant = Clock::System().Now();
  MoveWallClock(absl::Hours(48));
  EXPECT_GT(absl::Now() - before, absl::Hours(47));
  EXPECT_LT(Clock::System().Now() - instant, absl::Hours(1));
  MoveWallClock(-absl::Hours(96));
  EXPECT_LT(absl::Now() - before, -absl::Hours(47));
  MoveWallClock(absl::Hours(48));
}

TEST(WallClockTest, TimersTickOnWhileItIsStepped) {
  auto loop = EventLoop::Create().value();
  Random random(3);
  const int ticks_max = Scaled(500);
  int ticks = 0, early = 0;
  Timer far(loop->timers(), [&] { ++early; });
  far.Arm(absl::Minutes(10));
  Timer tick(loop->timers(), [&] {
    const absl::Duration hours = absl::Hours(random.Below(100));
    MoveWallClock(ticks % 2 == 0 ? hours : -hours);
    if (++ticks == ticks_max) loop->Stop();
  });
  tick.ArmEvery(absl::Milliseconds(1));
  const MonotonicTime begin = Clock::System().Now();
  loop->Run();
  EXPECT_EQ(ticks, ticks_max);
  EXPECT_EQ(early, 0);
  EXPECT_GE(Clock::System().Now() - begin, absl::Milliseconds(1) * (ticks_max - 1));
}

// Set back by an hour, and then never again: the case that stops timers of others for an hour.
TEST(WallClockTest, SetBackByAnHourTheNextTickComesInTime) {
  auto loop = EventLoop::Create().value();
  int ticks = 0;
  Timer tick(loop->timers(), [&] {
    if (++ticks == 1) MoveWallClock(-absl::Hours(1));
    if (ticks == 20) loop->Stop();
  });
  tick.ArmEvery(absl::Milliseconds(2));
  loop->Run();
  EXPECT_EQ(ticks, 20);
}

TEST(WallClockTest, ConnectionsAreNeitherIdleNorStuck) {
  StressServer server;
  Peer peer = Peer::ConnectedTo(server.address());
  for (int i = 0; i < 50; ++i) {
    MoveWallClock(i % 2 == 0 ? absl::Hours(24) : -absl::Hours(25));
    const std::string text = Noise(static_cast<uint64_t>(i), 10'000);
    peer.Send(text);
    EXPECT_TRUE(peer.Receive(text.size()) == text);
  }
  EXPECT_EQ(server.stats().closed, 0);
}

}  // namespace
}  // namespace millrace
