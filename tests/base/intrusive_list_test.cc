// SPDX-License-Identifier: Apache-2.0
#include "base/intrusive_list.h"

#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "gtest/gtest.h"

namespace millrace {
namespace {

struct ByAge;

// In one list of each kind at a time.
struct Item : ListLink<>, ListLink<ByAge> {
  explicit Item(char name) : name(name) {}
  char name;
};

using List = IntrusiveList<Item>;
using ListByAge = IntrusiveList<Item, ByAge>;

static_assert(!std::is_copy_constructible_v<Item>);
static_assert(!std::is_copy_constructible_v<List>);

bool Linked(const Item& item) { return static_cast<const ListLink<>&>(item).linked(); }
void Unlink(Item& item) { static_cast<ListLink<>&>(item).Unlink(); }

template <typename AnyList>
std::string Names(AnyList& list) {
  std::string names;
  list.ForEach([&names](Item& item) { names += item.name; });
  return names;
}

class IntrusiveListTest : public ::testing::Test {
 protected:
  Item a_{'a'}, b_{'b'}, c_{'c'}, d_{'d'};
  List list_;
};

TEST_F(IntrusiveListTest, IsEmptyAtFirst) {
  EXPECT_TRUE(list_.empty());
  EXPECT_FALSE(Linked(a_));
  EXPECT_EQ(Names(list_), "");
}

TEST_F(IntrusiveListTest, KeepsTheOrderOfPushBack) {
  list_.PushBack(a_);
  list_.PushBack(b_);
  list_.PushBack(c_);
  EXPECT_EQ(Names(list_), "abc");
  EXPECT_EQ(&list_.front(), &a_);
  EXPECT_TRUE(Linked(b_));
}

TEST_F(IntrusiveListTest, PopBackTakesTheLastOut) {
  list_.PushBack(a_);
  list_.PushBack(b_);
  EXPECT_EQ(&list_.back(), &b_);
  EXPECT_EQ(&list_.PopBack(), &b_);
  EXPECT_FALSE(Linked(b_));
  EXPECT_EQ(&list_.PopBack(), &a_);
  EXPECT_TRUE(list_.empty());
}

TEST_F(IntrusiveListTest, PopFrontTakesTheFirstOut) {
  list_.PushBack(a_);
  list_.PushBack(b_);
  EXPECT_EQ(&list_.PopFront(), &a_);
  EXPECT_FALSE(Linked(a_));
  EXPECT_EQ(&list_.PopFront(), &b_);
  EXPECT_TRUE(list_.empty());
}

TEST_F(IntrusiveListTest, UnlinkWorksAnywhereAndTwice) {
  for (Item* item : {&a_, &b_, &c_, &d_}) list_.PushBack(*item);
  Unlink(b_);
  EXPECT_EQ(Names(list_), "acd");
  Unlink(a_);
  EXPECT_EQ(Names(list_), "cd");
  Unlink(d_);
  EXPECT_EQ(Names(list_), "c");
  Unlink(d_);
  EXPECT_EQ(Names(list_), "c");
}

TEST_F(IntrusiveListTest, UnlinkedItemCanBePutInAgain) {
  list_.PushBack(a_);
  list_.PushBack(b_);
  Unlink(a_);
  list_.PushBack(a_);
  EXPECT_EQ(Names(list_), "ba");
}

TEST_F(IntrusiveListTest, DestroyedItemTakesItselfOut) {
  list_.PushBack(a_);
  auto dying = std::make_unique<Item>('x');
  list_.PushBack(*dying);
  list_.PushBack(b_);
  dying.reset();
  EXPECT_EQ(Names(list_), "ab");
}

TEST_F(IntrusiveListTest, DestroyedListLetsItsItemsGo) {
  std::optional<List> dying(std::in_place);
  dying->PushBack(a_);
  dying->PushBack(b_);
  dying.reset();
  EXPECT_FALSE(Linked(a_));
  EXPECT_FALSE(Linked(b_));
  list_.PushBack(b_);
  EXPECT_EQ(Names(list_), "b");
}

TEST_F(IntrusiveListTest, ClearUnlinksAll) {
  list_.PushBack(a_);
  list_.PushBack(b_);
  list_.Clear();
  EXPECT_TRUE(list_.empty());
  EXPECT_FALSE(Linked(a_));
  EXPECT_FALSE(Linked(b_));
}

TEST_F(IntrusiveListTest, TakeAllAppendsInOrder) {
  List other;
  list_.PushBack(a_);
  list_.PushBack(b_);
  other.PushBack(c_);
  other.PushBack(d_);
  list_.TakeAll(other);
  EXPECT_EQ(Names(list_), "abcd");
  EXPECT_TRUE(other.empty());
  EXPECT_EQ(Names(other), "");
}

TEST_F(IntrusiveListTest, TakeAllOfAndIntoTheEmptyList) {
  List other;
  list_.PushBack(a_);
  list_.TakeAll(other);
  EXPECT_EQ(Names(list_), "a");
  other.TakeAll(list_);
  EXPECT_EQ(Names(other), "a");
  EXPECT_TRUE(list_.empty());
  other.PushBack(b_);
  EXPECT_EQ(Names(other), "ab");
}

TEST_F(IntrusiveListTest, VisitorMayUnlinkOrDestroyWhatItVisits) {
  auto dying = std::make_unique<Item>('x');
  list_.PushBack(a_);
  list_.PushBack(*dying);
  list_.PushBack(b_);
  std::string visited;
  list_.ForEach([&](Item& item) {
    visited += item.name;
    if (item.name == 'x') {
      dying.reset();
    } else {
      Unlink(item);
    }
  });
  EXPECT_EQ(visited, "axb");
  EXPECT_TRUE(list_.empty());
}

TEST_F(IntrusiveListTest, VisitorMayMoveWhatItVisitsToTheEnd) {
  list_.PushBack(a_);
  list_.PushBack(b_);
  int visits = 0;
  list_.ForEach([&](Item& item) {
    if (++visits > 1) return;
    Unlink(item);
    list_.PushBack(item);
  });
  EXPECT_EQ(Names(list_), "ba");
}

TEST_F(IntrusiveListTest, TagsKeepTheListsOfOneItemApart) {
  ListByAge by_age;
  list_.PushBack(a_);
  list_.PushBack(b_);
  by_age.PushBack(b_);
  by_age.PushBack(a_);
  EXPECT_EQ(Names(list_), "ab");
  EXPECT_EQ(Names(by_age), "ba");
  Unlink(a_);
  EXPECT_EQ(Names(list_), "b");
  EXPECT_EQ(Names(by_age), "ba");
}

#ifndef NDEBUG
TEST(IntrusiveListDeathTest, ItemIsInOneListOfAKindAtATime) {
  Item item('a');
  List list, other;
  list.PushBack(item);
  EXPECT_DEATH(other.PushBack(item), "linked");
}

TEST(IntrusiveListDeathTest, EmptyListHasNoFront) {
  List list;
  EXPECT_DEATH(list.PopFront(), "empty");
}
#endif

}  // namespace
}  // namespace millrace
