// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <string>

#include "gtest/gtest.h"
#include "net/buffer.h"

namespace millrace {
namespace {

// A Buffer whose copying is counted: what was readable before a call and lies elsewhere after it,
// or in a block of another size, which realloc() may have copied.
class MeteredBuffer {
 public:
  void Append(size_t n) {
    Count(0, [&] { buffer_.Append(std::string(n, 'a')); });
  }
  void Prepend(size_t n) {
    Count(n, [&] { buffer_.Prepend(std::string(n, 'p')); });
  }
  // As a read of few bytes into much room.
  void Receive(size_t room, size_t n) {
    Count(0, [&] {
      buffer_.Reserve(room);
      buffer_.Commit(n);
    });
  }
  Buffer& buffer() { return buffer_; }
  size_t bytes_moved() const { return bytes_moved_; }

 private:
  template <typename Call>
  void Count(size_t prepended_bytes, Call call) {
    const char* const where = buffer_.data();
    const size_t had = buffer_.size(), capacity = buffer_.capacity();
    call();
    const bool moved = buffer_.data() + prepended_bytes != where || buffer_.capacity() != capacity;
    if (moved) bytes_moved_ += had;
  }

  Buffer buffer_;
  size_t bytes_moved_ = 0;
};

// Each bound is a small multiple of the bytes that came in.

TEST(BufferCostTest, ASlowReaderCostsLinearTime) {
  constexpr size_t kPiece = size_t{64} << 10, kPieces = 512;
  MeteredBuffer input;
  for (size_t i = 0; i < kPieces; ++i) {
    input.Append(kPiece);
    input.buffer().Consume(128);
  }
  EXPECT_LE(input.bytes_moved(), 2 * kPiece * kPieces);
  EXPECT_LE(input.buffer().capacity(), 3 * kPiece * kPieces);
}

TEST(BufferCostTest, AReaderInSmallStepsCostsLinearTime) {
  constexpr size_t kPiece = size_t{64} << 10, kPieces = 512;
  MeteredBuffer input;
  for (size_t i = 0; i < kPieces; ++i) {
    input.Append(kPiece);
    while (input.buffer().size() > 10'000) input.buffer().Consume(128);
  }
  EXPECT_LE(input.bytes_moved(), kPiece * kPieces);
  EXPECT_LE(input.buffer().capacity(), 4 * kPiece);
}

TEST(BufferCostTest, AReaderOneMessageBehindCostsLinearTimeAndBoundedMemory) {
  for (const size_t message : {1, 15, 16, 17, 100, 255, 4096, 5000}) {
    MeteredBuffer input;
    input.Append(message);
    for (int i = 0; i < 10'000; ++i) {
      input.Append(message);
      input.buffer().Consume(message);
    }
    EXPECT_LE(input.bytes_moved(), 10'000 * message) << message;
    EXPECT_LE(input.buffer().capacity(), 256 + 8192 + 4 * message) << message;
  }
}

TEST(BufferCostTest, SmallReadsIntoLargeRoomCostLinearTimeAndBoundedMemory) {
  constexpr size_t kRoom = size_t{64} << 10;
  for (const size_t unread : {1, 100, 5000}) {
    MeteredBuffer input;
    input.Append(unread);
    for (int i = 0; i < 20'000; ++i) {
      input.Receive(kRoom, 100);
      input.buffer().Consume(100);
    }
    EXPECT_LE(input.bytes_moved(), 20'000 * 100 + unread) << unread;
    EXPECT_LE(input.buffer().capacity(), kRoom + 4 * unread + 8192) << unread;
  }
}

TEST(BufferCostTest, GrowthByBytesCostsLinearTime) {
  MeteredBuffer buffer;
  for (int i = 0; i < 300'000; ++i) buffer.Append(1);
  EXPECT_LE(buffer.bytes_moved(), 2 * 300'000u);
}

TEST(BufferCostTest, PrependingByBytesCostsLinearTime) {
  MeteredBuffer buffer;
  for (int i = 0; i < 300'000; ++i) buffer.Prepend(1);
  EXPECT_LE(buffer.bytes_moved(), 3 * 300'000u);
}

TEST(BufferCostTest, BothEndsInTurnCostLinearTime) {
  MeteredBuffer buffer;
  for (int i = 0; i < 100'000; ++i) {
    buffer.Append(1);
    buffer.Prepend(1);
  }
  EXPECT_LE(buffer.bytes_moved(), 3 * 200'000u);
}

TEST(BufferCostTest, BothEndsInTurnOfAFullBufferCostLinearTime) {
  for (const size_t had : {300, 3000, 300'000}) {
    MeteredBuffer buffer;
    buffer.Append(had);
    for (int i = 0; i < 10'000; ++i) {  // Its size stays: no growth hides what moving costs.
      buffer.Append(2);
      buffer.Prepend(1);
      buffer.buffer().Consume(2);
      buffer.Prepend(3);
      buffer.buffer().DropEnd(4);
    }
    EXPECT_LE(buffer.bytes_moved(), 4 * (had + 60'000u)) << had;
  }
}

TEST(BufferCostTest, BothEndsInTurnOfALargeBlockCostLinearTime) {
  constexpr size_t kHad = 10'000;
  MeteredBuffer buffer;
  buffer.Receive(5 * kHad, kHad);
  for (size_t i = 0; i < kHad / 20; ++i) {
    buffer.Prepend(20);
    buffer.Append(1);
  }
  EXPECT_LE(buffer.bytes_moved(), 4 * kHad);
}

}  // namespace
}  // namespace millrace
