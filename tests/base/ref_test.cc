// SPDX-License-Identifier: Apache-2.0
#include "base/ref.h"

#include <thread>
#include <utility>
#include <vector>

#include "absl/hash/hash_testing.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

class Thing : public RefCounted<Thing> {
 public:
  explicit Thing(int& alive) : alive_(alive) { ++alive_; }
  int value = 0;

 private:
  friend class RefCounted<Thing>;
  ~Thing() { --alive_; }
  int& alive_;
};

class RefTest : public ::testing::Test {
 protected:
  ~RefTest() override { EXPECT_EQ(alive_, 0); }
  Ref<Thing> Make() { return Ref<Thing>(new Thing(alive_)); }
  int alive_ = 0;
};

TEST_F(RefTest, TheLastOwnerDeletes) {
  Ref<Thing> first = Make();
  Ref<Thing> second = first;
  first = Ref<Thing>();
  EXPECT_EQ(alive_, 1);
  second->value = 7;
  EXPECT_EQ((*second).value, 7);
  second = Ref<Thing>();
  EXPECT_EQ(alive_, 0);
}

TEST_F(RefTest, MovingLeavesNothingBehind) {
  Ref<Thing> first = Make();
  Thing* const thing = first.get();
  Ref<Thing> second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that is what is tested.
  EXPECT_EQ(second.get(), thing);
  first = std::move(second);
  EXPECT_EQ(first.get(), thing);
}

TEST_F(RefTest, AssigningDropsWhatWasThere) {
  Ref<Thing> ref = Make();
  ref = Make();
  EXPECT_EQ(alive_, 1);
  const Ref<Thing>& same = ref;
  ref = same;
  EXPECT_EQ(alive_, 1);
}

TEST_F(RefTest, EqualIfOfTheSameObject) {
  const Ref<Thing> a = Make();
  const Ref<Thing> b = Make();
  EXPECT_TRUE(absl::VerifyTypeImplementsAbslHashCorrectly({Ref<Thing>(), a, Ref<Thing>(a), b}));
  EXPECT_EQ(a, Ref<Thing>(a));
  EXPECT_NE(a, b);
}

TEST_F(RefTest, ThreadsCopyAndDropAtOnce) {
  Ref<Thing> ref = Make();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([ref] {
      for (int j = 0; j < 10'000; ++j) Ref<Thing> copy = ref;
    });
  }
  ref = Ref<Thing>();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(alive_, 0);
}

}  // namespace
}  // namespace millrace
