// SPDX-License-Identifier: Apache-2.0
//
// Buffer holds bytes between a socket and a codec, in one piece: added at the end, taken from the
// front. Move-only; whoever holds it owns it. Not synchronised: one thread at a time. It holds no
// memory while it is empty: consuming the last byte gives its block back.
//
//   std::optional<std::string> Decode(Buffer& input) {       // A length, then so many bytes.
//     if (input.size() < 4) return std::nullopt;
//     const size_t length = input.PeekU32();
//     if (input.size() - 4 < length) return std::nullopt;    // The rest is still on its way.
//     input.Consume(4);
//     return input.ReadString(length);
//   }
//
// A Buffer may also *stand on borrowed memory*. A handler's input is a view of the receive buffer
// that all connections of a loop share, so bytes that are understood at once are never copied. The
// loan ends with the handler's call. It is not handed on: Own(), and moving the Buffer, copy what
// is unread. What adds bytes at the end owns first; Prepend() may write over what was consumed.
//
// Asking for bytes that are not there ends the process, in optimised builds too: lengths come from
// peers. Under AddressSanitizer all of an owned block but what is readable, or was reserved, is
// poisoned, so that a view kept for too long, or a parser that reads past the end, is reported.

#ifndef MILLRACE_NET_BUFFER_H_
#define MILLRACE_NET_BUFFER_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "absl/base/attributes.h"
#include "absl/base/config.h"
#include "absl/base/optimization.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace millrace {

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { swap(other); }  // Empties `other`; copies if it is borrowed.
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer() { Release(); }

  // Stands on `memory`, whose first `n` bytes can be read. It is never freed, but may be written
  // over; it must outlive the loan, which ends with Own() or the last byte consumed.
  static Buffer Borrow(absl::Span<char> memory, size_t n) {
    if (ABSL_PREDICT_FALSE(n > memory.size())) DieOutOfBounds("Borrow", n, memory.size());
    return n == 0 ? Buffer() : Buffer(memory.data(), n);
  }
  bool borrowed() const { return limit_ == nullptr && block_ != nullptr; }
  void Own();  // Copies what is unread to a block of its own. Does nothing if nothing is borrowed.

  // Views of the bytes not yet consumed. Valid until the next non-const call.
  absl::string_view readable() const { return {begin_, size()}; }
  char* data() { return begin_; }
  size_t size() const { return static_cast<size_t>(end_ - begin_); }
  bool empty() const { return begin_ == end_; }
  // Of the memory it owns: 0 when borrowed or empty.
  size_t capacity() const { return limit_ == nullptr ? 0 : static_cast<size_t>(limit_ - block_); }

  // Takes `n` bytes off the front. Requires: n <= size(). O(1).
  void Consume(size_t n) {
    if (ABSL_PREDICT_FALSE(n > size())) DieOutOfBounds("Consume", n, size());
    begin_ += n;
    Settle();
  }
  // Takes all but the first `n` bytes, or the last `n`, off the end. Requires: n <= size(). O(1).
  void TruncateTo(size_t n);
  void DropEnd(size_t n);
  void Clear() { Release(); }
  // Gives spare capacity back, by copying to a smaller block if that saves memory.
  void Shrink();
  void swap(Buffer& other) noexcept;  // Owns both first.

  // At least `n` writable bytes at the end, for Commit() to make the first of them readable. Valid
  // until the next non-const call. Amortised O(1) for each byte, however slowly it is consumed.
  absl::Span<char> Reserve(size_t n) {
    if (ABSL_PREDICT_FALSE(n > spare())) MakeRoom(n);
    Unpoison(end_, spare());
    return {end_, spare()};
  }
  // Requires: `n` <= what Reserve() returned. Gives the block back if it is still empty.
  void Commit(size_t n) {
    if (ABSL_PREDICT_FALSE(n > spare())) DieOutOfBounds("Commit", n, spare());
    end_ += n;
    Settle();
  }
  void Append(absl::string_view bytes);   // Copies, also a part of itself.
  void Prepend(absl::string_view bytes);  // The same.
  // Takes all of `other`, or its first `n` bytes (fewer if it has fewer), and returns how many. If
  // this is empty and `other` owns its block and all is taken, the block moves; else bytes are
  // copied, so this never borrows. Requires: `other` is not this.
  size_t MoveFrom(Buffer& other);
  size_t MoveFrom(Buffer& other, size_t n);

  // In network byte order. Peek and Read require that there are enough bytes.
  void AppendU8(uint8_t value) { AppendInteger(value); }
  void AppendU16(uint16_t value) { AppendInteger(value); }
  void AppendU32(uint32_t value) { AppendInteger(value); }
  void AppendU64(uint64_t value) { AppendInteger(value); }
  void PrependU8(uint8_t value) { PrependInteger(value); }
  void PrependU16(uint16_t value) { PrependInteger(value); }
  void PrependU32(uint32_t value) { PrependInteger(value); }
  void PrependU64(uint64_t value) { PrependInteger(value); }
  uint8_t PeekU8(size_t offset = 0) const { return PeekInteger<uint8_t>(offset); }
  uint16_t PeekU16(size_t offset = 0) const { return PeekInteger<uint16_t>(offset); }
  uint32_t PeekU32(size_t offset = 0) const { return PeekInteger<uint32_t>(offset); }
  uint64_t PeekU64(size_t offset = 0) const { return PeekInteger<uint64_t>(offset); }
  uint8_t ReadU8() { return ReadInteger<uint8_t>(); }
  uint16_t ReadU16() { return ReadInteger<uint16_t>(); }
  uint32_t ReadU32() { return ReadInteger<uint32_t>(); }
  uint64_t ReadU64() { return ReadInteger<uint64_t>(); }

  // Where the first match lies that is wholly at or after `from`, counted from the first readable
  // byte. A search that failed may be taken up where it ended, less the pattern's length less one:
  // from size() for one byte, from size() - 1 for CRLF. Past the end nothing is found.
  std::optional<size_t> Find(char byte, size_t from = 0) const;
  std::optional<size_t> Find(absl::string_view bytes, size_t from = 0) const;
  std::optional<size_t> FindCrlf(size_t from = 0) const;

  // What ends a line. A lone CR never does: it belongs to the line, in every style.
  enum class Eol {
    kLf,    // LF. A CR before it belongs to the line.
    kCrlf,  // CR LF. A lone LF belongs to the line.
    kAny,   // LF, or CR LF: one CR before the LF belongs to the end, further ones to the line.
    kNul,   // A zero byte.
  };
  struct EolPosition {
    size_t position;  // Of the end's first byte, which is the length of what precedes it.
    size_t length;    // Of the end itself: 1 or 2.
  };
  // As Find(); a CR that lies before `from` is not counted to the end.
  std::optional<EolPosition> FindEol(Eol style, size_t from = 0) const;

  // The first line, without its end, which is consumed with it. nullopt, with nothing consumed: no
  // whole line is there yet. Each call searches from the front: bound size(), or resume FindEol().
  std::optional<std::string> ReadLine(Eol style);
  // The same, up to a delimiter. Requires: it is not empty.
  std::optional<std::string> ReadUntil(absl::string_view delimiter);
  // Consumes `n` bytes. Requires: n <= size().
  std::string ReadString(size_t n);
  // Copies what fits of the bytes from `offset` on, consuming none; returns how many.
  size_t CopyOut(absl::Span<char> into, size_t offset = 0) const;

 private:
  // Kept free before the first byte of each new block, so that a frame's header can be prepended
  // without moving the frame: the longest one in use, WebSocket's, takes 14.
  static constexpr size_t kHeadroom = 16;

  Buffer(char* borrowed, size_t n) : block_(borrowed), begin_(borrowed), end_(borrowed + n) {}
  [[noreturn]] ABSL_ATTRIBUTE_COLD static void DieOutOfBounds(const char* call, size_t wanted,
                                                              size_t have);
  size_t front() const { return static_cast<size_t>(begin_ - block_); }
  size_t spare() const { return limit_ == nullptr ? 0 : static_cast<size_t>(limit_ - end_); }
  // Each method that moves begin_ or end_ ends with this.
  void Settle() {
    if (begin_ == end_) return Release();
    PoisonUnreadable();
  }
  void Release() {
    if (limit_ != nullptr) FreeBlock();
    block_ = begin_ = end_ = limit_ = nullptr;
  }
  void FreeBlock();
  void MakeRoom(size_t n);
  void MakeFrontRoom(size_t n);
  void MoveToNewBlock(size_t front, size_t back);
  void EnlargeBlock(size_t back);
  void MoveWithinBlock(size_t front);
  std::optional<size_t> OffsetOfPart(absl::string_view bytes) const;
  std::string ReadAndSkip(size_t read_bytes, size_t skip_bytes);

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
  static void Unpoison(const char* bytes, size_t n);
  void PoisonUnreadable() const;
