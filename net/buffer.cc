// SPDX-License-Identifier: Apache-2.0
//
// Why adding a byte costs O(1), amortised. Moving what is readable costs its size, `have`, and it
// happens only where as many bytes are added, or were consumed, between this move and another:
//  - down within the block, if at least `have` bytes before them are free: these were consumed, and
//    are free behind them now;
//  - to a new block, if fewer are. There, `have` more bytes than asked for fit behind them.
// Prepend() leaves half of what is free on either side, so that turns of both ends cost no more.

#include "net/buffer.h"

#include <cstdlib>
#include <functional>
#include <limits>
#include <utility>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/numeric/bits.h"

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace millrace {
namespace {

// More than any machine has, and small enough that no sum below can overflow.
constexpr size_t kBytesMax = std::numeric_limits<size_t>::max() / 8;

constexpr size_t kBlockBytesMin = 256;
constexpr size_t kPageBytes = 4096;

// Few sizes of small blocks serve the allocator's caches; large blocks are whole pages anyway.
size_t BlockBytes(size_t needed) {
  if (needed <= kBlockBytesMin) return kBlockBytesMin;
  if (needed <= kPageBytes) return absl::bit_ceil(needed);
  return (needed + kPageBytes - 1) / kPageBytes * kPageBytes;
}

// As realloc(3), which makes a new block if `block` is null, but never returns null.
char* Reallocate(char* block, size_t bytes) {
  void* const reallocated = std::realloc(block, bytes);
  CHECK(reallocated != nullptr) << "out of memory: a block of " << bytes << " bytes";
  return static_cast<char*>(reallocated);
}

}  // namespace

static_assert(sizeof(Buffer) == 32, "there is one in each connection");

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    Release();
    swap(other);
  }
  return *this;
}

void Buffer::Own() {
  if (borrowed()) MoveToNewBlock(kHeadroom, 0);
}

void Buffer::TruncateTo(size_t n) {
  if (n > size()) DieOutOfBounds("TruncateTo", n, size());
  end_ = begin_ + n;
  Settle();
}

void Buffer::DropEnd(size_t n) {
  if (n > size()) DieOutOfBounds("DropEnd", n, size());
  end_ -= n;
  Settle();
}

void Buffer::Shrink() {
  if (borrowed()) return;
  if (empty()) return Release();
  if (BlockBytes(kHeadroom + size()) < capacity()) MoveToNewBlock(kHeadroom, 0);
}

void Buffer::swap(Buffer& other) noexcept {
  Own();
  other.Own();
  std::swap(block_, other.block_);
  std::swap(begin_, other.begin_);
  std::swap(end_, other.end_);
  std::swap(limit_, other.limit_);
}

void Buffer::Append(absl::string_view bytes) {
  if (bytes.empty()) return;
  if (bytes.size() > spare()) {
    const std::optional<size_t> part = OffsetOfPart(bytes);
    MakeRoom(bytes.size());
    if (part) bytes = readable().substr(*part, bytes.size());
  }
  Unpoison(end_, bytes.size());
  std::memcpy(end_, bytes.data(), bytes.size());
  end_ += bytes.size();
  PoisonUnreadable();
}

void Buffer::Prepend(absl::string_view bytes) {
  if (bytes.empty()) return;
  if (bytes.size() > front()) {
    const std::optional<size_t> part = OffsetOfPart(bytes);
    MakeFrontRoom(bytes.size());
    if (part) bytes = readable().substr(*part, bytes.size());
  }
  begin_ -= bytes.size();
  Unpoison(begin_, bytes.size());
  // Not memcpy: they may be consumed bytes of the borrowed memory, and so overlap their new place.
  std::memmove(begin_, bytes.data(), bytes.size());
  PoisonUnreadable();
}

size_t Buffer::MoveFrom(Buffer& other) {
  CHECK_NE(this, &other) << "a Buffer cannot take its own bytes";
  const size_t n = other.size();
  if (empty()) {
    *this = std::move(other);
    Settle();
  } else {
    Append(other.readable());
    other.Clear();
  }
  return n;
}

size_t Buffer::MoveFrom(Buffer& other, size_t n) {
  if (n >= other.size()) return MoveFrom(other);
  CHECK_NE(this, &other) << "a Buffer cannot take its own bytes";
  Append(other.readable().substr(0, n));
  other.Consume(n);
  return n;
}

std::optional<size_t> Buffer::Find(char byte, size_t from) const {
  if (from >= size()) return std::nullopt;
  const void* found = std::memchr(begin_ + from, byte, size() - from);
  if (found == nullptr) return std::nullopt;
  return static_cast<const char*>(found) - begin_;
}

std::optional<size_t> Buffer::Find(absl::string_view bytes, size_t from) const {
  if (from > size()) return std::nullopt;
  if (bytes.empty()) return from;
  if (bytes.size() > size() - from) return std::nullopt;  // memmem() must not be given a null.
  // Not string_view::find(), whose time is the product of both sizes if a peer wants it to be.
  const void* found = memmem(begin_ + from, size() - from, bytes.data(), bytes.size());
  if (found == nullptr) return std::nullopt;
  return static_cast<const char*>(found) - begin_;
}

std::optional<size_t> Buffer::FindCrlf(size_t from) const {
  if (from >= size()) return std::nullopt;
  // By the LF: there are fewer lone ones of these than of CR in what is worth being fast for.
  for (std::optional<size_t> lf = Find('\n', from + 1); lf; lf = Find('\n', *lf + 1)) {
    if (begin_[*lf - 1] == '\r') return *lf - 1;
  }
  return std::nullopt;
}

