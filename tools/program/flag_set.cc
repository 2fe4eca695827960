// SPDX-License-Identifier: Apache-2.0
#include "tools/program/flag_set.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "net/poller_named.h"
#include "tools/program/process.h"

namespace millrace {
namespace {

constexpr size_t kHelpColumns = 90;

// `text` in lines of at most kHelpColumns, those after the first moved right by `indent`.
std::string Wrap(absl::string_view text, size_t indent) {
  std::string wrapped;
  size_t column = indent;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (column > indent && column + 1 + word.size() > kHelpColumns) {
      absl::StrAppend(&wrapped, "\n", std::string(indent, ' '));
      column = indent;
    }
    const absl::string_view space = column > indent ? " " : "";
    absl::StrAppend(&wrapped, space, word);
    column += space.size() + word.size();
  }
  return wrapped;
}

}  // namespace

FlagSet::FlagSet(absl::string_view program, absl::string_view description)
    : program_(program), description_(description) {}

void FlagSet::Add(Flag flag) {
  CHECK(Find(flag.name) == nullptr) << "two flags --" << flag.name;
  flags_.push_back(std::move(flag));
}

void FlagSet::AddInt(absl::string_view name, int& value, int min, int max, absl::string_view help) {
  const auto read = [&value, min, max](absl::string_view text) {
    int number;
    if (!absl::SimpleAtoi(text, &number) || number < min || number > max) {
      return absl::InvalidArgumentError(
          absl::StrCat("must be a whole number from ", min, " to ", max));
    }
    value = number;
    return absl::OkStatus();
  };
  Add({.name = std::string(name),
       .value = "N",
       .initial = absl::StrCat(value),
       .help = std::string(help),
       .read = read});
}

void FlagSet::AddSwitch(absl::string_view name, bool& value, absl::string_view help) {
  const auto read = [&value](absl::string_view text) {
    if (text != "true" && text != "false") {
      return absl::InvalidArgumentError("must be true or false, or stand alone");
    }
    value = text == "true";
    return absl::OkStatus();
  };
  Add({.name = std::string(name), .help = std::string(help), .read = read});
}

absl::Status FlagSet::ReadNumber(absl::string_view text, double min, double max, double& value) {
  double number;
  // NaN is neither.
  if (!absl::SimpleAtod(text, &number) || !(number >= min && number <= max)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("must be a number from %.15g to %.15g", min, max));
  }
  value = number;
  return absl::OkStatus();
}

absl::StatusOr<absl::Duration> FlagSet::ReadDuration(absl::string_view text) {
  absl::Duration duration;
  if (absl::ParseDuration(text, &duration)) return duration;
  return absl::InvalidArgumentError("must be a duration, such as 1.5s, 200ms or 1h30m");
}

absl::StatusOr<uint64_t> FlagSet::ReadBytes(absl::string_view text) {
  int shift = 0;
  if (absl::ConsumeSuffix(&text, "KiB")) {
    shift = 10;
  } else if (absl::ConsumeSuffix(&text, "MiB")) {
    shift = 20;
  } else if (absl::ConsumeSuffix(&text, "GiB")) {
    shift = 30;
  }
  uint64_t number;
  if (!absl::SimpleAtoi(text, &number)) {
    return absl::InvalidArgumentError("must be bytes, such as 65536, 64KiB, 512MiB or 2GiB");
  }
  if (number > UINT64_MAX >> shift) return absl::InvalidArgumentError("are too many bytes");
  return number << shift;
}

void FlagSet::AddDuration(absl::string_view name, absl::Duration& value, absl::Duration min,
                          absl::string_view help, absl::Duration max) {
  const auto read = [&value, min, max](absl::string_view text) {
    MILLRACE_ASSIGN_OR_RETURN(const absl::Duration duration, ReadDuration(text));
    if (duration < min) {
      return absl::InvalidArgumentError(
          absl::StrCat("must be ", absl::FormatDuration(min), " or more"));
    }
    if (duration > max) {
      return absl::InvalidArgumentError(
          absl::StrCat("must be ", absl::FormatDuration(max), " or less"));
    }
    value = duration;
    return absl::OkStatus();
  };
  Add({.name = std::string(name),
       .value = "TIME",
       .initial = absl::FormatDuration(value),
       .help = std::string(help),
       .read = read});
}

void FlagSet::AddText(absl::string_view name, absl::string_view value_name, std::string& value,
                      absl::string_view help) {
  const auto read = [&value](absl::string_view text) {
    if (text.empty()) return absl::InvalidArgumentError("must not be empty");
    value = std::string(text);
    return absl::OkStatus();
  };
  Add({.name = std::string(name),
       .value = std::string(value_name),
       .initial = value,
       .help = std::string(help),
       .read = read});
}

