// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "net/buffer.h"

namespace millrace {
namespace {

using Eol = Buffer::Eol;

Buffer Holding(absl::string_view bytes) {
  Buffer buffer;
  buffer.Append(bytes);
  return buffer;
}

// What the loop's receive buffer is to a connection.
class SharedMemory {
 public:
  Buffer Lend(absl::string_view bytes) {
    std::fill(memory_.begin(), memory_.end(), '#');
    std::copy(bytes.begin(), bytes.end(), memory_.begin());
    return Buffer::Borrow(absl::MakeSpan(memory_), bytes.size());
  }
  // As the next connection's input does.
  void Overwrite() { std::fill(memory_.begin(), memory_.end(), '!'); }
  absl::string_view bytes() const { return {memory_.data(), memory_.size()}; }
  bool Holds(const char* address) const {
    return address >= memory_.data() && address < memory_.data() + memory_.size();
  }

 private:
  std::array<char, 64> memory_;
};

TEST(BorrowedBufferTest, IsAViewThatOwnsNothing) {
  SharedMemory memory;
  const Buffer input = memory.Lend("hello");
  EXPECT_TRUE(input.borrowed());
  EXPECT_EQ(input.readable(), "hello");
  EXPECT_TRUE(memory.Holds(input.readable().data()));
  EXPECT_EQ(input.capacity(), 0u);
}

TEST(BorrowedBufferTest, BorrowingNothingIsEmpty) {
  SharedMemory memory;
  EXPECT_FALSE(memory.Lend("").borrowed());
  EXPECT_FALSE(Buffer::Borrow({}, 0).borrowed());
}

TEST(BorrowedBufferTest, CannotReadMoreThanTheMemoryHolds) {
  std::array<char, 8> memory;
  EXPECT_EQ(Buffer::Borrow(absl::MakeSpan(memory), 8).size(), 8u);
  EXPECT_DEATH(Buffer::Borrow(absl::MakeSpan(memory), 9), "Borrow of 9 where there are 8");
}

TEST(BorrowedBufferTest, ConsumingTheLastByteEndsTheLoan) {
  SharedMemory memory;
  Buffer input = memory.Lend("hello");
  input.Consume(4);
  EXPECT_TRUE(input.borrowed());
  input.Consume(1);
  EXPECT_FALSE(input.borrowed());
  input.Append("mine");
  EXPECT_FALSE(memory.Holds(input.data()));
}

TEST(BorrowedBufferTest, OwnCopiesWhatIsUnread) {
  SharedMemory memory;
  Buffer input = memory.Lend("hello");
  input.Consume(2);
  input.Own();
  EXPECT_FALSE(input.borrowed());
  EXPECT_GT(input.capacity(), 0u);
  memory.Overwrite();
  EXPECT_EQ(input.readable(), "llo");
}

TEST(BorrowedBufferTest, OwnOfAnOwnedOrEmptyOneDoesNothing) {
  Buffer owned = Holding("abc");
  const char* const where = owned.data();
  owned.Own();
  EXPECT_EQ(owned.data(), where);
  Buffer empty;
  empty.Own();
  EXPECT_EQ(empty.capacity(), 0u);
}

TEST(BorrowedBufferTest, AppendOwnsFirst) {
  SharedMemory memory;
  Buffer input = memory.Lend("hello");
  input.Append(" world");
  EXPECT_FALSE(input.borrowed());
  EXPECT_EQ(memory.bytes().substr(0, 6), "hello#") << "it wrote where the next input comes";
  memory.Overwrite();
  EXPECT_EQ(input.readable(), "hello world");
}

TEST(BorrowedBufferTest, ReserveOwnsFirst) {
  SharedMemory memory;
  Buffer input = memory.Lend("hello");
  EXPECT_GE(input.Reserve(1).size(), 1u);
  EXPECT_FALSE(input.borrowed());
  EXPECT_EQ(input.readable(), "hello");
}

TEST(BorrowedBufferTest, AppendsAPartOfItself) {
  SharedMemory memory;
  Buffer input = memory.Lend("hello");
  input.Append(input.readable().substr(1, 3));
  EXPECT_EQ(input.readable(), "helloell");
}

TEST(BorrowedBufferTest, AppendingNothingKeepsTheLoan) {
  SharedMemory memory;
  Buffer input = memory.Lend("hello");
  input.Append("");
  EXPECT_TRUE(input.Reserve(0).empty());
  input.Commit(0);
  EXPECT_TRUE(input.borrowed());
}

TEST(BorrowedBufferTest, PrependWritesOverWhatWasConsumed) {
  SharedMemory memory;
  Buffer input = memory.Lend("length:hello");
  input.Consume(7);
  input.PrependU32(0x31323334);
  EXPECT_TRUE(input.borrowed());
  EXPECT_EQ(input.readable(), "1234hello");
  EXPECT_EQ(memory.bytes().substr(0, 13), "len1234hello#");
}

TEST(BorrowedBufferTest, PrependsWhatWasConsumed) {
  SharedMemory memory;
  Buffer input = memory.Lend("abcdef");
  const absl::string_view consumed = input.readable().substr(0, 3);
  input.Consume(4);
  input.Prepend(consumed);
  EXPECT_EQ(input.readable(), "abcef");
}

TEST(BorrowedBufferTest, PrependOwnsWhereTheFrontIsTooSmall) {
  SharedMemory memory;
  Buffer input = memory.Lend("abc");
  input.Consume(1);
  input.Prepend("12");
  EXPECT_FALSE(input.borrowed());
  memory.Overwrite();
  EXPECT_EQ(input.readable(), "12bc");
}

TEST(BorrowedBufferTest, MovingCopiesSoThatAHandlerMayKeepItsInput) {
  SharedMemory memory;
  Buffer input = memory.Lend("hello");
  input.Consume(1);
  Buffer saved = std::move(input);
  EXPECT_FALSE(saved.borrowed());
  EXPECT_TRUE(input.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_FALSE(input.borrowed());
  memory.Overwrite();
  EXPECT_EQ(saved.readable(), "ello");
}

TEST(BorrowedBufferTest, AssigningCopiesToo) {
  SharedMemory memory;
  Buffer input = memory.Lend("hello");
  Buffer saved = Holding("old");
  saved = std::move(input);
  EXPECT_FALSE(saved.borrowed());
  EXPECT_TRUE(input.empty());  // NOLINT(bugprone-use-after-move)
  memory.Overwrite();
  EXPECT_EQ(saved.readable(), "hello");
}

TEST(BorrowedBufferTest, SwappingLeavesBothOwned) {
  SharedMemory memory, other_memory;
  Buffer input = memory.Lend("hello"), mine = Holding("mine");
  swap(input, mine);
  EXPECT_FALSE(mine.borrowed());
  EXPECT_FALSE(input.borrowed());
  memory.Overwrite();
  EXPECT_EQ(mine.readable(), "hello");
  EXPECT_EQ(input.readable(), "mine");

  Buffer one = memory.Lend("one"), two = other_memory.Lend("two");
  one.swap(two);
  memory.Overwrite();
  other_memory.Overwrite();
  EXPECT_EQ(one.readable(), "two");
  EXPECT_EQ(two.readable(), "one");
}

TEST(BorrowedBufferTest, MoveFromNeverTakesALoanOver) {
  SharedMemory memory;
  Buffer input = memory.Lend("hello world");
  Buffer some, all;
  EXPECT_EQ(some.MoveFrom(input, 6), 6u);
  EXPECT_EQ(all.MoveFrom(input), 5u);
  EXPECT_FALSE(some.borrowed());
  EXPECT_FALSE(all.borrowed());
  EXPECT_TRUE(input.empty());
  memory.Overwrite();
  EXPECT_EQ(some.readable(), "hello ");
  EXPECT_EQ(all.readable(), "world");
}

TEST(BorrowedBufferTest, MoveFromIntoBorrowedOwnsFirst) {
  SharedMemory memory;
  Buffer input = memory.Lend("hello");
  Buffer more = Holding(" world");
  input.MoveFrom(more);
  memory.Overwrite();
  EXPECT_EQ(input.readable(), "hello world");
}

TEST(BorrowedBufferTest, CutsLeaveTheMemoryAlone) {
  SharedMemory memory;
  Buffer input = memory.Lend("abcdef");
  input.DropEnd(1);
  input.TruncateTo(4);
  input.Shrink();
  EXPECT_TRUE(input.borrowed());
  EXPECT_EQ(input.readable(), "abcd");
  EXPECT_EQ(memory.bytes().substr(0, 6), "abcdef");
  input.Append("x");
  EXPECT_EQ(input.readable(), "abcdx");
}

TEST(BorrowedBufferTest, AnsweringInPlaceReachesTheMemory) {
  SharedMemory memory;
  Buffer input = memory.Lend("abc");
  input.data()[0] = 'A';
  EXPECT_EQ(memory.bytes().substr(0, 3), "Abc");
}

TEST(BorrowedBufferTest, AHandlersTurnsKeepOnlyWhatIsUnread) {
  SharedMemory memory;
  Buffer kept = memory.Lend("first\nsec");
  EXPECT_EQ(kept.ReadLine(Eol::kLf), "first");
  EXPECT_EQ(kept.ReadLine(Eol::kLf), std::nullopt);
  kept.Own();
  Buffer input = memory.Lend("ond\n");
  kept.MoveFrom(input);
  EXPECT_EQ(kept.ReadLine(Eol::kLf), "second");
  EXPECT_EQ(kept.capacity(), 0u);
}

}  // namespace
}  // namespace millrace
