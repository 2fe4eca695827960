// SPDX-License-Identifier: Apache-2.0
#include "net/buffer.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using Eol = Buffer::Eol;

constexpr size_t kHuge = std::numeric_limits<size_t>::max();

Buffer Holding(absl::string_view bytes) {
  Buffer buffer;
  buffer.Append(bytes);
  return buffer;
}

// Empty, and what it holds of memory.

TEST(BufferTest, TakesThirtyTwoBytes) { EXPECT_EQ(sizeof(Buffer), 32u); }

TEST(BufferTest, CannotBeCopied) {
  EXPECT_FALSE(std::is_copy_constructible_v<Buffer>);
  EXPECT_FALSE(std::is_copy_assignable_v<Buffer>);
  EXPECT_TRUE(std::is_nothrow_move_constructible_v<Buffer>);
  EXPECT_TRUE(std::is_nothrow_move_assignable_v<Buffer>);
}

TEST(BufferTest, BeginsEmptyWithoutMemory) {
  const Buffer buffer;
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.size(), 0u);
  EXPECT_EQ(buffer.readable(), "");
  EXPECT_EQ(buffer.capacity(), 0u);
  EXPECT_FALSE(buffer.borrowed());
}

TEST(BufferTest, AppendingNothingAllocatesNothing) {
  Buffer buffer;
  buffer.Append("");
  buffer.Append(absl::string_view());
  buffer.Prepend("");
  EXPECT_EQ(buffer.capacity(), 0u);
}

TEST(BufferTest, ConsumingTheLastByteGivesTheBlockBack) {
  Buffer buffer = Holding("hello");
  EXPECT_GT(buffer.capacity(), 0u);
  buffer.Consume(4);
  EXPECT_GT(buffer.capacity(), 0u);
  buffer.Consume(1);
  EXPECT_EQ(buffer.capacity(), 0u);
}

TEST(BufferTest, EveryWayToEmptyItGivesTheBlockBack) {
  Buffer cleared = Holding("x"), truncated = Holding("x"), dropped = Holding("x");
  Buffer line = Holding("x\n"), until = Holding("x;"), string = Holding("x"), u8 = Holding("x");
  cleared.Clear();
  truncated.TruncateTo(0);
  dropped.DropEnd(1);
  line.ReadLine(Eol::kLf);
  until.ReadUntil(";");
  string.ReadString(1);
  u8.ReadU8();
  for (const Buffer* buffer : {&cleared, &truncated, &dropped, &line, &until, &string, &u8}) {
    EXPECT_TRUE(buffer->empty());
    EXPECT_EQ(buffer->capacity(), 0u);
  }
}

TEST(BufferTest, IsUsedAgainAfterItWasEmptied) {
  Buffer buffer = Holding("one");
  buffer.Clear();
  buffer.Append("two");
  EXPECT_EQ(buffer.readable(), "two");
}