void FlagSet::AddAddresses(absl::string_view name, std::vector<SocketAddress>& value,
                           absl::string_view help) {
  const auto read = [&value, first = true](absl::string_view text) mutable {
    MILLRACE_ASSIGN_OR_RETURN(std::vector<SocketAddress> more, SocketAddress::ParseList(text));
    if (std::exchange(first, false)) value.clear();
    value.insert(value.end(), more.begin(), more.end());
    return absl::OkStatus();
  };
  Add({.name = std::string(name),
       .value = "ADDRESS",
       .initial = absl::StrJoin(value, ","),
       .help = std::string(help),
       .read = read});
}

void FlagSet::AddPoller(absl::string_view name, std::string& value, absl::string_view help) {
  const auto read = [&value](absl::string_view text) {
    MILLRACE_RETURN_IF_ERROR(PollerNamed(text).status());
    value = std::string(text);
    return absl::OkStatus();
  };
  Add({.name = std::string(name),
       .value = "NAME",
       .initial = value,
       .help = std::string(help),
       .read = read});
}

FlagSet::Flag* FlagSet::Find(absl::string_view name) {
  const auto found = std::find_if(flags_.begin(), flags_.end(),
                                  [name](const Flag& flag) { return flag.name == name; });
  return found == flags_.end() ? nullptr : &*found;
}

bool FlagSet::given(absl::string_view name) const {
  return std::any_of(flags_.begin(), flags_.end(),
                     [name](const Flag& flag) { return flag.name == name && flag.given; });
}

absl::Status FlagSet::Parse(absl::Span<const absl::string_view> arguments) {
  while (!arguments.empty()) MILLRACE_RETURN_IF_ERROR(ParseOne(arguments));
  return absl::OkStatus();
}

// Takes one flag with its value off the front.
absl::Status FlagSet::ParseOne(absl::Span<const absl::string_view>& arguments) {
  const absl::string_view argument = arguments[0];
  arguments.remove_prefix(1);
  if (argument == "--help" || argument == "-h") {
    help_wanted_ = true;
    return absl::OkStatus();
  }
  absl::string_view name = argument;
  if (!absl::ConsumePrefix(&name, "--")) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument \"", argument, "\"; see --help"));
  }
  const size_t equals = name.find('=');
  absl::string_view text;
  if (equals != name.npos) text = name.substr(equals + 1);
  name = name.substr(0, equals);
  if (name == "help") return absl::InvalidArgumentError(absl::StrCat(argument, ": stands alone"));
  Flag* const flag = Find(name);
  if (flag == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("--", name, ": no such flag; see --help"));
  }
  if (equals == absl::string_view::npos && flag->value.empty()) {
    text = "true";
  } else if (equals == absl::string_view::npos) {
    if (arguments.empty() || absl::StartsWith(arguments[0], "--")) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, ": needs a value: --", name, "=", flag->value));
    }
    text = arguments[0];
    arguments.remove_prefix(1);
  }
  flag->given = true;
  const absl::Status status = flag->read(text);
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("--", name, "=", text, ": ", status.message()));
}

std::string FlagSet::Help() const {
  std::vector<std::pair<std::string, std::string>> rows;
  size_t width = 0;
  for (const Flag& flag : flags_) {
    std::string help = flag.help;
    if (!flag.initial.empty()) absl::StrAppend(&help, " (default ", flag.initial, ")");
    const absl::string_view equals = flag.value.empty() ? "" : "=";
    rows.emplace_back(absl::StrCat("  --", flag.name, equals, flag.value), std::move(help));
    width = std::max(width, rows.back().first.size() + 2);
  }
  rows.emplace_back("  --help", "shows this");
  std::string text =
      absl::StrCat(Wrap(description_, 0), "\n\nUsage: ", program_, " [--flag=value ...]\n\n");
  for (const auto& [flag, help] : rows) {
    absl::StrAppend(&text, flag, std::string(width - flag.size(), ' '), Wrap(help, width), "\n");
  }
  return text;
}

std::optional<int> FlagSet::ParseCommandLine(int argc, char** argv) {
  const std::vector<absl::string_view> arguments(argv + std::min(argc, 1), argv + argc);
  const absl::Status status = Parse(arguments);
  if (help_wanted_) {
    return PrintOutput(Help()) ? 0 : 1;
  }
  if (status.ok()) return std::nullopt;
  PrintError(program_, status);
  return 1;
}

}  // namespace millrace