std::optional<Buffer::EolPosition> Buffer::FindEol(Eol style, size_t from) const {
  const std::optional<size_t> found =
      style == Eol::kCrlf ? FindCrlf(from) : Find(style == Eol::kNul ? '\0' : '\n', from);
  if (!found) return std::nullopt;
  if (style == Eol::kCrlf) return EolPosition{*found, 2};
  if (style == Eol::kAny && *found > from && begin_[*found - 1] == '\r') {
    return EolPosition{*found - 1, 2};
  }
  return EolPosition{*found, 1};
}

std::optional<std::string> Buffer::ReadLine(Eol style) {
  const std::optional<EolPosition> end = FindEol(style);
  if (!end) return std::nullopt;
  return ReadAndSkip(end->position, end->length);
}

std::optional<std::string> Buffer::ReadUntil(absl::string_view delimiter) {
  CHECK(!delimiter.empty()) << "an empty delimiter delimits nothing";
  const std::optional<size_t> end = Find(delimiter);
  if (!end) return std::nullopt;
  return ReadAndSkip(*end, delimiter.size());
}

std::string Buffer::ReadString(size_t n) {
  if (n > size()) DieOutOfBounds("ReadString", n, size());
  return ReadAndSkip(n, 0);
}

size_t Buffer::CopyOut(absl::Span<char> into, size_t offset) const {
  if (offset >= size() || into.empty()) return 0;
  return readable().copy(into.data(), into.size(), offset);
}

void Buffer::DieOutOfBounds(const char* call, size_t wanted, size_t have) {
  LOG(FATAL) << "Buffer::" << call << " of " << wanted << " where there are " << have << " bytes";
}

void Buffer::FreeBlock() {
  Unpoison(block_, capacity());
  std::free(block_);
}

// Makes spare() at least `n`.
void Buffer::MakeRoom(size_t n) {
  const size_t have = size();
  CHECK_LE(n, kBytesMax - have) << "a Buffer cannot hold that much";
  const bool pays = limit_ != nullptr && front() >= kHeadroom + have;
  if (pays && n <= capacity() - kHeadroom - have) return MoveWithinBlock(kHeadroom);
  // Where little was consumed, keeping its place is less than the copying that it may save.
  if (limit_ != nullptr && front() <= have / 4) return EnlargeBlock(have + n);
  MoveToNewBlock(kHeadroom, have + n);
}

// Makes front() at least `n`.
void Buffer::MakeFrontRoom(size_t n) {
  const size_t have = size();
  CHECK_LE(n, kBytesMax - have) << "a Buffer cannot hold that much";
  const size_t unused = limit_ == nullptr ? 0 : capacity() - have;
  if (unused >= have + n) return MoveWithinBlock(n + (unused - n) / 2);
  MoveToNewBlock(n + kHeadroom + have / 2, have / 2);
}

// Moves the readable bytes to a new block, with `front` free bytes before them and at least `back`
// after them.
void Buffer::MoveToNewBlock(size_t front, size_t back) {
  const size_t have = size();
  const size_t block_bytes = BlockBytes(front + have + back);
  char* const block = Reallocate(nullptr, block_bytes);
  if (have > 0) std::memcpy(block + front, begin_, have);
  Release();
  block_ = block;
  begin_ = block + front;
  end_ = begin_ + have;
  limit_ = block + block_bytes;
  PoisonUnreadable();
}

// The same for an owned block, front() staying as it is. The system often does that without
// copying: it maps the pages of a large block elsewhere, or has the memory behind it free.
void Buffer::EnlargeBlock(size_t back) {
  const size_t have = size(), before = front();
  const size_t block_bytes = BlockBytes(before + have + back);
  Unpoison(block_, capacity());
  block_ = Reallocate(block_, block_bytes);
  begin_ = block_ + before;
  end_ = begin_ + have;
  limit_ = block_ + block_bytes;
  PoisonUnreadable();
}

void Buffer::MoveWithinBlock(size_t front) {
  const size_t have = size();
  Unpoison(block_, capacity());
  std::memmove(block_ + front, begin_, have);
  begin_ = block_ + front;
  end_ = begin_ + have;
  PoisonUnreadable();
}

// Where in the readable bytes `bytes` begins, if it is a part of them, and so moves with them.
std::optional<size_t> Buffer::OffsetOfPart(absl::string_view bytes) const {
  const std::less<const char*> before;  // Defined for pointers into different blocks, too.
  if (before(bytes.data(), begin_) || !before(bytes.data(), end_)) return std::nullopt;
  return bytes.data() - begin_;
}

std::string Buffer::ReadAndSkip(size_t read_bytes, size_t skip_bytes) {
  std::string bytes(readable().substr(0, read_bytes));
  Consume(read_bytes + skip_bytes);
  return bytes;
}

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
void Buffer::Unpoison(const char* bytes, size_t n) { ASAN_UNPOISON_MEMORY_REGION(bytes, n); }

void Buffer::PoisonUnreadable() const {
  if (limit_ == nullptr) return;
  ASAN_POISON_MEMORY_REGION(block_, front());
  ASAN_POISON_MEMORY_REGION(end_, spare());
}
#endif

}  // namespace millrace
