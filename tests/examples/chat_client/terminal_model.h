// SPDX-License-Identifier: Apache-2.0
//
// TerminalModel is a terminal as small as can be: it obeys what a client may write to one, and
// remembers what else it was told, because nobody should tell it. Owned by a test; one thread.
//
//   TerminalModel terminal(80);
//   terminal.Write("* alice joined\r\n> hi");
//   EXPECT_THAT(terminal.rows(), ElementsAre("* alice joined", "> hi"));

#ifndef MILLRACE_TESTS_EXAMPLES_CHAT_CLIENT_TERMINAL_MODEL_H_
#define MILLRACE_TESTS_EXAMPLES_CHAT_CLIENT_TERMINAL_MODEL_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace millrace {

class TerminalModel {
 public:
  explicit TerminalModel(size_t columns) : columns_(columns) {}

  // In any pieces.
  void Write(absl::string_view bytes);

  // From the top, without what is blank at the end of each and of all.
  std::vector<std::string> rows() const;
  // Where the cursor is, and the row it is in.
  size_t cursor_column() const { return column_; }
  std::string cursor_row() const { return RowText(row_); }
  // Sequences that turned colours on or off, in order, and those that it does not know.
  const std::vector<std::string>& colours() const { return colours_; }
  const std::vector<std::string>& strange() const { return strange_; }

 private:
  size_t TakeOne(absl::string_view bytes);
  size_t TakeSequence(absl::string_view bytes);
  void Obey(const std::string& sequence);
  void Put(absl::string_view character, size_t width);
  void NextRow();
  std::string RowText(size_t row) const;

  const size_t columns_;
  std::string waiting_;  // Bytes that are not whole yet.
  // A cell each; the second one of a wide character is empty.
  std::vector<std::vector<std::string>> cells_ = {{}};
  size_t row_ = 0, column_ = 0;
  std::vector<std::string> colours_, strange_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_EXAMPLES_CHAT_CLIENT_TERMINAL_MODEL_H_