#else
  static void Unpoison(const char*, size_t) {}
  void PoisonUnreadable() const {}
#endif

  template <typename T>
  static T ToOrFromBigEndian(T value);
  template <typename T>
  void AppendInteger(T value);
  template <typename T>
  void PrependInteger(T value);
  template <typename T>
  T PeekInteger(size_t offset) const;
  template <typename T>
  T ReadInteger();

  // block_ <= begin_ <= end_ <= limit_. All are null when it holds nothing; limit_ alone is null if
  // the memory is borrowed, because nothing is ever added at the end of that.
  char* block_ = nullptr;
  char* begin_ = nullptr;
  char* end_ = nullptr;
  char* limit_ = nullptr;
};

inline void swap(Buffer& a, Buffer& b) noexcept { a.swap(b); }

template <typename T>
T Buffer::ToOrFromBigEndian(T value) {
  using std::endian;
  static_assert(endian::native == endian::little || endian::native == endian::big);
  if constexpr (endian::native == endian::big || sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

template <typename T>
void Buffer::AppendInteger(T value) {
  value = ToOrFromBigEndian(value);
  std::memcpy(Reserve(sizeof(T)).data(), &value, sizeof(T));
  end_ += sizeof(T);
  PoisonUnreadable();
}

template <typename T>
void Buffer::PrependInteger(T value) {
  value = ToOrFromBigEndian(value);
  Prepend({reinterpret_cast<const char*>(&value), sizeof(T)});
}

template <typename T>
T Buffer::PeekInteger(size_t offset) const {
  if (ABSL_PREDICT_FALSE(size() < sizeof(T) || offset > size() - sizeof(T))) {
    DieOutOfBounds("Peek", offset, size());
  }
  T value;
  std::memcpy(&value, begin_ + offset, sizeof(T));
  return ToOrFromBigEndian(value);
}

template <typename T>
T Buffer::ReadInteger() {
  const T value = PeekInteger<T>(0);
  Consume(sizeof(T));
  return value;
}

}  // namespace millrace

#endif  // MILLRACE_NET_BUFFER_H_
