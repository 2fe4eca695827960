// SPDX-License-Identifier: Apache-2.0
#include "net/restart/handover_message.h"

#include <unistd.h>

#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "net/limits.h"

namespace millrace {
namespace {

constexpr absl::string_view kTitle = "millrace-listeners 1 ";
constexpr absl::string_view kMade = "made ";
constexpr absl::string_view kLent = "lent ";

absl::Status Garbage(absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("the old process speaks another language: ", what));
}

absl::StatusOr<size_t> DecodeTitle(absl::string_view line) {
  int count;
  if (!absl::ConsumePrefix(&line, kTitle)) return Garbage("no title");
  if (!absl::SimpleAtoi(line, &count) || count < 0) return Garbage("no number of sockets");
  if (count <= kListenersMax) return static_cast<size_t>(count);
  return absl::ResourceExhaustedError(
      absl::StrCat("the old process has ", count, " sockets, more than ", kListenersMax));
}

absl::StatusOr<AnnouncedListener> DecodeListener(absl::string_view line) {
  const bool lent = absl::ConsumePrefix(&line, kLent);
  if (!lent && !absl::ConsumePrefix(&line, kMade)) return Garbage("neither made nor lent");
  MILLRACE_ASSIGN_OR_RETURN(SocketAddress address, SocketAddress::Parse(line));
  return AnnouncedListener{.address = std::move(address), .lent = lent};
}

}  // namespace

std::string EncodeListeners(const std::vector<AnnouncedListener>& listeners) {
  CHECK_LE(listeners.size(), static_cast<size_t>(kListenersMax));
  std::string text = absl::StrCat(kTitle, listeners.size(), "\n");
  for (const AnnouncedListener& each : listeners) {
    absl::StrAppend(&text, each.lent ? kLent : kMade, each.address.ToString(), "\n");
  }
  CHECK_LE(text.size(), kHandoverMessageBytesMax);
  return text;
}

absl::StatusOr<std::optional<std::vector<AnnouncedListener>>> DecodeListeners(
    absl::string_view text) {
  if (text.size() > kHandoverMessageBytesMax) return Garbage("too long");
  if (text.empty()) return std::nullopt;  // Of no text at all StrSplit() makes no line.
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  const absl::string_view unfinished = lines.back();
  lines.pop_back();
  if (lines.empty()) {
    if (!absl::StartsWith(kTitle, unfinished.substr(0, kTitle.size()))) return Garbage("no title");
    return std::nullopt;
  }
  MILLRACE_ASSIGN_OR_RETURN(const size_t count, DecodeTitle(lines[0]));
  if (lines.size() > count + 1) return Garbage("too many lines");
  std::vector<AnnouncedListener> listeners;
  for (size_t i = 1; i < lines.size(); ++i) {
    MILLRACE_ASSIGN_OR_RETURN(AnnouncedListener listener, DecodeListener(lines[i]));
    listeners.push_back(std::move(listener));
  }
  if (listeners.size() < count) return std::nullopt;
  if (!unfinished.empty()) return Garbage("too much");
  return listeners;
}

bool IsOwnOrRoot(const ucred& peer) { return peer.uid == geteuid() || peer.uid == 0; }

}  // namespace millrace
