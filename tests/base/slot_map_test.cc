// SPDX-License-Identifier: Apache-2.0
#include "base/slot_map.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(SlotMapTest, FindsWhatWasInserted) {
  SlotMap<std::string> map;
  const Token one = map.Insert("one");
  const Token two = map.Insert("two");
  EXPECT_EQ(map.size(), 2u);
  EXPECT_NE(one, two);
  EXPECT_EQ(*map.Find(one), "one");
  EXPECT_EQ(*map.Find(two), "two");
}

TEST(SlotMapTest, DefaultTokenNamesNothing) {
  SlotMap<int> map;
  EXPECT_EQ(map.Find(Token()), nullptr);
  const Token token = map.Insert(1);
  EXPECT_EQ(map.Find(Token()), nullptr);
  EXPECT_FALSE(map.Erase(Token()));
  EXPECT_NE(map.Find(token), nullptr);
}

TEST(SlotMapTest, TokenOfASlotThatNeverWasNamesNothing) {
  SlotMap<int> map;
  map.Insert(1);
  EXPECT_EQ(map.Find({.slot = 1'000'000, .generation = 1}), nullptr);
  EXPECT_EQ(map.Find({.slot = UINT32_MAX, .generation = UINT32_MAX}), nullptr);
}

TEST(SlotMapTest, ErasedIsGoneOnce) {
  SlotMap<int> map;
  const Token token = map.Insert(1);
  EXPECT_TRUE(map.Erase(token));
  EXPECT_EQ(map.Find(token), nullptr);
  EXPECT_EQ(map.size(), 0u);
  EXPECT_FALSE(map.Erase(token));
  EXPECT_EQ(map.size(), 0u);
}

TEST(SlotMapTest, StaleTokenDoesNotFindTheNewOwnerOfItsSlot) {
  SlotMap<std::string> map;
  const Token old = map.Insert("old");
  map.Erase(old);
  const Token young = map.Insert("young");
  ASSERT_EQ(young.slot, old.slot);
  EXPECT_NE(young.generation, old.generation);
  EXPECT_EQ(map.Find(old), nullptr);
  EXPECT_FALSE(map.Erase(old));
  EXPECT_EQ(*map.Find(young), "young");
}

TEST(SlotMapTest, SlotWhoseGenerationsAreUsedUpIsRetired) {
  SlotMap<int, 3> map;
  std::vector<Token> old;
  for (int i = 0; i < 3; ++i) {
    old.push_back(map.Insert(i));
    ASSERT_EQ(old.back().slot, old.front().slot);
    map.Erase(old.back());
  }
  const Token next = map.Insert(3);
  EXPECT_NE(next.slot, old.front().slot);
  for (Token token : old) EXPECT_EQ(map.Find(token), nullptr);
  EXPECT_EQ(*map.Find(next), 3);
}

TEST(SlotMapTest, RetiredSlotsAreReplacedByNewPages) {
  SlotMap<int, 1> map;  // Each slot serves once.
  absl::flat_hash_set<Token> tokens;
  for (int i = 0; i < 1000; ++i) {
    const Token token = map.Insert(i);
    EXPECT_TRUE(tokens.insert(token).second);
    EXPECT_EQ(*map.Find(token), i);
    EXPECT_TRUE(map.Erase(token));
  }
}

TEST(SlotMapTest, ValuesStayWhereTheyAreWhileTheMapGrows) {
  SlotMap<int> map;
  const Token first = map.Insert(-1);
  const int* const address = map.Find(first);
  std::vector<Token> tokens;
  for (int i = 0; i < 1000; ++i) tokens.push_back(map.Insert(i));
  EXPECT_EQ(map.Find(first), address);
  EXPECT_EQ(map.size(), 1001u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(*map.Find(tokens[i]), i);
}

TEST(SlotMapTest, SlotFreedLastIsUsedNext) {
  SlotMap<int> map;
  const Token a = map.Insert(1);
  const Token b = map.Insert(2);
  map.Erase(a);
  map.Erase(b);
  EXPECT_EQ(map.Insert(3).slot, b.slot);
  EXPECT_EQ(map.Insert(4).slot, a.slot);
}

TEST(SlotMapTest, HoldsWhatCanOnlyBeMovedAndDestroysIt) {
  auto alive = std::make_shared<int>(0);
  SlotMap<std::unique_ptr<std::shared_ptr<int>>> map;
  const Token erased = map.Insert(std::make_unique<std::shared_ptr<int>>(alive));
  EXPECT_EQ(alive.use_count(), 2);
  map.Erase(erased);
  EXPECT_EQ(alive.use_count(), 1);
  {
    SlotMap<std::shared_ptr<int>> dying;
    dying.Insert(alive);
    EXPECT_EQ(alive.use_count(), 2);
  }
  EXPECT_EQ(alive.use_count(), 1);
}

// Calls out when it dies.
class Guard {
 public:
  Guard() = default;
  explicit Guard(std::function<void()> last_words) : last_words_(std::move(last_words)) {}
  Guard(Guard&& other) noexcept : last_words_(std::exchange(other.last_words_, nullptr)) {}
  Guard& operator=(Guard&& other) noexcept {
    last_words_ = std::exchange(other.last_words_, nullptr);
    return *this;
  }
  ~Guard() {
    if (last_words_) last_words_();
  }

 private:
  std::function<void()> last_words_;
};

TEST(SlotMapTest, DyingValueMayUseTheMap) {
  SlotMap<Guard> map;
  Token dying, born;
  dying = map.Insert(Guard([&] {
    EXPECT_EQ(map.Find(dying), nullptr);
    EXPECT_FALSE(map.Erase(dying));
    EXPECT_EQ(map.size(), 0u);
    born = map.Insert(Guard(nullptr));
    EXPECT_NE(born.slot, dying.slot);
  }));
  EXPECT_TRUE(map.Erase(dying));
  EXPECT_NE(map.Find(born), nullptr);
  EXPECT_EQ(map.size(), 1u);
}

}  // namespace
}  // namespace millrace
