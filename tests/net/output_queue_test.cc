// SPDX-License-Identifier: Apache-2.0
#include "net/output_queue.h"

#include <errno.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/io_result.h"
#include "net/limits.h"
#include "tests/net/output_queue_fixture.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

// A cord of just one chunk, however small.
absl::Cord Chunk(std::string bytes) {
  auto kept = std::make_unique<std::string>(std::move(bytes));
  const absl::string_view view = *kept;
  return absl::MakeCordFromExternal(view, [kept = std::move(kept)] {});
}

bool Open(int fd) { return lseek(fd, 0, SEEK_CUR) >= 0; }

TEST_F(OutputQueueTest, EmptyItHoldsNothing) {
  EXPECT_TRUE(queue().empty());
  EXPECT_EQ(queue().bytes(), 0u);
  EXPECT_EQ(blocks() + nodes(), 0u);
}

TEST_F(OutputQueueTest, AddingNothingAddsNothing) {
  queue().Append("");
  queue().AppendOwned(std::string());
  queue().AppendOwned(Buffer());
  queue().AppendOwned(absl::Cord());
  queue().AppendBorrowed("");
  UniqueFd file = FileWith("unread");
  const int fd = file.get();
  queue().AppendFile(std::move(file), 0, 0);
  EXPECT_FALSE(Open(fd)) << "the file is ours, so ours to close";
  EXPECT_TRUE(queue().empty());
  EXPECT_EQ(blocks() + nodes(), 0u);
}

TEST_F(OutputQueueTest, SmallWritesShareABlockAndGoInOnePiece) {
  for (absl::string_view word : {"one ", "two ", "three"}) queue().Append(word);
  EXPECT_EQ(queue().bytes(), 13u);
  EXPECT_EQ(blocks(), 1u);
  EXPECT_EQ(Drained(), "one two three");
  EXPECT_EQ(sink_.pieces.size(), 1u);
  EXPECT_EQ(sink_.writes, 1);
  EXPECT_EQ(blocks(), 0u);
}

TEST_F(OutputQueueTest, FillsEachBlockToItsLastByte) {
  size_t per_block = 0;
  while (blocks() < 2) queue().Append("x"), ++per_block;
  --per_block;
  EXPECT_GT(per_block, kOutputBlockBytes - 128);
  queue().Clear();
  for (size_t n : {per_block - 1, per_block, per_block + 1, 3 * per_block, 3 * per_block + 1}) {
    const std::string bytes(n, 'x');
    queue().Append(bytes);
    EXPECT_EQ(blocks(), (n + per_block - 1) / per_block) << n;
    EXPECT_EQ(queue().bytes(), n);
    EXPECT_EQ(Drained(), bytes);
  }
}

TEST_F(OutputQueueTest, APartlyWrittenBlockTakesMore) {
  queue().Append("hello ");
  sink_.room = 2;
  EXPECT_EQ(Drain().kind(), IoResult::kWantWrite);
  queue().Append("world");
  EXPECT_EQ(blocks(), 1u);
  sink_.room = Sink::kMuch;
  EXPECT_EQ(Drained(), "hello world");
}

TEST_F(OutputQueueTest, StringsAreTakenOverFromTheSizeWhereItPays) {
  for (size_t n : {kOutputTakeOverBytes - 1, kOutputTakeOverBytes, kOutputTakeOverBytes + 1}) {
    std::string bytes(n, 's');
    const char* const where = bytes.data();
    queue().AppendOwned(std::move(bytes));
    EXPECT_EQ(queue().bytes(), n);
    EXPECT_EQ(Drained(), std::string(n, 's'));
    EXPECT_EQ(sink_.pieces[0].data() == where, n >= kOutputTakeOverBytes) << n;
  }
}

TEST_F(OutputQueueTest, BuffersAreTakenOverFromTheSizeWhereItPays) {
  for (size_t n : {kOutputTakeOverBytes - 1, kOutputTakeOverBytes, kOutputTakeOverBytes + 1}) {
    Buffer bytes;
    bytes.Append(std::string(n + 3, 'b'));
    bytes.Consume(3);
    const char* const where = bytes.data();
    queue().AppendOwned(std::move(bytes));
    EXPECT_EQ(queue().bytes(), n);
    EXPECT_EQ(Drained(), std::string(n, 'b'));
    EXPECT_EQ(sink_.pieces[0].data() == where, n >= kOutputTakeOverBytes) << n;
  }
}

