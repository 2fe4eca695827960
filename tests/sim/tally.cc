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
  CloseCause cause;
};

// As in docs/errors.md.
constexpr Reason kReasons[] = {
    {StatusCode::kUnavailable, "recv: ", "reset, found reading", CloseCause::kPeerReset},
    {StatusCode::kUnavailable, "send: ", "reset, found writing", CloseCause::kPeerReset},
    {StatusCode::kUnavailable, "sendfile: ", "reset, found sending a file", CloseCause::kPeerReset},
    {StatusCode::kFailedPrecondition, "recv: ", "broken, found reading", CloseCause::kPeerReset},
    {StatusCode::kFailedPrecondition, "send: ", "broken, found writing", CloseCause::kPeerReset},
    {StatusCode::kFailedPrecondition, "sendfile: ", "broken, found sending a file",
     CloseCause::kPeerReset},
    {StatusCode::kFailedPrecondition, "shutdown: ", "broken, found ending", CloseCause::kPeerReset},
    {StatusCode::kUnavailable, "shutdown: ", "broken, found ending", CloseCause::kPeerReset},
    {StatusCode::kDeadlineExceeded, "idle for ", "idle", CloseCause::kIdleTimeout},
    {StatusCode::kDeadlineExceeded, "no input for ", "read timeout", CloseCause::kReadTimeout},
    {StatusCode::kDeadlineExceeded, "took no output for ", "write timeout",
     CloseCause::kWriteTimeout},
    {StatusCode::kDeadlineExceeded, "kept its end open", "linger timeout",
     CloseCause::kLingerTimeout},
    {StatusCode::kDeadlineExceeded, "drain timeout", "drain timeout", CloseCause::kDrainTimeout},
    {StatusCode::kResourceExhausted, "(input_bytes_max)", "too much input",
     CloseCause::kInputLimit},
    {StatusCode::kResourceExhausted, "(output_bytes_max)", "too much output",
     CloseCause::kOutputLimit},
    {StatusCode::kResourceExhausted, "slow consumer", "slow consumer", CloseCause::kSlowConsumer},
    {StatusCode::kResourceExhausted, "simulated poller add", "no room in the poller",
     CloseCause::kSystemFailed},
    {StatusCode::kResourceExhausted, "all connections together hold", "memory budget",
     CloseCause::kMemoryBudget},
    {StatusCode::kDeadlineExceeded, "no first byte for ", "first byte timeout",
     CloseCause::kFirstByteTimeout},
    {StatusCode::kDeadlineExceeded, "a message was not whole", "message timeout",
     CloseCause::kMessageTimeout},
    {StatusCode::kDeadlineExceeded, "a message came slower", "slow message",
     CloseCause::kRateTimeout},
    {StatusCode::kDataLoss, "a file being sent", "a file was cut", CloseCause::kFileFailed},
    {StatusCode::kCancelled, "the server was destroyed", "server destroyed",
     CloseCause::kOwnerGone},
    {StatusCode::kCancelled, "the client was destroyed", "client destroyed",
     CloseCause::kOwnerGone},
    {StatusCode::kAborted, "the handler has enough", "abort", CloseCause::kHandlerAborted},
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
    "close: memory budget",
    "close: first byte timeout",
    "close: message timeout",
    "close: slow message",
    "pauses for a rate, reading",
    "pauses for a rate, writing",
    "pauses for a group's rate",
    "rates reached, reading",
    "rates reached, writing",
    "budget: stopped",
    "budget: let go on",
    "budget: closed",
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

namespace {

// Null if there is none.
const Reason* Find(const absl::Status& why) {
  for (const Reason& reason : kReasons) {
    const bool is_it = why.code() == reason.code && absl::StrContains(why.message(), reason.part);
    if (is_it) return &reason;
  }
  return nullptr;
}

}  // namespace

std::string ReasonOf(const absl::Status& why) {
  if (why.ok()) return "ok";
  const Reason* const reason = Find(why);
  return reason == nullptr ? "" : reason->name;
}

bool IsCauseOf(CloseCause cause, const absl::Status& why) {
  if (!why.ok()) return Find(why) != nullptr && Find(why)->cause == cause;
  return cause == CloseCause::kPeerEnded || cause == CloseCause::kHandlerClosed ||
         cause == CloseCause::kDrainIdle;
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
