// SPDX-License-Identifier: Apache-2.0
#include "net/peer_counts.h"

#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/address_prefix.h"

namespace millrace {
namespace {

AddressPrefix Peer(int number) {
  return AddressPrefix::Parse(absl::StrCat("10.0.", number / 256, ".", number % 256)).value();
}

TEST(PeerCountsTest, HoldsEachPeerToItsBound) {
  PeerCounts counts;
  EXPECT_TRUE(counts.Enter(Peer(1), 2));
  EXPECT_TRUE(counts.Enter(Peer(1), 2));
  EXPECT_FALSE(counts.Enter(Peer(1), 2));
  EXPECT_TRUE(counts.Enter(Peer(2), 2));
  EXPECT_EQ(counts.count(Peer(1)), 2);
  counts.Leave(Peer(1));
  EXPECT_TRUE(counts.Enter(Peer(1), 2));
}

TEST(PeerCountsTest, ABoundOfZeroLeavesNoEntry) {
  PeerCounts counts;
  EXPECT_FALSE(counts.Enter(Peer(1), 0));
  EXPECT_EQ(counts.size(), 0u);
}

TEST(PeerCountsTest, WhoHasNoneHasNoEntry) {
  PeerCounts counts;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(counts.Enter(Peer(i), 1));
  EXPECT_EQ(counts.size(), 1000u);
  for (int i = 0; i < 1000; ++i) counts.Leave(Peer(i));
  EXPECT_EQ(counts.size(), 0u);
  EXPECT_EQ(counts.count(Peer(0)), 0);
}

TEST(PeerCountsTest, ThreadsCountTogether) {
  PeerCounts counts;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        if (!counts.Enter(Peer(i % 10), 3)) continue;
        EXPECT_LE(counts.count(Peer(i % 10)), 3);
        counts.Leave(Peer(i % 10));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counts.size(), 0u);
}

TEST(PeerCountsDeathTest, LeavingWithoutHavingEnteredIsABug) {
  PeerCounts counts;
  EXPECT_DEATH(counts.Leave(Peer(1)), "10.0.0.1/32 left");
}

}  // namespace
}  // namespace millrace
