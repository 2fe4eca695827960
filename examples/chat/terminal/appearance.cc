// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/appearance.h"

#include <stdlib.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "examples/chat/terminal/text.h"

namespace millrace {
namespace {

constexpr absl::string_view kOwnColour = "\033[1m";
constexpr absl::string_view kNoticeColour = "\033[36m";
constexpr absl::string_view kErrorColour = "\033[1;31m";
constexpr absl::string_view kNoColour = "\033[0m";

// "[ROOM] NAME: TEXT" with that name. Neither can contain what follows it, so nobody can pretend.
bool IsMessageOf(absl::string_view name, absl::string_view line) {
  const size_t room_end = line.find("] ");
  if (!absl::StartsWith(line, "[") || room_end == line.npos || name.empty()) return false;
  line.remove_prefix(room_end + 2);
  return absl::ConsumePrefix(&line, name) && absl::StartsWith(line, ": ");
}

absl::string_view Environment(const char* name) {
  const char* const value = getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string Dress(absl::string_view line, absl::string_view own_name, Appearance appearance) {
  absl::string_view mark = "  ";
  absl::string_view colour = "";
  if (absl::StartsWith(line, "* ")) {
    mark = "";
    colour = kNoticeColour;
  } else if (absl::StartsWith(line, "! ")) {
    mark = "";
    colour = kErrorColour;
  } else if (IsMessageOf(own_name, line)) {
    mark = "> ";
    colour = kOwnColour;
  }
  const std::string dressed = absl::StrCat(mark, Defused(line));
  if (!appearance.colours || colour.empty()) return dressed;
  return absl::StrCat(colour, dressed, kNoColour);
}

Surroundings SurroundingsOf(int in_fd, int out_fd) {
  const absl::string_view term = Environment("TERM");
  const bool dumb = term == "dumb" || term.empty();
  const bool on_terminal = isatty(out_fd) == 1;
  return {.edits = on_terminal && isatty(in_fd) == 1 && !dumb,
          .on_terminal = on_terminal,
          .appearance = {.colours = on_terminal && !dumb && Environment("NO_COLOR").empty()}};
}

}  // namespace millrace