TEST(BufferTest, ShrinkGivesSpareCapacityBack) {
  Buffer buffer = Holding(std::string(100'000, 'x') + "tail");
  buffer.Consume(100'000);
  buffer.Shrink();
  EXPECT_EQ(buffer.readable(), "tail");
  EXPECT_LE(buffer.capacity(), 256u);
}

TEST(BufferTest, ShrinkMovesNothingThatFits) {
  Buffer buffer = Holding("tail");
  const char* const where = buffer.data();
  buffer.Shrink();
  EXPECT_EQ(buffer.data(), where);
}

TEST(BufferTest, ShrinkFreesARoomThatNobodyUsed) {
  Buffer buffer;
  buffer.Reserve(1000);
  EXPECT_GE(buffer.capacity(), 1000u);
  buffer.Shrink();
  EXPECT_EQ(buffer.capacity(), 0u);
  buffer.Shrink();
  EXPECT_EQ(buffer.capacity(), 0u);
}

// Adding at the end.

TEST(BufferTest, AppendsInOrder) {
  Buffer buffer = Holding("ab");
  buffer.Append("cd");
  buffer.Append(absl::string_view("\0e", 2));
  EXPECT_EQ(buffer.readable(), absl::string_view("abcd\0e", 6));
}

TEST(BufferTest, GrowthKeepsEveryByte) {
  Buffer buffer;
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    const std::string piece = absl::StrCat(i, ",");
    buffer.Append(piece);
    expected += piece;
  }
  EXPECT_EQ(buffer.readable(), expected);
}

TEST(BufferTest, ReserveReturnsAtLeastWhatWasAskedFor) {
  for (const size_t n : {1, 239, 240, 241, 255, 256, 257, 4080, 4081, 4096, 70'000}) {
    Buffer buffer;
    EXPECT_GE(buffer.Reserve(n).size(), n);
    EXPECT_TRUE(buffer.empty());
    buffer.Append("x");
    EXPECT_GE(buffer.Reserve(n).size(), n);
    EXPECT_EQ(buffer.readable(), "x");
  }
}

TEST(BufferTest, ReserveOfNothingAllocatesNothing) {
  Buffer buffer;
  EXPECT_TRUE(buffer.Reserve(0).empty());
  buffer.Commit(0);
  EXPECT_EQ(buffer.capacity(), 0u);
}

TEST(BufferTest, CommitMakesReadableWhatWasWritten) {
  Buffer buffer = Holding("ab");
  absl::Span<char> room = buffer.Reserve(10);
  std::copy_n("cdefg", 5, room.begin());
  buffer.Commit(3);
  EXPECT_EQ(buffer.readable(), "abcde");
}

TEST(BufferTest, AllOfTheReservedRoomCanBeCommitted) {
  Buffer buffer;
  absl::Span<char> room = buffer.Reserve(1);
  std::fill(room.begin(), room.end(), 'z');
  buffer.Commit(room.size());
  EXPECT_EQ(buffer.readable(), std::string(room.size(), 'z'));
}

TEST(BufferTest, CommittingNothingToNothingFreesTheBlock) {
  Buffer buffer;
  buffer.Reserve(1000);
  buffer.Commit(0);  // The read would have blocked.
  EXPECT_EQ(buffer.capacity(), 0u);
}

TEST(BufferTest, ReservingAgainReplacesTheRoom) {
  Buffer buffer;
  buffer.Reserve(10);
  absl::Span<char> room = buffer.Reserve(10'000);
  ASSERT_GE(room.size(), 10'000u);
  room[9'999] = 'x';
  buffer.Commit(10'000);
  EXPECT_EQ(buffer.size(), 10'000u);
}

TEST(BufferTest, AppendsAPartOfItself) {
  Buffer buffer = Holding("abcdef");
  buffer.Append(buffer.readable().substr(1, 3));
  EXPECT_EQ(buffer.readable(), "abcdefbcd");
}

TEST(BufferTest, AppendsItselfWhereItMustGrow) {
  Buffer buffer = Holding("0123456789");
  std::string expected = "0123456789";
  for (int i = 0; i < 12; ++i) {
    buffer.Append(buffer.readable());
    expected += expected;
    ASSERT_EQ(buffer.readable(), expected);
  }
}

TEST(BufferTest, WhatIsUnreadMovesDownWhereLittleIs) {
  Buffer buffer = Holding(std::string(200, 'x') + "0123456789");
  const char* const where = buffer.data();
  buffer.Consume(200);
  buffer.Append(std::string(100, 'y'));
  EXPECT_EQ(buffer.readable(), "0123456789" + std::string(100, 'y'));
  EXPECT_EQ(buffer.data(), where);
}

TEST(BufferTest, AppendsAPartOfItselfWhereThatMovesDownFirst) {
  Buffer buffer = Holding(std::string(200, 'x') + "0123456789");
  const char* const where = buffer.data();
  buffer.Consume(200);
  while (buffer.Reserve(0).size() >= 12) buffer.Append("0123456789");
  buffer.Consume(buffer.size() - 12);
  buffer.Append(buffer.readable());
  EXPECT_EQ(buffer.readable(), "890123456789890123456789");
  EXPECT_EQ(buffer.data(), where);
}

TEST(BufferTest, MoreThanAnyMemoryIsRefused) {
  Buffer buffer = Holding("x");
  EXPECT_DEATH(buffer.Reserve(kHuge), "cannot hold");
  EXPECT_DEATH(buffer.Reserve(kHuge - 1), "cannot hold");
  EXPECT_DEATH(buffer.Reserve(kHuge / 2), "cannot hold");
}

TEST(BufferTest, CommittingMoreThanReservedDies) {
  Buffer buffer;
  const size_t room = buffer.Reserve(10).size();
  EXPECT_DEATH(buffer.Commit(room + 1), "Commit of");
  EXPECT_DEATH(buffer.Commit(kHuge), "Commit of");
  EXPECT_DEATH(Buffer().Commit(1), "Commit of 1 where there are 0");
}

// Taking off.

TEST(BufferTest, ConsumesFromTheFront) {
  Buffer buffer = Holding("abcdef");
  buffer.Consume(0);
  EXPECT_EQ(buffer.readable(), "abcdef");
  buffer.Consume(2);
  EXPECT_EQ(buffer.readable(), "cdef");
}

TEST(BufferTest, ConsumingMoreThanThereIsDies) {
  Buffer buffer = Holding("hello");
  EXPECT_DEATH(buffer.Consume(6), "Consume of 6 where there are 5 bytes");
  EXPECT_DEATH(buffer.Consume(kHuge), "Consume");
  EXPECT_DEATH(Buffer().Consume(1), "Consume of 1 where there are 0 bytes");
}

TEST(BufferTest, TruncatesToTheFirstBytes) {
  Buffer buffer = Holding("abcdef");
  buffer.TruncateTo(6);
  EXPECT_EQ(buffer.readable(), "abcdef");
  buffer.TruncateTo(2);
  EXPECT_EQ(buffer.readable(), "ab");
  EXPECT_DEATH(buffer.TruncateTo(3), "TruncateTo of 3 where there are 2");
}

TEST(BufferTest, DropsTheLastBytes) {
  Buffer buffer = Holding("abcdef");
  buffer.DropEnd(0);
  buffer.DropEnd(2);
  EXPECT_EQ(buffer.readable(), "abcd");
  EXPECT_DEATH(buffer.DropEnd(5), "DropEnd of 5 where there are 4");
}

TEST(BufferTest, AppendsBehindWhatWasKept) {
  Buffer buffer = Holding("abcdef");
  buffer.TruncateTo(3);
  buffer.Append("x");
  buffer.DropEnd(2);
  buffer.Append("y");
  EXPECT_EQ(buffer.readable(), "aby");
}

TEST(BufferTest, DataCanBeWrittenInPlace) {
  Buffer buffer = Holding("abc");
  buffer.data()[1] = 'X';
  EXPECT_EQ(buffer.readable(), "aXc");
}

// Adding at the front.

TEST(BufferTest, PrependsInFront) {
  Buffer buffer = Holding("body");
  buffer.Prepend("head ");
  EXPECT_EQ(buffer.readable(), "head body");
}

TEST(BufferTest, PrependsToNothing) {
  Buffer buffer;
  buffer.Prepend("head");
  buffer.Append(" body");
  EXPECT_EQ(buffer.readable(), "head body");
}

TEST(BufferTest, AFramesHeaderNeedsNoCopying) {
  Buffer frame = Holding(std::string(100'000, 'b'));
  const char* const body = frame.data();
  frame.Prepend("header of 14 b");
  EXPECT_EQ(frame.data() + 14, body);
}

TEST(BufferTest, PrependReusesWhatWasConsumed) {
  Buffer buffer = Holding("0123456789abcdefghij-tail");
  buffer.Consume(20);
  const char* const where = buffer.data();
  buffer.Prepend("01234567890123456789");
  EXPECT_EQ(buffer.readable(), "01234567890123456789-tail");
  EXPECT_EQ(buffer.data() + 20, where);
}

TEST(BufferTest, PrependGrows) {
  Buffer buffer = Holding("tail");
  std::string expected = "tail";
  for (int i = 0; i < 3000; ++i) {
    const std::string piece = absl::StrCat(i, ",");
    buffer.Prepend(piece);
    expected.insert(0, piece);
  }
  EXPECT_EQ(buffer.readable(), expected);
}

TEST(BufferTest, PrependsAPartOfItself) {
  Buffer buffer = Holding("abc");
  std::string expected = "abc";
  for (int i = 0; i < 12; ++i) {
    buffer.Prepend(buffer.readable().substr(1));
    expected.insert(0, expected.substr(1));
    ASSERT_EQ(buffer.readable(), expected);
  }
}

// Moving.

TEST(BufferTest, MoveTakesTheBlock) {
  Buffer from = Holding("abc");
  const char* const where = from.data();
  Buffer to = std::move(from);
  EXPECT_EQ(to.readable(), "abc");
  EXPECT_EQ(to.data(), where);
  EXPECT_TRUE(from.empty());  // NOLINT(bugprone-use-after-move): that it may be is the point.
  EXPECT_EQ(from.capacity(), 0u);
  from.Append("new");
  EXPECT_EQ(from.readable(), "new");
  EXPECT_EQ(to.readable(), "abc");
}

TEST(BufferTest, MoveAssignmentFreesWhatWasThere) {
  Buffer from = Holding("abc");
  Buffer to = Holding("old");
  to = std::move(from);
  EXPECT_EQ(to.readable(), "abc");
  EXPECT_EQ(from.capacity(), 0u);  // NOLINT(bugprone-use-after-move)
  to = Buffer();
  EXPECT_EQ(to.capacity(), 0u);
}

TEST(BufferTest, MovingToItselfIsHarmless) {
  Buffer buffer = Holding("abc");
  Buffer& same = buffer;
  buffer = std::move(same);
  EXPECT_EQ(buffer.readable(), "abc");
}

TEST(BufferTest, SwapExchangesAll) {
  Buffer a = Holding("aaa");
  Buffer b;
  swap(a, b);
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(b.readable(), "aaa");
  a.Append("x");
  a.swap(b);
  EXPECT_EQ(a.readable(), "aaa");
  EXPECT_EQ(b.readable(), "x");
  a.swap(a);
  EXPECT_EQ(a.readable(), "aaa");
}

TEST(BufferTest, MoveFromIntoEmptyTakesTheBlock) {
  Buffer from = Holding("abc");
  const char* const where = from.data();
  Buffer to;
  to.Reserve(10);  // Unused room is no reason to copy.
  EXPECT_EQ(to.MoveFrom(from), 3u);
  EXPECT_EQ(to.data(), where);
  EXPECT_EQ(to.readable(), "abc");
  EXPECT_EQ(from.capacity(), 0u);
}

TEST(BufferTest, MoveFromAppendsToWhatIsThere) {
  Buffer from = Holding("def");
  Buffer to = Holding("abc");
  EXPECT_EQ(to.MoveFrom(from), 3u);
  EXPECT_EQ(to.readable(), "abcdef");
  EXPECT_TRUE(from.empty());
  EXPECT_EQ(from.capacity(), 0u);
}

TEST(BufferTest, MoveFromEmptyChangesNothing) {
  Buffer from;
  from.Reserve(10);
  Buffer to;
  EXPECT_EQ(to.MoveFrom(from), 0u);
  EXPECT_EQ(to.capacity(), 0u);
  EXPECT_EQ(from.capacity(), 0u);
  to.Append("abc");
  EXPECT_EQ(to.MoveFrom(from), 0u);
  EXPECT_EQ(to.readable(), "abc");
}

TEST(BufferTest, MoveFromTakesTheFirstBytesOnly) {
  Buffer from = Holding("abcdef");
  Buffer to = Holding("-");
  EXPECT_EQ(to.MoveFrom(from, 0), 0u);
  EXPECT_EQ(to.MoveFrom(from, 2), 2u);
  EXPECT_EQ(to.readable(), "-ab");
  EXPECT_EQ(from.readable(), "cdef");
}

TEST(BufferTest, MoveFromTakesNoMoreThanThereIs) {
  Buffer from = Holding("abc");
  const char* const where = from.data();
  Buffer to;
  EXPECT_EQ(to.MoveFrom(from, kHuge), 3u);
  EXPECT_EQ(to.data(), where);
  EXPECT_EQ(to.MoveFrom(from, 1), 0u);
  Buffer last;
  EXPECT_EQ(last.MoveFrom(to, 3), 3u);
  EXPECT_EQ(last.data(), where);
}

TEST(BufferTest, MoveFromItselfDies) {
  Buffer buffer = Holding("abc");
  EXPECT_DEATH(buffer.MoveFrom(buffer), "its own bytes");
  EXPECT_DEATH(buffer.MoveFrom(buffer, 1), "its own bytes");
}

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
// What AddressSanitizer sees that a plain heap block would hide from it.

char ByteAt(const char* address) {
  return *static_cast<const volatile char*>(address);  // Volatile: it shall be read.
}

TEST(BufferAsanTest, ReadingPastTheEndIsReported) {
  Buffer buffer = Holding("abc");
  EXPECT_DEATH(ByteAt(buffer.data() + 3), "use-after-poison");
}

TEST(BufferAsanTest, AViewOfConsumedBytesIsReported) {
  Buffer buffer = Holding("0123456789abcdef-rest");
  const absl::string_view view = buffer.readable();
  buffer.Consume(16);
  EXPECT_DEATH(ByteAt(view.data()), "use-after-poison");
}

TEST(BufferAsanTest, ARoomThatWasCommittedIsOver) {
  Buffer buffer;
  absl::Span<char> room = buffer.Reserve(100);
  room[20] = 'x';
  buffer.Commit(3);
  EXPECT_DEATH(ByteAt(room.data() + 20), "use-after-poison");
}
#endif  // ABSL_HAVE_ADDRESS_SANITIZER

}  // namespace
}  // namespace millrace
