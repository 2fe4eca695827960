// SPDX-License-Identifier: Apache-2.0
#include "tests/examples/chat_client/terminal_model.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "base/utf8.h"
#include "examples/chat/terminal/text.h"

namespace millrace {

void TerminalModel::Write(absl::string_view bytes) {
  waiting_.append(bytes.data(), bytes.size());
  size_t taken = 0;
  while (taken < waiting_.size()) {
    const size_t n = TakeOne(absl::string_view(waiting_).substr(taken));
    if (n == 0) break;
    taken += n;
  }
  waiting_.erase(0, taken);
}

// How many bytes it took; 0 if there must be more.
size_t TerminalModel::TakeOne(absl::string_view bytes) {
  if (bytes[0] == '\033') return TakeSequence(bytes);
  if (bytes[0] == '\r') {
    column_ = 0;
  } else if (bytes[0] == '\n') {
    NextRow();
  } else if (static_cast<unsigned char>(bytes[0]) < ' ') {
    strange_.push_back(absl::StrFormat("%02X", bytes[0]));
  } else {
    if (IsUtf8Prefix(bytes)) return 0;
    const absl::string_view character = bytes.substr(0, FirstCodePoint(bytes).bytes);
    Put(character, static_cast<size_t>(Columns(character)));
    return character.size();
  }
  return 1;
}

size_t TerminalModel::TakeSequence(absl::string_view bytes) {
  if (bytes.size() < 2) return 0;
  if (bytes[1] != '[') {
    strange_.emplace_back(bytes.substr(1, 1));
    return 2;
  }
  const auto last =
      std::find_if(bytes.begin() + 2, bytes.end(), [](char c) { return c >= '@' && c <= '~'; });
  if (last == bytes.end()) return 0;
  const auto size = static_cast<size_t>(last - bytes.begin()) + 1;
  Obey(std::string(bytes.substr(2, size - 2)));
  return size;
}

void TerminalModel::Obey(const std::string& sequence) {
  int count = 0;
  if (sequence.back() == 'm') {
    colours_.push_back(sequence);
  } else if (sequence == "J" || sequence == "K") {
    cells_.resize(sequence == "J" ? row_ + 1 : cells_.size());
    if (cells_[row_].size() > column_) cells_[row_].resize(column_);
  } else if (sequence == "H") {
    row_ = column_ = 0;
  } else if (sequence == "2J") {
    cells_.assign(row_ + 1, {});
  } else if (sequence.back() == 'C' &&
             absl::SimpleAtoi(sequence.substr(0, sequence.size() - 1), &count)) {
    column_ = std::min(column_ + static_cast<size_t>(count), columns_ - 1);
  } else {
    strange_.push_back(sequence);
  }
}

void TerminalModel::Put(absl::string_view character, size_t width) {
  if (column_ + width > columns_) {
    column_ = 0;
    NextRow();
  }
  std::vector<std::string>& row = cells_[row_];
  if (row.size() < column_ + width) row.resize(column_ + width, " ");
  for (size_t i = 0; i < width; ++i) row[column_ + i] = i == 0 ? std::string(character) : "";
  column_ += width;
}

// A newline also returns, as the system has a terminal do it.
void TerminalModel::NextRow() {
  column_ = 0;
  if (++row_ == cells_.size()) cells_.emplace_back();
}

std::string TerminalModel::RowText(size_t row) const {
  std::string text;
  for (const std::string& cell : cells_[row]) text += cell;
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::vector<std::string> TerminalModel::rows() const {
  std::vector<std::string> rows;
  for (size_t row = 0; row < cells_.size(); ++row) rows.push_back(RowText(row));
  while (!rows.empty() && rows.back().empty()) rows.pop_back();
  return rows;
}

}  // namespace millrace