TEST_F(OutputQueueTest, LargeChunksOfACordAreShared) {
  absl::Cord cord(std::string(5000, 'c'));
  const char* const where = cord.TryFlat()->data();
  queue().AppendOwned(cord);
  cord.Clear();
  EXPECT_EQ(queue().bytes(), 5000u);
  EXPECT_EQ(Drained(), std::string(5000, 'c'));
  EXPECT_EQ(sink_.pieces[0].data(), where);
}

TEST_F(OutputQueueTest, SmallChunksOfACordAreCopied) {
  absl::Cord cord("head ");
  cord.Append(Chunk(std::string(2000, 'c')));
  cord.Append(" tail");
  queue().AppendOwned(cord);
  EXPECT_EQ(nodes(), 1u);
  EXPECT_EQ(Drained(), "head " + std::string(2000, 'c') + " tail");
  EXPECT_EQ(sink_.writes, 1);
}

TEST_F(OutputQueueTest, ASmallCordAloneIsShared) {
  absl::Cord cord(std::string(100, 'c'));
  cord.Append(std::string(400, 'd'));
  const absl::string_view bytes = cord.Flatten();
  queue().AppendOwned(cord);
  Drain();
  EXPECT_EQ(sink_.pieces[0].data(), bytes.data());
  EXPECT_EQ(sink_.taken, bytes);
}

TEST_F(OutputQueueTest, ACordOfAFewBytesHoldsThemWhereverItGoes) {
  {
    const absl::Cord cord("tiny");
    queue().AppendOwned(cord);
  }
  queue().AppendOwned(absl::Cord("more"));
  Drain();
  EXPECT_EQ(sink_.taken, "tinymore");
}

TEST_F(OutputQueueTest, SmallCordsBehindOthersShareABlock) {
  for (int i = 0; i < 10; ++i) queue().AppendOwned(absl::Cord(std::string(100, 'c')));
  Drain();
  EXPECT_EQ(sink_.pieces.size(), 2u) << "the first, and the block of the others";
}

TEST_F(OutputQueueTest, ACordsMemoryIsLetGoWhenItIsWritten) {
  bool released = false;
  const std::string memory(3000, 'x');
  absl::Cord cord = absl::MakeCordFromExternal(memory, [&] { released = true; });
  queue().AppendOwned(cord.Subcord(1000, 1500));
  cord.Clear();
  sink_.room = 1499;
  Drain();
  EXPECT_FALSE(released);
  sink_.room = 1;
  Drain();
  EXPECT_TRUE(released);
  EXPECT_EQ(sink_.taken.size(), 1500u);
}

TEST_F(OutputQueueTest, ACordOfManyChunksKeepsItsOrder) {
  absl::Cord cord;
  std::string expected;
  for (int i = 0; i < 300; ++i) {
    const std::string chunk(i % 3 == 0 ? 10 : 1500, static_cast<char>('a' + i % 26));
    expected += chunk;
    cord.Append(Chunk(chunk));
  }
  queue().AppendOwned(cord);
  EXPECT_EQ(queue().bytes(), expected.size());
  EXPECT_EQ(Drained(), expected);
}

TEST_F(OutputQueueTest, OneCallOffersSoManyPiecesAndNoMore) {
  for (int i = 0; i <= kOutputPiecesPerWriteMax; ++i) queue().AppendOwned(std::string(1024, 'p'));
  EXPECT_EQ(queue().WriteTo(sink_), (IoResult{IoResult::kDone, kOutputPiecesPerWriteMax * 1024}));
  EXPECT_EQ(sink_.pieces.size(), static_cast<size_t>(kOutputPiecesPerWriteMax));
  EXPECT_EQ(queue().bytes(), 1024u);
  EXPECT_EQ(Drain(), (IoResult{IoResult::kDone, 1024}));
}

TEST_F(OutputQueueTest, OneCallOffersSoManyBytesAndNoMore) {
  queue().Append("before");
  queue().AppendOwned(std::string(3 * kOutputBytesPerWriteMax, 's'));
  queue().AppendFile(FileWith(std::string(kOutputBytesPerWriteMax + 1, 'f')), 0,
                     kOutputBytesPerWriteMax + 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(queue().WriteTo(sink_), (IoResult{IoResult::kDone, kOutputBytesPerWriteMax}));
  }
  EXPECT_EQ(queue().WriteTo(sink_), (IoResult{IoResult::kDone, 6}));
  ASSERT_TRUE(queue().WriteTo(sink_).ok());
  EXPECT_EQ(sink_.asked_of_file, kOutputBytesPerWriteMax);
  EXPECT_EQ(Drain().kind(), IoResult::kDone);
  EXPECT_EQ(sink_.taken.size(), 4 * kOutputBytesPerWriteMax + 7);
}

