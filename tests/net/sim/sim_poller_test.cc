// SPDX-License-Identifier: Apache-2.0
//
// The stories of tests/contract/poller_contract_test.cc, as far as a simulated poller promises the
// same; it reports fewer at a time, and waits for nothing.
#include "net/sim/sim_poller.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "base/slot_map.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/poller.h"
#include "net/sim/sim_clock.h"
#include "net/sim/sim_network.h"

namespace millrace {
namespace {

class SimPollerTest : public ::testing::Test {
 protected:
  SimPollerTest() { SimNetwork::Install(&network_); }
  ~SimPollerTest() override { SimNetwork::Install(nullptr); }

  // Is writable, and readable if it has a count; hung up if it is a socket.
  static UniqueFd MakeEvent(unsigned int count) { return UniqueFd(eventfd(count, 0)); }
  static UniqueFd MakeHungUp() { return UniqueFd(socket(AF_INET, SOCK_STREAM, 0)); }

  std::vector<ReadyEvent> Wait(size_t room = 128) {
    std::vector<ReadyEvent> events(room);
    events.resize(poller_.Wait(clock_, MonotonicTime(), absl::MakeSpan(events)).value());
    return events;
  }
  // Of the one that is ready.
  Io Ready() {
    const std::vector<ReadyEvent> events = Wait();
    EXPECT_LE(events.size(), 1u);
    return events.empty() ? Io::kNone : events[0].ready;
  }

  const Token kOne = {.slot = 1, .generation = 1};
  const Token kTwo = {.slot = 2, .generation = 1};

  SimClock clock_;
  Random random_{7};
  SimNetwork network_{clock_, random_};
  SimPoller poller_{network_};
};

TEST_F(SimPollerTest, TellsWhatWasAskedForAgainAndAgain) {
  UniqueFd fd = MakeEvent(1);
  ASSERT_TRUE(poller_.Add(fd.get(), Io::kRead, kOne).ok());
  EXPECT_EQ(Ready(), Io::kRead);
  EXPECT_EQ(Ready(), Io::kRead);
  ASSERT_TRUE(poller_.Modify(fd.get(), Io::kWrite, kTwo).ok());
  const std::vector<ReadyEvent> events = Wait();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].ready, Io::kWrite);
  EXPECT_EQ(events[0].token, kTwo);
  ASSERT_TRUE(poller_.Modify(fd.get(), Io::kReadWrite, kTwo).ok());
  EXPECT_EQ(Ready(), Io::kReadWrite);
  poller_.Remove(fd.get());
  EXPECT_EQ(Ready(), Io::kNone);
}

TEST_F(SimPollerTest, WhatIsNotReadyIsNotTold) {
  UniqueFd fd = MakeEvent(0);
  ASSERT_TRUE(poller_.Add(fd.get(), Io::kRead, kOne).ok());
  EXPECT_EQ(Ready(), Io::kNone);
  const uint64_t one = 1;
  ASSERT_EQ(write(fd.get(), &one, sizeof(one)), 8);
  EXPECT_EQ(Ready(), Io::kRead);
  poller_.Forget(fd.get());
}

TEST_F(SimPollerTest, AHangUpIsToldWhateverWasAskedFor) {
  UniqueFd fd = MakeHungUp();
  ASSERT_TRUE(poller_.Add(fd.get(), Io::kRead, kOne).ok());
  EXPECT_EQ(Ready(), Io::kReadWrite);
  ASSERT_TRUE(poller_.Modify(fd.get(), Io::kWrite, kOne).ok());
  EXPECT_EQ(Ready(), Io::kReadWrite);
  poller_.Forget(fd.get());
}

TEST_F(SimPollerTest, WrongCallsChangeNothing) {
  UniqueFd fd = MakeEvent(1);
  EXPECT_TRUE(absl::IsNotFound(poller_.Modify(fd.get(), Io::kRead, kOne)));
  ASSERT_TRUE(poller_.Add(fd.get(), Io::kRead, kOne).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(poller_.Add(fd.get(), Io::kWrite, kTwo)));
  EXPECT_FALSE(poller_.Add(12345, Io::kRead, kTwo).ok()) << "a real one cannot be watched";
  EXPECT_EQ(Ready(), Io::kRead);
  poller_.Forget(fd.get());
}

TEST_F(SimPollerTest, ThereMayBeNoRoomForOneMore) {
  UniqueFd fd = MakeEvent(1);
  network_.set_faults({.no_memory = 1});
  EXPECT_FALSE(poller_.Add(fd.get(), Io::kRead, kOne).ok());
  network_.set_faults({});
  EXPECT_EQ(Ready(), Io::kNone);
  EXPECT_TRUE(poller_.Add(fd.get(), Io::kRead, kOne).ok());
  poller_.Forget(fd.get());
}

TEST_F(SimPollerTest, ANumberUsedAgainReportsItsNewOwnerOnly) {
  UniqueFd fd = MakeEvent(1);
  const int number = fd.get();
  ASSERT_TRUE(poller_.Add(number, Io::kRead, kOne).ok());
  poller_.Forget(number);
  fd.Reset();
  fd = MakeEvent(1);
  ASSERT_EQ(fd.get(), number);
  EXPECT_EQ(Ready(), Io::kNone);
  ASSERT_TRUE(poller_.Add(number, Io::kRead, kTwo).ok());
  const std::vector<ReadyEvent> events = Wait();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, kTwo);
  poller_.Forget(number);
}

TEST_F(SimPollerTest, NobodyIsLeftOutForLongNorAlwaysFirst) {
  constexpr uint32_t kCount = 100;
  constexpr size_t kRoom = 8;
  std::vector<UniqueFd> fds;
  for (uint32_t i = 0; i < kCount; ++i) {
    fds.push_back(MakeEvent(1));
    ASSERT_TRUE(poller_.Add(fds[i].get(), Io::kRead, {.slot = i, .generation = 1}).ok());
  }
  std::set<uint32_t> reported, first;
  std::set<size_t> sizes;
  for (int i = 0; i < 300; ++i) {
    const std::vector<ReadyEvent> events = Wait(kRoom);
    ASSERT_FALSE(events.empty()) << "somebody is ready";
    sizes.insert(events.size());
    first.insert(events[0].token.slot);
    for (const ReadyEvent& event : events) reported.insert(event.token.slot);
  }
  EXPECT_EQ(reported.size(), kCount);
  EXPECT_GT(first.size(), kCount / 2);
  EXPECT_EQ(sizes.size(), kRoom) << "now and then fewer than there is room for";
  for (const UniqueFd& fd : fds) poller_.Forget(fd.get());
}

TEST_F(SimPollerTest, SaysUntilWhenItsLoopWouldSleep) {
  std::vector<ReadyEvent> room(1);
  const MonotonicTime until = clock_.Now() + absl::Seconds(5);
  EXPECT_EQ(poller_.Wait(clock_, until, absl::MakeSpan(room)).value(), 0);
  EXPECT_EQ(poller_.sleeps_until(), until);
  EXPECT_LT(clock_.Now(), until) << "it does not sleep itself";
}

TEST_F(SimPollerTest, ClosingWhatIsWatchedIsABug) {
  UniqueFd fd = MakeEvent(1);
  ASSERT_TRUE(poller_.Add(fd.get(), Io::kRead, kOne).ok());
  fd.Reset();
  EXPECT_DEATH(Wait(), "was closed while it was watched");
}

}  // namespace
}  // namespace millrace
