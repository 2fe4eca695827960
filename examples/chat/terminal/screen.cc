// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/screen.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "examples/chat/terminal/text.h"
#include "examples/chat/terminal/write_all.h"

namespace millrace {
namespace {

constexpr int kColumnsIfUnknown = 80;
constexpr absl::string_view kShortPrompt = "> ";
// To the first column, and nothing left of what stood there or, if the terminal has become narrower
// and has wrapped it, below.
constexpr absl::string_view kClearRow = "\r\033[J";
constexpr absl::string_view kClearAll = "\033[H\033[2J";
constexpr absl::string_view kPromptColour = "\033[1;34m";
constexpr absl::string_view kNoColour = "\033[0m";

// A code point as it is shown.
struct Cell {
  std::string shown;
  int column;  // Where it begins, in the whole text.
  int end_column;
};

// The cells of the text, and the column of the cursor in it.
std::vector<Cell> CellsOf(const InputRow& row, int& cursor_column) {
  std::vector<Cell> cells;
  int column = 0;
  for (size_t at = 0; at < row.text.size();) {
    if (at == row.cursor) cursor_column = column;
    const absl::string_view point = row.text.substr(at, FirstCodePoint(row.text.substr(at)).bytes);
    std::string shown = Defused(point);
    const int end_column = column + millrace::Columns(shown);
    cells.push_back({std::move(shown), column, end_column});
    column = end_column;
    at += point.size();
  }
  if (row.cursor >= row.text.size()) cursor_column = column;
  return cells;
}

}  // namespace

RowView ViewOf(const InputRow& row, int columns) {
  // The last column stays free: there the cursor is between two rows.
  const int usable = std::max(columns - 1, 1);
  RowView view;
  view.prompt = Defused(row.prompt);
  if (millrace::Columns(view.prompt) > usable / 2) view.prompt = std::string(kShortPrompt);
  if (millrace::Columns(view.prompt) > usable / 2) view.prompt.clear();
  const int prompt_columns = millrace::Columns(view.prompt);
  const int room = usable - prompt_columns;

  int cursor_column = 0;
  const std::vector<Cell> cells = CellsOf(row, cursor_column);
  const int width = cells.empty() ? 0 : cells.back().end_column;
  // The cursor in the middle, but no room wasted before the text or after it.
  int first = std::clamp(cursor_column - room / 2, 0, std::max(width - room, 0));
  bool begun = false;
  for (const Cell& cell : cells) {
    if (cell.column < first) continue;
    if (!begun) first = cell.column;  // Where a wide character is cut, its other half stays away.
    begun = true;
    if (cell.end_column > first + room) break;
    view.text += cell.shown;
  }
  view.cursor_column = prompt_columns + std::max(cursor_column - first, 0);
  return view;
}

// Asked for each time, because people resize their windows.
int Screen::Columns() const {
  winsize size = {};
  if (ioctl(fd_, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kColumnsIfUnknown;
  return size.ws_col;
}

std::string Screen::Drawing(const InputRow& row) const {
  const RowView view = ViewOf(row, Columns());
  std::string drawing =
      colours_ ? absl::StrCat(kPromptColour, view.prompt, kNoColour) : view.prompt;
  absl::StrAppend(&drawing, view.text, "\r");
  if (view.cursor_column > 0) absl::StrAppend(&drawing, "\033[", view.cursor_column, "C");
  return drawing;
}

absl::Status Screen::Draw(const InputRow& row) { return Print("", row); }

absl::Status Screen::Print(absl::string_view lines, const InputRow& row) {
  return WriteAll(fd_, absl::StrCat(kClearRow, lines, Drawing(row)));
}

absl::Status Screen::ClearAndDraw(const InputRow& row) {
  return WriteAll(fd_, absl::StrCat(kClearAll, Drawing(row)));
}

absl::Status Screen::TakeRowAway() { return WriteAll(fd_, kClearRow); }

}  // namespace millrace
