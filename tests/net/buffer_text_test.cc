// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "net/buffer.h"

namespace millrace {
namespace {

using Eol = Buffer::Eol;

constexpr size_t kHuge = std::numeric_limits<size_t>::max();

Buffer Holding(absl::string_view bytes) {
  Buffer buffer;
  buffer.Append(bytes);
  return buffer;
}

// A line's length and its end's, in a form that a failure prints.
std::string EolIn(const Buffer& buffer, Eol style, size_t from = 0) {
  const std::optional<Buffer::EolPosition> eol = buffer.FindEol(style, from);
  return eol ? absl::StrCat(eol->position, "+", eol->length) : "none";
}

// Integers.

TEST(BufferTextTest, IntegersAreInNetworkByteOrder) {
  Buffer buffer;
  buffer.AppendU8(0x01);
  buffer.AppendU16(0x0203);
  buffer.AppendU32(0x04050607);
  buffer.AppendU64(0x08090a0b0c0d0e0f);
  EXPECT_EQ(buffer.readable(), "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f");
}

TEST(BufferTextTest, IntegersReadAsTheyWereWritten) {
  Buffer buffer;
  buffer.AppendU8(0xff);
  buffer.AppendU16(0xfffe);
  buffer.AppendU32(0xfffefdfc);
  buffer.AppendU64(0xfffefdfcfbfaf9f8);
  EXPECT_EQ(buffer.ReadU8(), 0xff);
  EXPECT_EQ(buffer.ReadU16(), 0xfffe);
  EXPECT_EQ(buffer.ReadU32(), 0xfffefdfc);
  EXPECT_EQ(buffer.ReadU64(), 0xfffefdfcfbfaf9f8);
  EXPECT_TRUE(buffer.empty());
}

TEST(BufferTextTest, IntegersCanBePrepended) {
  Buffer buffer = Holding("!");
  buffer.PrependU8(1);
  buffer.PrependU16(2);
  buffer.PrependU32(3);
  buffer.PrependU64(4);
  EXPECT_EQ(buffer.ReadU64(), 4u);
  EXPECT_EQ(buffer.ReadU32(), 3u);
  EXPECT_EQ(buffer.ReadU16(), 2u);
  EXPECT_EQ(buffer.ReadU8(), 1u);
  EXPECT_EQ(buffer.readable(), "!");
}

TEST(BufferTextTest, PeekConsumesNothing) {
  const Buffer buffer = Holding("abcdefghij");
  EXPECT_EQ(buffer.PeekU8(), 0x61);
  EXPECT_EQ(buffer.PeekU8(9), 0x6a);
  EXPECT_EQ(buffer.PeekU16(8), 0x696a);
  EXPECT_EQ(buffer.PeekU32(1), 0x62636465u);
  EXPECT_EQ(buffer.PeekU64(2), 0x636465666768696au);
  EXPECT_EQ(buffer.size(), 10u);
}

TEST(BufferTextTest, PeekingPastTheEndDies) {
  const Buffer buffer = Holding("abcdefgh");
  EXPECT_DEATH(buffer.PeekU8(8), "Peek of 8 where there are 8 bytes");
  EXPECT_DEATH(buffer.PeekU16(7), "Peek");
  EXPECT_DEATH(buffer.PeekU32(5), "Peek");
  EXPECT_DEATH(buffer.PeekU64(1), "Peek");
  EXPECT_DEATH(buffer.PeekU64(kHuge), "Peek");
  EXPECT_DEATH(buffer.PeekU8(kHuge), "Peek");
  EXPECT_DEATH(Buffer().PeekU8(), "Peek");
}

TEST(BufferTextTest, ReadingAnIntegerThatIsNotThereDies) {
  Buffer buffer = Holding("abc");
  EXPECT_DEATH(buffer.ReadU32(), "Peek of 0 where there are 3 bytes");
  EXPECT_DEATH(Buffer().ReadU8(), "Peek");
}

// Searching.

TEST(BufferTextTest, FindsAByte) {
  const Buffer buffer = Holding("abcabc");
  EXPECT_EQ(buffer.Find('a'), 0u);
  EXPECT_EQ(buffer.Find('c'), 2u);
  EXPECT_EQ(buffer.Find('c', 2), 2u);
  EXPECT_EQ(buffer.Find('c', 3), 5u);
  EXPECT_EQ(buffer.Find('a', 4), std::nullopt);
  EXPECT_EQ(buffer.Find('x'), std::nullopt);
}

TEST(BufferTextTest, FindsABytePastTheSignOfChar) {
  EXPECT_EQ(Holding("ab\xff\x80").Find('\x80'), 3u);
  EXPECT_EQ(Holding("ab\xff\x80").Find('\xff'), 2u);
}

TEST(BufferTextTest, FindsBytes) {
  const Buffer buffer = Holding("abcabcd");
  EXPECT_EQ(buffer.Find("abcd"), 3u);
  EXPECT_EQ(buffer.Find("abc", 1), 3u);
  EXPECT_EQ(buffer.Find("d"), 6u);
  EXPECT_EQ(buffer.Find("de"), std::nullopt);
  EXPECT_EQ(buffer.Find("abcabcd"), 0u);
  EXPECT_EQ(buffer.Find("abcabcde"), std::nullopt);
}

TEST(BufferTextTest, FindsZeroBytes) {
  const Buffer buffer = Holding(absl::string_view("a\0b\0\0c", 6));
  EXPECT_EQ(buffer.Find('\0'), 1u);
  EXPECT_EQ(buffer.Find(absl::string_view("\0\0", 2)), 3u);
}

TEST(BufferTextTest, NoBytesAreFoundAtOnce) {
  EXPECT_EQ(Holding("abc").Find("", 2), 2u);
  EXPECT_EQ(Holding("abc").Find("", 3), 3u);
  EXPECT_EQ(Holding("abc").Find("", 4), std::nullopt);
  EXPECT_EQ(Buffer().Find(""), 0u);
}

TEST(BufferTextTest, NothingIsFoundPastTheEnd) {
  const Buffer buffer = Holding("a\r\n");
  for (const size_t from : {size_t{3}, size_t{4}, kHuge}) {
    EXPECT_EQ(buffer.Find('a', from), std::nullopt);
    EXPECT_EQ(buffer.Find("a", from), std::nullopt);
    EXPECT_EQ(buffer.FindCrlf(from), std::nullopt);
    for (const Eol style : {Eol::kLf, Eol::kCrlf, Eol::kAny, Eol::kNul}) {
      EXPECT_EQ(EolIn(buffer, style, from), "none");
    }
  }
}

TEST(BufferTextTest, NothingIsFoundInNothing) {
  const Buffer buffer;
  EXPECT_EQ(buffer.Find('a'), std::nullopt);
  EXPECT_EQ(buffer.Find("a"), std::nullopt);
  EXPECT_EQ(buffer.FindCrlf(), std::nullopt);
}

TEST(BufferTextTest, NothingIsFoundInWhatWasConsumedOrCutOff) {
  Buffer buffer = Holding("\r\nabc\r\n");
  buffer.Consume(1);
  buffer.DropEnd(1);
  EXPECT_EQ(buffer.FindCrlf(), std::nullopt);
  EXPECT_EQ(buffer.Find("c\r\n"), std::nullopt);
}

TEST(BufferTextTest, FindCrlfPassesLoneCrAndLf) {
  EXPECT_EQ(Holding("a\rb\nc\n\rd\r\r\ne").FindCrlf(), 9u);
  EXPECT_EQ(Holding("\n\r").FindCrlf(), std::nullopt);
  EXPECT_EQ(Holding("\r\n\r\n").FindCrlf(1), 2u);
  EXPECT_EQ(Holding("\r\n").FindCrlf(1), std::nullopt);
}

TEST(BufferTextTest, ASearchResumesWhereItEnded) {
  const std::string text = "one\rtwo\nthree\r\nfour";
  Buffer buffer;
  size_t from = 0;
  std::optional<size_t> found;
  for (const char byte : text) {  // The worst of splits: each byte in a read of its own.
    buffer.Append(absl::string_view(&byte, 1));
    found = buffer.FindCrlf(from);
    if (found) break;
    from = buffer.size() - 1;
  }
  EXPECT_EQ(found, 13u);
  EXPECT_EQ(buffer.size(), 15u);
}

// Lines.

TEST(BufferTextTest, LfEndsALineAtAnyLf) {
  EXPECT_EQ(EolIn(Holding("a\nb"), Eol::kLf), "1+1");
  EXPECT_EQ(EolIn(Holding("\n"), Eol::kLf), "0+1");
  EXPECT_EQ(EolIn(Holding("a\r\n"), Eol::kLf), "2+1");
  EXPECT_EQ(EolIn(Holding("a\r"), Eol::kLf), "none");
  EXPECT_EQ(EolIn(Holding("a\nb\n"), Eol::kLf, 2), "3+1");
}

TEST(BufferTextTest, CrlfEndsALineAtCrlfOnly) {
  EXPECT_EQ(EolIn(Holding("a\r\nb"), Eol::kCrlf), "1+2");
  EXPECT_EQ(EolIn(Holding("\r\n"), Eol::kCrlf), "0+2");
  EXPECT_EQ(EolIn(Holding("a\nb\r\n"), Eol::kCrlf), "3+2");
  EXPECT_EQ(EolIn(Holding("a\rb\r\r\n"), Eol::kCrlf), "4+2");
  EXPECT_EQ(EolIn(Holding("a\n\r"), Eol::kCrlf), "none");
}

TEST(BufferTextTest, AnyEndsALineAtLfAndOneCrBeforeIt) {
  EXPECT_EQ(EolIn(Holding("a\nb"), Eol::kAny), "1+1");
  EXPECT_EQ(EolIn(Holding("a\r\nb"), Eol::kAny), "1+2");
  EXPECT_EQ(EolIn(Holding("\n"), Eol::kAny), "0+1");
  EXPECT_EQ(EolIn(Holding("\r\n"), Eol::kAny), "0+2");
  EXPECT_EQ(EolIn(Holding("a\r\r\n"), Eol::kAny), "2+2");
  EXPECT_EQ(EolIn(Holding("a\rb\n"), Eol::kAny), "3+1");
  EXPECT_EQ(EolIn(Holding("a\rb\r"), Eol::kAny), "none");
}

TEST(BufferTextTest, AnEndNeverLiesBeforeWhereTheSearchBegan) {
  EXPECT_EQ(EolIn(Holding("a\r\n"), Eol::kAny, 1), "1+2");
  EXPECT_EQ(EolIn(Holding("a\r\n"), Eol::kAny, 2), "2+1");
  EXPECT_EQ(EolIn(Holding("a\r\n"), Eol::kCrlf, 2), "none");
}

TEST(BufferTextTest, NulEndsALineAtZero) {
  EXPECT_EQ(EolIn(Holding(absl::string_view("a\n\0b", 4)), Eol::kNul), "2+1");
  EXPECT_EQ(EolIn(Holding("a\r\n"), Eol::kNul), "none");
}

TEST(BufferTextTest, ReadLineTakesTheLineAndItsEnd) {
  Buffer buffer = Holding("one\ntwo\r\n\nrest");
  EXPECT_EQ(buffer.ReadLine(Eol::kAny), "one");
  EXPECT_EQ(buffer.ReadLine(Eol::kAny), "two");
  EXPECT_EQ(buffer.ReadLine(Eol::kAny), "");
  EXPECT_EQ(buffer.ReadLine(Eol::kAny), std::nullopt);
  EXPECT_EQ(buffer.readable(), "rest");
}

TEST(BufferTextTest, ReadLineKeepsWhatIsNoEndInItsStyle) {
  EXPECT_EQ(Holding("a\r\nb\n").ReadLine(Eol::kLf), "a\r");
  EXPECT_EQ(Holding("a\nb\r\n").ReadLine(Eol::kCrlf), "a\nb");
  EXPECT_EQ(Holding("a\rb\r\r\n").ReadLine(Eol::kAny), "a\rb\r");
  EXPECT_EQ(Holding(absl::string_view("a\r\n\0", 4)).ReadLine(Eol::kNul), "a\r\n");
}

TEST(BufferTextTest, ALineIsWholeOnlyWithTheLastByteOfItsEnd) {
  struct Story {
    Eol style;
    absl::string_view end;
  };
  for (const Story& story :
       {Story{Eol::kLf, "\n"}, Story{Eol::kCrlf, "\r\n"}, Story{Eol::kAny, "\n"},
        Story{Eol::kAny, "\r\n"}, Story{Eol::kNul, absl::string_view("\0", 1)}}) {
    const std::string text = absl::StrCat("line", story.end);
    Buffer buffer;
    for (size_t i = 0; i < text.size(); ++i) {
      EXPECT_EQ(buffer.ReadLine(story.style), std::nullopt) << i;
      EXPECT_EQ(buffer.size(), i);
      buffer.Append(absl::string_view(text).substr(i, 1));
    }
    EXPECT_EQ(buffer.ReadLine(story.style), "line");
    EXPECT_TRUE(buffer.empty());
  }
}

TEST(BufferTextTest, LinesDoNotDependOnHowTheyWereSplit) {
  const std::string text = "\r\na\rb\r\r\nc\n\n\r\r\nd\r\n";
  for (const Eol style : {Eol::kLf, Eol::kCrlf, Eol::kAny}) {
    Buffer whole = Holding(text);
    std::vector<std::string> expected;
    while (auto line = whole.ReadLine(style)) expected.push_back(*line);
    for (size_t split = 0; split <= text.size(); ++split) {
      Buffer buffer;
      std::vector<std::string> lines;
      for (absl::string_view piece :
           {absl::string_view(text).substr(0, split), absl::string_view(text).substr(split)}) {
        buffer.Append(piece);
        while (auto line = buffer.ReadLine(style)) lines.push_back(*line);
      }
      EXPECT_EQ(lines, expected) << split;
    }
  }
}

TEST(BufferTextTest, ReadUntilTakesTheDelimiterToo) {
  Buffer buffer = Holding("GET / HTTP/1.1\r\nHost: a\r\n\r\nbody");
  EXPECT_EQ(buffer.ReadUntil(" "), "GET");
  EXPECT_EQ(buffer.ReadUntil("\r\n\r\n"), "/ HTTP/1.1\r\nHost: a");
  EXPECT_EQ(buffer.ReadUntil("\r\n"), std::nullopt);
  EXPECT_EQ(buffer.readable(), "body");
}

TEST(BufferTextTest, ReadUntilWaitsForTheWholeDelimiter) {
  Buffer buffer = Holding("abc--");
  EXPECT_EQ(buffer.ReadUntil("--end"), std::nullopt);
  buffer.Append("--end");
  EXPECT_EQ(buffer.ReadUntil("--end"), "abc--");
  EXPECT_DEATH(buffer.ReadUntil(""), "delimits nothing");
}

TEST(BufferTextTest, ReadStringConsumes) {
  Buffer buffer = Holding("abcdef");
  EXPECT_EQ(buffer.ReadString(0), "");
  EXPECT_EQ(buffer.ReadString(2), "ab");
  EXPECT_DEATH(buffer.ReadString(5), "ReadString of 5 where there are 4");
  EXPECT_EQ(buffer.ReadString(4), "cdef");
  EXPECT_EQ(buffer.ReadString(0), "");
}

TEST(BufferTextTest, CopyOutCopiesWhatFitsAndConsumesNothing) {
  const Buffer buffer = Holding("abcdef");
  std::string into(4, '.');
  EXPECT_EQ(buffer.CopyOut(absl::MakeSpan(into)), 4u);
  EXPECT_EQ(into, "abcd");
  EXPECT_EQ(buffer.CopyOut(absl::MakeSpan(into), 4), 2u);
  EXPECT_EQ(into, "efcd");
  EXPECT_EQ(buffer.CopyOut(absl::MakeSpan(into), 6), 0u);
  EXPECT_EQ(buffer.CopyOut(absl::MakeSpan(into), kHuge), 0u);
  EXPECT_EQ(buffer.CopyOut({}), 0u);
  EXPECT_EQ(Buffer().CopyOut(absl::MakeSpan(into)), 0u);
  EXPECT_EQ(buffer.readable(), "abcdef");
}

}  // namespace
}  // namespace millrace