TEST_F(OutputQueueTest, WritesNoMoreThanItIsTold) {
  const std::string lent(10, 'l');
  queue().AppendBorrowed(lent);
  EXPECT_EQ(queue().WriteTo(sink_, 4), (IoResult{IoResult::kDone, 4}));
  queue().OwnBorrowed();
  queue().AppendOwned(std::string(2000, 's'));
  queue().AppendFile(FileWith(std::string(100, 'f')), 0, 100);
  EXPECT_EQ(queue().WriteTo(sink_, 7), (IoResult{IoResult::kDone, 7}));
  EXPECT_EQ(queue().WriteTo(sink_, 5000), (IoResult{IoResult::kDone, 1999}));
  EXPECT_EQ(queue().WriteTo(sink_, 99), (IoResult{IoResult::kDone, 99}));
  EXPECT_EQ(queue().bytes(), 1u);
  EXPECT_EQ(Drain(), (IoResult{IoResult::kDone, 1}));
  EXPECT_EQ(sink_.taken, lent + std::string(2000, 's') + std::string(100, 'f'));
}

TEST_F(OutputQueueTest, LessTakenThanOfferedMeansToWait) {
  queue().Append("hello");
  sink_.room = 4;
  EXPECT_EQ(queue().WriteTo(sink_), (IoResult{IoResult::kWantWrite, 4}));
  EXPECT_EQ(queue().WriteTo(sink_), (IoResult{IoResult::kWantWrite, 0}));
  EXPECT_EQ(queue().bytes(), 1u);
}

TEST_F(OutputQueueTest, WhatATransportNeedsIsPassedOn) {
  queue().Append("hello");
  sink_.room = 0;
  sink_.wants = IoResult::kWantRead;
  EXPECT_EQ(queue().WriteTo(sink_), (IoResult{IoResult::kWantRead, 0}));
  EXPECT_EQ(queue().bytes(), 5u);
}

TEST_F(OutputQueueTest, CutAnywhereTheBytesStayTheSame) {
  const std::string large(1500, 'L');
  for (size_t per_call : {1, 2, 3, 7, 1024, 1499, 1500, 1501}) {
    sink_.per_call = per_call;
    queue().Append("first ");
    queue().AppendOwned(large);
    queue().AppendFile(FileWith("a file"), 0, 6);
    queue().AppendOwned(absl::Cord(large));
    queue().Append(" last");
    EXPECT_EQ(queue().bytes(), 2 * 1500u + 17);
    EXPECT_EQ(Drained(), absl::StrCat("first ", large, "a file", large, " last")) << per_call;
  }
}

TEST_F(OutputQueueTest, AnErrorIsPassedOnAndClearingGivesAllBack) {
  queue().Append("small");
  queue().AppendOwned(std::string(2000, 'x'));
  queue().AppendFile(FileWith("file"), 0, 4);
  sink_.error = EPIPE;
  EXPECT_EQ(queue().WriteTo(sink_), IoResult::Failed(IoCall::kSend, EPIPE));
  queue().Clear();
  EXPECT_EQ(queue().bytes() + queue().memory_bytes(), 0u);
  EXPECT_EQ(blocks() + nodes(), 0u);
}

TEST_F(OutputQueueTest, DestroyedItGivesAllBack) {
  queue().Append("small");
  queue().AppendOwned(std::string(2000, 'x'));
  queue().AppendBorrowed("borrowed");
  UniqueFd file = FileWith("file");
  const int fd = file.get();
  queue().AppendFile(std::move(file), 0, 4);
  queue_.reset();
  EXPECT_FALSE(Open(fd));
}

// Files.

TEST_F(OutputQueueTest, ARangeOfAFileGoesAndTheFileIsClosed) {
  UniqueFd file = FileWith("0123456789");
  const int fd = file.get();
  queue().AppendFile(std::move(file), 3, 4);
  EXPECT_EQ(queue().bytes(), 4u);
  EXPECT_EQ(Drained(), "3456");
  EXPECT_FALSE(Open(fd));
}

