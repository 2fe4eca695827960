// SPDX-License-Identifier: Apache-2.0
//
// LineEditor turns what a keyboard sends into a line of text and a cursor, with a history. It does
// no input or output: bytes in, in whatever pieces they come, and events out. One thread; owned by
// whoever has the keyboard.
//
//   LineEditor editor;
//   absl::string_view input = "hello\n";
//   editor.Take(input);                        // kEnter, editor.text() is "hello".
//   editor.Finish();                           // It was sent: into the history with it.
//
// Keys: Left, Right, Home, End, Ctrl-A, -E, -B, -F; Backspace, Delete, Ctrl-D; Ctrl-U, -K and -W
// (kill to the front, to the end, the word before); Up, Down, Ctrl-P, -N (history); Ctrl-L. Escape
// sequences that it does not know are swallowed. What is not UTF-8 is kept as it came, so that it
// can be seen, and refused, and mended.

#ifndef MILLRACE_EXAMPLES_CHAT_TERMINAL_LINE_EDITOR_H_
#define MILLRACE_EXAMPLES_CHAT_TERMINAL_LINE_EDITOR_H_

#include <cstddef>
#include <deque>
#include <string>

#include "absl/strings/string_view.h"

namespace millrace {

class LineEditor {
 public:
  // Four times what a chat line may have: enough to paste too much and cut it down.
  static constexpr size_t kTextBytesMax = 16384;
  static constexpr size_t kHistoryLinesMax = 100;

  enum class Event {
    kNone,         // All input is taken.
    kEnter,        // The line is whole. It stays until Finish(): who cannot use it leaves it there.
    kEnd,          // Ctrl-D on an empty line.
    kInterrupt,    // Ctrl-C, where the terminal does not make a signal of it.
    kClearScreen,  // Ctrl-L.
    kFull,         // Input was dropped, since there are kTextBytesMax. Told once, until some go.
  };

  // Takes bytes off the front of `input` until something happens.
  Event Take(absl::string_view& input);

  const std::string& text() const { return text_; }
  // In bytes; between code points.
  size_t cursor() const { return cursor_; }

  // Puts the text into the history, if there is any, and begins a new line.
  void Finish();

 private:
  enum class State {
    kText,
    kEscape,     // After ESC.
    kSequence,   // After ESC [, up to its last byte.
    kOneLetter,  // After ESC O, or after ESC [ [: one letter more.
  };

  Event TakeByte(char byte);
  Event TakeText(char byte);
  Event TakePiece(char byte);
  Event TakeControl(char byte);
  Event TakeEscape(char byte);
  Event TakeSequence(char byte);
  void RunKey(char final_byte);
  void RunNumberedKey();

  Event Insert(absl::string_view bytes);
  void Erase(size_t begin, size_t end);
  void EraseBefore();
  void EraseAfter();
  void EraseWordBefore();
  void MoveLeft();
  void MoveRight();
  void Recall(size_t index);
  void RecallOlder();
  void RecallNewer();

  std::string text_;
  size_t cursor_ = 0;
  std::string partial_;  // The bytes so far of a code point that comes in pieces.
  bool full_told_ = false;

  State state_ = State::kText;
  std::string parameters_;  // Of the sequence; what is too long for any we know is cut.

  std::deque<std::string> history_;
  size_t history_at_ = 0;  // history_.size(): the line that is not in it yet.
  std::string draft_;      // That line, while an older one is shown.
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_TERMINAL_LINE_EDITOR_H_
