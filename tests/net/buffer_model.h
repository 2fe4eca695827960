// SPDX-License-Identifier: Apache-2.0
//
// BufferModel makes any calls to two Buffers and the same to two std::strings, and dies when they
// differ. Which calls, and with what, comes from outside: from a seed in buffer_model_test, from
// libFuzzer in buffer_fuzzer. One thread at a time.
//
//   Random random(seed);
//   BufferModel model([&](size_t n) { return random.Below(n); });
//   for (int i = 0; i < 1000; ++i) model.Step();

#ifndef MILLRACE_TESTS_NET_BUFFER_MODEL_H_
#define MILLRACE_TESTS_NET_BUFFER_MODEL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/log/check.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/buffer.h"

namespace millrace {

class BufferModel {
 public:
  // Any number below `n`, which is not 0.
  using Choose = absl::AnyInvocable<size_t(size_t n)>;

  explicit BufferModel(Choose choose) : choose_(std::move(choose)) {}

  // Makes one call to one of the two, and compares both.
  void Step() {
    using Call = void (BufferModel::*)(Subject&, Subject&);
    static constexpr Call kCalls[] = {
        &BufferModel::Append,   &BufferModel::AppendPart,  &BufferModel::Prepend,
        &BufferModel::Consume,  &BufferModel::PrependPart, &BufferModel::Receive,
        &BufferModel::DropEnd,  &BufferModel::TruncateTo,  &BufferModel::Shrink,
        &BufferModel::Own,      &BufferModel::Borrow,      &BufferModel::MoveAllFrom,
        &BufferModel::Move,     &BufferModel::MoveFrom,    &BufferModel::Swap,
        &BufferModel::ReadLine, &BufferModel::Integers,    &BufferModel::ReadUntil,
        &BufferModel::Find,     &BufferModel::CopyOut,     &BufferModel::Consume,
    };
    const size_t chosen = choose_(2);
    (this->*kCalls[choose_(std::size(kCalls))])(subjects_[chosen], subjects_[1 - chosen]);
    for (Subject& subject : subjects_) Compare(subject);
  }

 private:
  struct Subject {
    Buffer buffer;
    std::string model;
  };

  static constexpr size_t kBytesMax = 100'000;

  static void Compare(Subject& s) {
    CHECK_EQ(s.buffer.readable(), s.model);
    CHECK_EQ(s.buffer.size(), s.model.size());
    CHECK_EQ(s.buffer.empty(), s.model.empty());
    CHECK(!s.buffer.borrowed() || s.buffer.capacity() == 0);
    CHECK_EQ(s.buffer.capacity() == 0, s.model.empty() || s.buffer.borrowed());
    if (s.model.size() > kBytesMax) s = Subject();
  }

  // Few different ones, so that lines and delimiters come up.
  std::string Bytes() {
    const size_t size = choose_(20) == 0 ? choose_(9000) : choose_(40);
    const size_t first = choose_(8);
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = "\r\n\0ab\r\n-"[(first + i * i) % 8];
    return bytes;
  }
  size_t UpTo(size_t n) { return choose_(n + 1); }
  size_t Some(const Subject& s) {
    return UpTo(choose_(2) == 0 ? s.model.size() : s.model.size() / 8);
  }

  void Append(Subject& s, Subject&) {
    const std::string bytes = Bytes();
    s.buffer.Append(bytes);
    s.model.append(bytes);
  }

  void AppendPart(Subject& s, Subject&) {
    const size_t from = Some(s), n = UpTo(s.model.size() - from);
    s.buffer.Append(s.buffer.readable().substr(from, n));
    s.model.append(std::string(s.model, from, n));
  }

  void Prepend(Subject& s, Subject&) {
    const std::string bytes = Bytes();
    s.buffer.Prepend(bytes);
    s.model.insert(0, bytes);
  }

  void PrependPart(Subject& s, Subject&) {
    const size_t from = Some(s), n = UpTo(s.model.size() - from);
    s.buffer.Prepend(s.buffer.readable().substr(from, n));
    s.model.insert(0, std::string(s.model, from, n));
  }

  void Receive(Subject& s, Subject&) {
    const std::string bytes = Bytes();
    absl::Span<char> room = s.buffer.Reserve(bytes.size() + choose_(1000));
    CHECK_GE(room.size(), bytes.size());
    std::fill(room.begin(), room.end(), '#');
    std::copy(bytes.begin(), bytes.end(), room.begin());
    s.buffer.Commit(bytes.size());
    s.model.append(bytes);
  }

  void Consume(Subject& s, Subject&) {
    const size_t n = Some(s);
    s.buffer.Consume(n);
    s.model.erase(0, n);
  }

  void DropEnd(Subject& s, Subject&) {
    const size_t n = Some(s);
    s.buffer.DropEnd(n);
    s.model.resize(s.model.size() - n);
  }