TEST_F(OutputQueueTest, SeveralFilesKeepTheirPlaceBetweenStrings) {
  queue().Append("a");
  queue().AppendFile(FileWith("file one"), 0, 8);
  queue().AppendFile(FileWith("file two"), 5, 3);
  queue().Append("b");
  queue().AppendFile(FileWith(std::string(100'000, 'f')), 0, 100'000);
  queue().Append("c");
  EXPECT_EQ(queue().bytes(), 8 + 3 + 100'000 + 3u);
  EXPECT_EQ(Drained(), absl::StrCat("afile onetwob", std::string(100'000, 'f'), "c"));
}

TEST_F(OutputQueueTest, FilesDoNotCountAsMemory) {
  queue().Append("abc");
  queue().AppendFile(FileWith("0123456789"), 0, 10);
  queue().AppendOwned(std::string(2000, 'x'));
  EXPECT_EQ(queue().bytes(), 2013u);
  EXPECT_EQ(queue().memory_bytes(), 2003u);
  sink_.room = 3 + 4;
  Drain();
  EXPECT_EQ(queue().bytes(), 2006u);
  EXPECT_EQ(queue().memory_bytes(), 2000u);
}

TEST_F(OutputQueueTest, WhatIsMissingOfAFileThatProvesShorterIsTold) {
  queue().AppendFile(FileWith("0123456789"), 4, 9);
  EXPECT_EQ(queue().WriteTo(sink_), (IoResult{IoResult::kDone, 6}));
  EXPECT_EQ(queue().WriteTo(sink_), (IoResult{IoResult::kEnd, 3}));
  EXPECT_EQ(queue().bytes(), 3u);
}

TEST_F(OutputQueueTest, AFileWithoutTheRangeIsMissedAtOnce) {
  queue().AppendFile(FileWith("0123456789"), 10, 1);
  EXPECT_EQ(queue().WriteTo(sink_), (IoResult{IoResult::kEnd, 1}));
}

// More is missing than one write would have been offered.
TEST_F(OutputQueueTest, AllThatIsMissingIsTold) {
  queue().AppendFile(FileWith("0123456789"), 10, 3 * kOutputBytesPerWriteMax);
  EXPECT_EQ(queue().WriteTo(sink_), (IoResult{IoResult::kEnd, 3 * kOutputBytesPerWriteMax}));
}

TEST_F(OutputQueueTest, WhatIsNoFileIsAnError) {
  queue().AppendFile(UniqueFd(), 0, 1);
  EXPECT_EQ(queue().WriteTo(sink_), IoResult::Failed(IoCall::kPread, EBADF));
}

// Borrowed bytes.

TEST_F(OutputQueueTest, BorrowedBytesThatGoAreNotCopied) {
  std::string memory = "borrowed";
  queue().AppendBorrowed(memory);
  EXPECT_EQ(queue().bytes(), 8u);
  EXPECT_EQ(blocks(), 0u);
  EXPECT_EQ(Drained(), "borrowed");
  EXPECT_EQ(sink_.pieces[0].data(), memory.data());
  queue().OwnBorrowed();
  EXPECT_TRUE(queue().empty());
}

TEST_F(OutputQueueTest, BorrowedBytesThatStayAreCopied) {
  std::string memory = "borrowed";
  queue().Append("<");
  queue().AppendBorrowed(memory);
  queue().Append(">");
  sink_.room = 3;
  Drain();
  queue().OwnBorrowed();
  EXPECT_EQ(queue().bytes(), 7u);
  memory.assign(8, '!');
  queue().OwnBorrowed();
  EXPECT_EQ(queue().bytes(), 7u);
  sink_.room = Sink::kMuch;
  EXPECT_EQ(Drained(), "<borrowed>");
}

TEST_F(OutputQueueTest, SeveralLoansAmongOthersKeepTheirOrder) {
  std::string one(3000, '1'), two(5000, '2');
  queue().AppendBorrowed(one);
  queue().AppendOwned(std::string(1024, 'o'));
  queue().AppendBorrowed(two);
  queue().AppendFile(FileWith("file"), 0, 4);
  queue().AppendBorrowed("three");
  const std::string expected = absl::StrCat(one, std::string(1024, 'o'), two, "file", "three");
  queue().OwnBorrowed();
  EXPECT_EQ(queue().bytes(), expected.size());
  one.assign(3000, '!');
  two.assign(5000, '!');
  EXPECT_EQ(Drained(), expected);
}

TEST_F(OutputQueueTest, ClearingForgetsLoans) {
  {
    const std::string memory(100, 'x');
    queue().AppendBorrowed(memory);
    queue().Clear();
  }
  queue().OwnBorrowed();
  EXPECT_TRUE(queue().empty());
}

}  // namespace
}  // namespace millrace
