// SPDX-License-Identifier: Apache-2.0
#include "net/places.h"

#include <atomic>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

void Take(Places& places, int count) {
  for (int i = 0; i < count; ++i) EXPECT_TRUE(places.Take());
}

TEST(PlacesTest, ThereAreSoManyAndNoMore) {
  Places places(3);
  Take(places, 3);
  EXPECT_TRUE(places.full());
  EXPECT_FALSE(places.Take());
  EXPECT_EQ(places.taken(), 3);
  places.GiveBack();
  EXPECT_FALSE(places.full());
  EXPECT_TRUE(places.Take());
}

TEST(PlacesTest, WhoWaitsIsToldOnceAndNotForTheFirstPlace) {
  Places places(64);
  EXPECT_EQ(places.resume_at(), 62);
  Take(places, 64);
  EXPECT_TRUE(places.WaitForRoom());
  EXPECT_FALSE(places.GiveBack());
  EXPECT_TRUE(places.GiveBack());
  EXPECT_FALSE(places.GiveBack());
}

TEST(PlacesTest, FewPlacesAreWaitedForOneByOne) {
  for (const int max : {1, 2, 31, 63}) {
    Places places(max);
    Take(places, max);
    EXPECT_TRUE(places.WaitForRoom());
    EXPECT_TRUE(places.GiveBack()) << max;
  }
}

TEST(PlacesTest, WhereNobodyWaitsNobodyIsTold) {
  Places places(2);
  Take(places, 2);
  EXPECT_FALSE(places.GiveBack());
  EXPECT_FALSE(places.GiveBack());
}

TEST(PlacesTest, WhoComesTooLateToWaitHearsThatThereIsRoom) {
  Places places(1);
  Take(places, 1);
  ASSERT_TRUE(places.full());
  EXPECT_FALSE(places.GiveBack());
  EXPECT_FALSE(places.WaitForRoom());
}

// Takers that wait whenever it is full, and a giver: nobody may wait for ever, which would show as
// a test that does not end.
TEST(PlacesTest, AmongThreadsNoWordIsLost) {
  constexpr int kTakers = 3, kRounds = 4'000;
  Places places(2);
  absl::Mutex mutex;
  int told = 0;  // Guarded by mutex.
  std::atomic<int> to_give_back{0};
  std::atomic<int> running{kTakers};
  const auto take = [&] {
    for (int i = 0; i < kRounds; ++i) {
      while (!places.Take()) {
        int before;
        {
          absl::MutexLock lock(&mutex);
          before = told;
        }
        if (!places.full() || !places.WaitForRoom()) continue;
        absl::MutexLock lock(&mutex);
        const auto changed = [&] { return told != before; };
        mutex.Await(absl::Condition(&changed));
      }
      ++to_give_back;
    }
    --running;
  };
  std::vector<std::thread> takers;
  for (int i = 0; i < kTakers; ++i) takers.emplace_back(take);
  while (running > 0 || to_give_back > 0) {
    if (to_give_back == 0) {
      std::this_thread::yield();
      continue;
    }
    --to_give_back;
    EXPECT_LE(places.taken(), 2);
    if (!places.GiveBack()) continue;
    absl::MutexLock lock(&mutex);
    ++told;
  }
  for (std::thread& taker : takers) taker.join();
  EXPECT_EQ(places.taken(), 0);
}

}  // namespace
}  // namespace millrace
