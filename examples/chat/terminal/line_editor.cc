// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/line_editor.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/utf8.h"

namespace millrace {
namespace {

constexpr char kEscapeByte = '\033';
constexpr char kDeleteByte = '\177';
constexpr size_t kParametersMax = 8;

// The byte that Ctrl and `letter` make.
constexpr char Ctrl(char letter) { return static_cast<char>(letter & 0x1F); }

bool IsControl(char byte) { return (byte >= 0 && byte < ' ') || byte == kDeleteByte; }
bool IsAscii(char byte) { return static_cast<uint8_t>(byte) < 0x80; }

}  // namespace

LineEditor::Event LineEditor::Take(absl::string_view& input) {
  while (!input.empty()) {
    const char byte = input[0];
    input.remove_prefix(1);
    const Event event = TakeByte(byte);
    if (event != Event::kNone) return event;
  }
  return Event::kNone;
}

LineEditor::Event LineEditor::TakeByte(char byte) {
  switch (state_) {
    case State::kText:
      return TakeText(byte);
    case State::kEscape:
      return TakeEscape(byte);
    case State::kSequence:
      return TakeSequence(byte);
    case State::kOneLetter:
      state_ = State::kText;
      if (IsControl(byte)) return TakeText(byte);
      if (parameters_.empty()) RunKey(byte);
      return Event::kNone;
  }
  return Event::kNone;
}

LineEditor::Event LineEditor::TakeText(char byte) {
  if (!partial_.empty() || !IsAscii(byte)) return TakePiece(byte);
  if (IsControl(byte)) return TakeControl(byte);
  return Insert({&byte, 1});
}

// Held back until it is whole. What proves to be none goes into the text byte by byte, where it is
// seen to be wrong.
LineEditor::Event LineEditor::TakePiece(char byte) {
  partial_.push_back(byte);
  if (IsUtf8Prefix(partial_)) return Event::kNone;
  std::string bytes = std::exchange(partial_, "");
  if (bytes.size() == 1 || FirstCodePoint(bytes).valid) return Insert(bytes);
  bytes.pop_back();
  const Event event = Insert(bytes);
  const Event next = TakeText(byte);
  return next == Event::kNone ? event : next;
}

LineEditor::Event LineEditor::TakeControl(char byte) {
  switch (byte) {
    case '\n':
    case '\r':
      return Event::kEnter;
    case '\t':
      return Insert(" ");
    case kEscapeByte:
      state_ = State::kEscape;
      break;
    case '\b':
    case kDeleteByte:
      EraseBefore();
      break;
    case Ctrl('A'):
      cursor_ = 0;
      break;
    case Ctrl('B'):
      MoveLeft();
      break;
    case Ctrl('C'):
      return Event::kInterrupt;
    case Ctrl('D'):
      if (text_.empty()) return Event::kEnd;
      EraseAfter();
      break;
    case Ctrl('E'):
      cursor_ = text_.size();
      break;
    case Ctrl('F'):
      MoveRight();
      break;
    case Ctrl('K'):
      Erase(cursor_, text_.size());
      break;
    case Ctrl('L'):
      return Event::kClearScreen;
    case Ctrl('N'):
      RecallNewer();
      break;
    case Ctrl('P'):
      RecallOlder();
      break;
    case Ctrl('U'):
      Erase(0, cursor_);
      break;
    case Ctrl('W'):
      EraseWordBefore();
      break;
  }
  return Event::kNone;
}

// ESC and a letter is Alt and that letter, which means nothing here. A control character, or one
// beyond ASCII, was typed after an ESC that stood alone.
LineEditor::Event LineEditor::TakeEscape(char byte) {
  parameters_.clear();
  if (byte == kEscapeByte) return Event::kNone;
  state_ = byte == '[' ? State::kSequence : byte == 'O' ? State::kOneLetter : State::kText;
  if (byte == kDeleteByte)
    EraseWordBefore();
  else if (IsControl(byte) || !IsAscii(byte))
    return TakeText(byte);
  return Event::kNone;
}

// ECMA-48: parameters from 20 to 3F, then one byte from 40 to 7E that says what it is.
LineEditor::Event LineEditor::TakeSequence(char byte) {
  if (IsControl(byte) || !IsAscii(byte)) {
    state_ = State::kText;
    return TakeText(byte);
  }
  if (byte < '@') {
    if (parameters_.size() < kParametersMax) parameters_.push_back(byte);
    return Event::kNone;
  }
  if (byte == '[' && parameters_.empty()) {  // A function key of the Linux console.
    parameters_ = "[";
    state_ = State::kOneLetter;
    return Event::kNone;
  }
  state_ = State::kText;
  byte == '~' ? RunNumberedKey() : RunKey(byte);
  return Event::kNone;
}

void LineEditor::RunKey(char final_byte) {
  switch (final_byte) {
    case 'A':
      return RecallOlder();
    case 'B':
      return RecallNewer();
    case 'C':
      return MoveRight();
    case 'D':
      return MoveLeft();
    case 'H':
      cursor_ = 0;
      return;
    case 'F':
      cursor_ = text_.size();
      return;
  }
}

void LineEditor::RunNumberedKey() {
  if (parameters_ == "1" || parameters_ == "7") cursor_ = 0;
  if (parameters_ == "4" || parameters_ == "8") cursor_ = text_.size();
  if (parameters_ == "3") EraseAfter();
}

LineEditor::Event LineEditor::Insert(absl::string_view bytes) {
  if (text_.size() + bytes.size() > kTextBytesMax) {
    return std::exchange(full_told_, true) ? Event::kNone : Event::kFull;
  }
  text_.insert(cursor_, bytes.data(), bytes.size());
  cursor_ += bytes.size();
  return Event::kNone;
}

void LineEditor::Erase(size_t begin, size_t end) {
  if (begin == end) return;
  text_.erase(begin, end - begin);
  cursor_ = begin;
  full_told_ = false;
}

void LineEditor::EraseBefore() {
  if (cursor_ > 0) Erase(CodePointBefore(text_, cursor_), cursor_);
}

void LineEditor::EraseAfter() {
  const size_t begin = cursor_;
  MoveRight();
  Erase(begin, cursor_);
}

void LineEditor::EraseWordBefore() {
  size_t begin = cursor_;
  while (begin > 0 && text_[begin - 1] == ' ') --begin;
  while (begin > 0 && text_[begin - 1] != ' ') --begin;
  Erase(begin, cursor_);
}

void LineEditor::MoveLeft() {
  if (cursor_ > 0) cursor_ = CodePointBefore(text_, cursor_);
}

void LineEditor::MoveRight() {
  if (cursor_ == text_.size()) return;
  cursor_ += FirstCodePoint(absl::string_view(text_).substr(cursor_)).bytes;
}

void LineEditor::Recall(size_t index) {
  if (history_at_ == history_.size()) draft_ = text_;
  history_at_ = index;
  text_ = index == history_.size() ? draft_ : history_[index];
  cursor_ = text_.size();
  full_told_ = false;
}

void LineEditor::RecallOlder() {
  if (history_at_ > 0) Recall(history_at_ - 1);
}

void LineEditor::RecallNewer() {
  if (history_at_ < history_.size()) Recall(history_at_ + 1);
}

void LineEditor::Finish() {
  const bool is_new = history_.empty() || history_.back() != text_;
  if (!text_.empty() && is_new) history_.push_back(text_);
  if (history_.size() > kHistoryLinesMax) history_.pop_front();
  history_at_ = history_.size();
  text_.clear();
  draft_.clear();
  cursor_ = 0;
  full_told_ = false;
}

}  // namespace millrace
