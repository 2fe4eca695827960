// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/tally.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace millrace {
namespace {

using absl::StatusCode;

struct Reason {
  StatusCode code;
  const char* part;  // Of the message.
  const char* name;
};

// As in docs/errors.md.
constexpr Reason kReasons[] = {
    {StatusCode::kUnavailable, "recv: ", "reset, found reading"},
    {StatusCode::kUnavailable, "send: ", "reset, found writing"},
    {StatusCode::kUnavailable, "sendfile: ", "reset, found sending a file"},
    {StatusCode::kFailedPrecondition, "recv: ", "broken, found reading"},
    {StatusCode::kFailedPrecondition, "send: ", "broken, found writing"},
    {StatusCode::kFailedPrecondition, "sendfile: ", "broken, found sending a file"},
    {StatusCode::kFailedPrecondition, "shutdown: ", "broken, found ending"},
    {StatusCode::kUnavailable, "shutdown: ", "broken, found ending"},
    {StatusCode::kDeadlineExceeded, "idle for ", "idle"},
    {StatusCode::kDeadlineExceeded, "no input for ", "read timeout"},
    {StatusCode::kDeadlineExceeded, "took no output for ", "write timeout"},
    {StatusCode::kDeadlineExceeded, "kept its end open", "linger timeout"},
    {StatusCode::kDeadlineExceeded, "drain timeout", "drain timeout"},
    {StatusCode::kResourceExhausted, "(input_bytes_max)", "too much input"},
    {StatusCode::kResourceExhausted, "(output_bytes_max)", "too much output"},
    {StatusCode::kResourceExhausted, "slow consumer", "slow consumer"},
    {StatusCode::kResourceExhausted, "simulated poller add", "no room in the poller"},
    {StatusCode::kDataLoss, "a file being sent", "a file was cut"},
    {StatusCode::kCancelled, "the server was destroyed", "server destroyed"},
    {StatusCode::kCancelled, "the client was destroyed", "client destroyed"},
    {StatusCode::kAborted, "the handler has enough", "abort"},
};

constexpr const char* kMustBeMet[] = {
    "close: ok",
    "close: reset, found reading",
    "close: reset, found writing",
    "close: broken, found writing",
    "close: idle",
    "close: read timeout",
    "close: write timeout",
    "close: linger timeout",
    "close: drain timeout",
    "close: too much input",
    "close: too much output",
    "close: slow consumer",
    "close: no room in the poller",
    "close: a file was cut",
    "close: server destroyed",
    "close: client destroyed",
    "close: abort",
    "fault: would block",
    "fault: interrupted",
    "fault: cut short",
    "fault: accept error",
    "fault: no memory in the poller",
    "fault: connect refused",
    "fault: connect lost",
    "fault: reset",
    "fault: lost",
    "fault: stall",
    "fault: EMFILE",
};

}  // namespace

void Tally::Count(absl::string_view what, int64_t n) {
  const auto found = counts_.find(what);
  if (found == counts_.end()) {
    counts_.emplace(what, n);
  } else {
    found->second += n;
  }
}

int64_t Tally::count(absl::string_view what) const {
  const auto found = counts_.find(what);
  return found == counts_.end() ? 0 : found->second;
}

void Tally::CountFaults(const SimNetwork& network) {
  const SimFaults& met = network.met();
  const auto count = [this](const char* what, double n) {
    if (n > 0) Count(absl::StrCat("fault: ", what), static_cast<int64_t>(n));
  };
  count("would block", met.would_block);
  count("interrupted", met.interrupted);
  count("cut short", met.cut_short);
  count("accept error", met.accept_error);
  count("no memory in the poller", met.no_memory);
  count("connect refused", met.connect_refused);
  count("connect lost", met.connect_lost);
  count("reset", met.reset);
  count("lost", met.lost);
  count("stall", met.stall);
  count("EMFILE", static_cast<double>(network.descriptors_refused()));
}

void Tally::Add(const Tally& other) {
  for (const auto& [what, n] : other.counts_) Count(what, n);
}

std::string ReasonOf(const absl::Status& why) {
  if (why.ok()) return "ok";
  for (const Reason& reason : kReasons) {
    if (why.code() == reason.code && absl::StrContains(why.message(), reason.part)) {
      return reason.name;
    }
  }
  return "";
}

std::string Table(const std::vector<NamedTally>& tallies) {
  Tally sum;
  std::string text = absl::StrFormat("%-34s", "");
  for (const NamedTally& each : tallies) {
    sum.Add(each.tally);
    absl::StrAppendFormat(&text, "%14s", each.name);
  }
  absl::StrAppendFormat(&text, "%14s\n", "all");
  for (const auto& [what, total] : sum.counts()) {
    absl::StrAppendFormat(&text, "%-34s", what);
    for (const NamedTally& each : tallies) {
      absl::StrAppendFormat(&text, "%14d", each.tally.count(what));
    }
    absl::StrAppendFormat(&text, "%14d\n", total);
  }
  return text;
}

std::vector<std::string> Missed(const Tally& tally) {
  std::vector<std::string> missed;
  for (const char* what : kMustBeMet) {
    if (tally.count(what) == 0) missed.push_back(what);
  }
  return missed;
}

}  // namespace millrace