  void TruncateTo(Subject& s, Subject&) {
    const size_t n = s.model.size() - Some(s);
    s.buffer.TruncateTo(n);
    s.model.resize(n);
  }

  void Shrink(Subject& s, Subject&) {
    s.buffer.Shrink();
    CHECK_LE(s.buffer.capacity(), s.model.size() * 2 + 4096);
  }

  void Own(Subject& s, Subject&) {
    s.buffer.Own();
    CHECK(!s.buffer.borrowed());
  }

  // In memory of just the right size, so that AddressSanitizer guards both of its ends.
  void Borrow(Subject& s, Subject&) {
    s.model = Bytes();
    memory_.emplace_back(s.model.begin(), s.model.end());
    std::destroy_at(&s.buffer);  // Assigning would copy.
    new (&s.buffer) Buffer(Buffer::Borrow(absl::MakeSpan(memory_.back()), s.model.size()));
    CHECK_EQ(s.buffer.borrowed(), !s.model.empty());
  }

  void MoveAllFrom(Subject& s, Subject& other) {
    CHECK_EQ(s.buffer.MoveFrom(other.buffer), other.model.size());
    s.model += std::exchange(other.model, "");
  }

  void MoveFrom(Subject& s, Subject& other) {
    const size_t n = Some(other) + choose_(2);
    const size_t moved = std::min(n, other.model.size());
    CHECK_EQ(s.buffer.MoveFrom(other.buffer, n), moved);
    s.model.append(other.model, 0, moved);
    other.model.erase(0, moved);
  }

  void Move(Subject& s, Subject& other) {
    s.buffer = std::move(other.buffer);
    s.model = std::exchange(other.model, "");
    CHECK(!s.buffer.borrowed());
  }

  void Swap(Subject& s, Subject& other) {
    s.buffer.swap(other.buffer);
    s.model.swap(other.model);
    CHECK(!s.buffer.borrowed() && !other.buffer.borrowed());
  }

  void Integers(Subject& s, Subject&) {
    const size_t had = s.model.size();
    s.buffer.AppendU32(0x0d0a0001);
    s.buffer.PrependU16(0x2d61);
    s.model.insert(0, "-a").append("\r\n\0\1", 4);
    CHECK_EQ(s.buffer.PeekU16(), 0x2d61);
    CHECK_EQ(s.buffer.PeekU32(had + 2), 0x0d0a0001u);
    CHECK_EQ(s.buffer.ReadU8(), 0x2d);
    s.model.erase(0, 1);
  }

  void ReadLine(Subject& s, Subject&) {
    const Buffer::Eol style = Buffer::Eol(choose_(4));
    const absl::string_view end = style == Buffer::Eol::kCrlf  ? absl::string_view("\r\n")
                                  : style == Buffer::Eol::kNul ? absl::string_view("\0", 1)
                                                               : absl::string_view("\n");
    std::optional<std::string> line = ModelReadUntil(s, end);
    if (line && style == Buffer::Eol::kAny && !line->empty() && line->back() == '\r') {
      line->pop_back();
    }
    CHECK(s.buffer.ReadLine(style) == line);
  }

  void ReadUntil(Subject& s, Subject&) {
    std::string delimiter = Bytes().substr(0, 4);
    if (delimiter.empty()) delimiter = "-";
    const std::optional<std::string> bytes = ModelReadUntil(s, delimiter);
    CHECK(s.buffer.ReadUntil(delimiter) == bytes);
  }

  static std::optional<std::string> ModelReadUntil(Subject& s, absl::string_view delimiter) {
    const size_t found = s.model.find(delimiter);
    if (found == std::string::npos) return std::nullopt;
    std::string bytes = s.model.substr(0, found);
    s.model.erase(0, found + delimiter.size());
    return bytes;
  }

  void Find(Subject& s, Subject&) {
    const std::string bytes = Bytes().substr(0, 3);
    const size_t from = Some(s) + choose_(3);
    CHECK_EQ(s.buffer.Find(bytes, from).value_or(std::string::npos), s.model.find(bytes, from));
    CHECK_EQ(s.buffer.Find('-', from).value_or(std::string::npos), s.model.find('-', from));
    CHECK_EQ(s.buffer.FindCrlf(from).value_or(std::string::npos), s.model.find("\r\n", from));
  }

  void CopyOut(Subject& s, Subject&) {
    std::string into(choose_(100), '#');
    const size_t offset = Some(s);
    const size_t copied = s.buffer.CopyOut(absl::MakeSpan(into), offset);
    CHECK_EQ(into.substr(0, copied), s.model.substr(offset, into.size()));
    CHECK_EQ(into.substr(copied), std::string(into.size() - copied, '#'));
  }

  Choose choose_;
  std::deque<std::vector<char>> memory_;  // What was lent; before the borrowers, to outlive them.
  Subject subjects_[2];
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_NET_BUFFER_MODEL_H_
