// SPDX-License-Identifier: Apache-2.0
#include "net/stall_watchdog.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <typeinfo>
#include <utility>

#include "absl/debugging/symbolize.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "net/socket_address.h"

namespace millrace {
namespace {

std::string TypeName(const std::type_info& type) {
  char* const name = abi::__cxa_demangle(type.name(), nullptr, nullptr, nullptr);
  std::string result = name != nullptr ? name : type.name();
  std::free(name);
  return result;
}

absl::string_view PartName(TurnPart part) {
  switch (part) {
    case TurnPart::kEvents:
      return "an event";
    case TurnPart::kTimers:
      return "a timer";
    case TurnPart::kPosts:
      return "a post";
    case TurnPart::kEndsOfTurn:
      return "the end of the turn";
    case TurnPart::kDestruction:
      break;
  }
  return "destroying what was deferred";
}

std::string WhatItDoes(const TurnDescription& turn) {
  std::string text(PartName(turn.part));
  if (turn.who.type != nullptr) absl::StrAppend(&text, " for ", TypeName(*turn.who.type));
  if (turn.who.peer_bytes == 0) return text;
  const auto* peer = reinterpret_cast<const sockaddr*>(&turn.who.peer);
  const absl::StatusOr<SocketAddress> address =
      SocketAddress::FromSockaddr(peer, turn.who.peer_bytes);
  if (address.ok()) absl::StrAppend(&text, ", peer ", *address);
  return text;
}

std::string CallName(const void* at) {
  char name[1024];
  if (absl::Symbolize(at, name, sizeof(name))) return name;
  return absl::StrFormat("(no name) %p", at);
}

std::string InMilliseconds(absl::Duration time) {
  return absl::FormatDuration(absl::Trunc(time, absl::Milliseconds(1)));
}

absl::Status CheckOptions(const StallWatchdog::Options& options) {
  if (options.threshold < kStallThresholdMin || options.threshold == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a stall's threshold must be ", absl::FormatDuration(kStallThresholdMin),
                     " or more, and not ", absl::FormatDuration(options.threshold)));
  }
  if (options.report_interval < absl::ZeroDuration() ||
      options.answer_timeout < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("report_interval and answer_timeout must not be negative");
  }
  return absl::OkStatus();
}

}  // namespace

std::string StallReport::ToString() const {
  if (over) {
    return absl::StrCat("loop ", loop, " goes on: that turn lasted ", InMilliseconds(lasted),
                        " to ", InMilliseconds(at_most));
  }
  std::string text = absl::StrCat("loop ", loop, " stalls: its turn lasts for ",
                                  InMilliseconds(lasted), " already, on thread ", thread);
  if (!doing.empty()) absl::StrAppend(&text, "\n  in ", doing);
  for (const std::string& call : stack) absl::StrAppend(&text, "\n    ", call);
  if (!no_answer.empty()) absl::StrAppend(&text, "\n  no stack: ", no_answer);
  if (suppressed == 0) return text;
  return absl::StrCat(text, "\n  unreported since the last report: ", suppressed,
                      " stalls, the longest of ", InMilliseconds(longest_suppressed));
}

absl::StatusOr<std::unique_ptr<StallWatchdog>> StallWatchdog::Create(Options options) {
  MILLRACE_RETURN_IF_ERROR(CheckOptions(options));
  MILLRACE_ASSIGN_OR_RETURN(StallProbe probe, StallProbe::Create(options.signal_number));
  return absl::WrapUnique(new StallWatchdog(std::move(options), probe));
}

absl::StatusOr<std::unique_ptr<StallWatchdog>> StallWatchdog::Start(Options options) {
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<StallWatchdog> watchdog, Create(std::move(options)));
  MILLRACE_ASSIGN_OR_RETURN(watchdog->thread_,
                            Thread::Start({.name = "stall-watchdog", .blocks_signals = true},
                                          [watchdog = watchdog.get()] { watchdog->Run(); }));
  return watchdog;
}

StallWatchdog::StallWatchdog(Options options, StallProbe probe)
    : options_(std::move(options)),
      probe_(probe),
      last_check_(options_.clock->Now()),
      last_check_end_(last_check_) {}

StallWatchdog::~StallWatchdog() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
}

void StallWatchdog::Watch(LoopRef loop) {
  absl::MutexLock lock(&mutex_);
  newcomers_.push_back(std::move(loop));
}

void StallWatchdog::Run() {
  while (!WaitForStop(period())) CheckNow();
}

bool StallWatchdog::WaitForStop(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&stopping_), timeout);
}

void StallWatchdog::CheckNow() {
  TakeNewcomers();
  const absl::Duration passed = SeenToPass();
  for (Watched& watched : watched_) Check(watched, passed);
  std::erase_if(watched_, [](const Watched& each) { return each.ended; });
  last_check_end_ = options_.clock->Now();
}

void StallWatchdog::TakeNewcomers() {
  std::vector<LoopRef> newcomers;
  {
    absl::MutexLock lock(&mutex_);
    newcomers.swap(newcomers_);
  }
  for (LoopRef& loop : newcomers) {
    const bool known = std::any_of(watched_.begin(), watched_.end(),
                                   [&](const Watched& each) { return each.loop == loop; });
    if (loop.pulse() == nullptr || known) continue;
    watched_.emplace_back().loop = std::move(loop);
  }
}

// Of the time since the last check that in which a loop could have gone on. If we slept for longer
// than we meant to, we were stopped, and so perhaps was all the process: then it counts as if we
// had not.
absl::Duration StallWatchdog::SeenToPass() {
  const MonotonicTime now = options_.clock->Now();
  const absl::Duration passed = now - std::exchange(last_check_, now);
  const absl::Duration slept = now - last_check_end_;
  if (slept <= 2 * period()) return passed;
  counters_.late_checks.Increment();
  return passed - slept + period();
}

void StallWatchdog::Check(Watched& watched, absl::Duration passed) {
  watched.ended = watched.loop.pulse()->ended();
  const uint64_t beat = watched.loop.pulse()->beat();
  if (beat != watched.beat) {
    TurnEnded(watched, passed);
    watched.beat = beat;
    watched.unseen = passed;
  } else if (LoopPulse::InTurn(beat)) {
    watched.lasted += passed;
  }
  if (watched.lasted < options_.threshold) return;
  if (!std::exchange(watched.counted, true)) counters_.stalls.Increment();
  // One that lasts and lasts is reported again, for by then it may be elsewhere.
  if (last_check_ >= watched.quiet_until) Report(watched);
}

void StallWatchdog::TurnEnded(Watched& watched, absl::Duration passed) {
  if (watched.reported) {
    StallReport report;
    report.loop = watched.loop.pulse()->name();
    report.over = true;
    report.lasted = watched.lasted;
    report.at_most = watched.unseen + watched.lasted + passed;
    Tell(report);
  } else if (watched.counted) {
    counters_.suppressed.Increment();
    ++watched.suppressed;
    watched.longest_suppressed = std::max(watched.longest_suppressed, watched.lasted);
  }
  watched.lasted = absl::ZeroDuration();
  watched.counted = watched.reported = false;
}

void StallWatchdog::Report(Watched& watched) {
  const LoopPulse& pulse = *watched.loop.pulse();
  StallReport report;
  report.loop = pulse.name();
  report.lasted = watched.lasted;
  report.thread = pulse.thread();
  Explain(pulse, watched.beat, report);
  report.suppressed = std::exchange(watched.suppressed, 0);
  report.longest_suppressed = std::exchange(watched.longest_suppressed, absl::ZeroDuration());
  watched.reported = true;
  watched.quiet_until = last_check_ + options_.report_interval;
  counters_.reports.Increment();
  Tell(report);
}

void StallWatchdog::Explain(const LoopPulse& pulse, uint64_t beat, StallReport& report) {
  const absl::StatusOr<StallAnswer> answer = probe_.Ask(pulse, options_.answer_timeout);
  if (!answer.ok()) {
    report.no_answer = std::string(answer.status().message());
  } else if (answer->turn.beat != beat) {
    report.no_answer = "the turn ended before its thread answered";
  } else {
    report.doing = WhatItDoes(answer->turn);
    for (int i = 0; i < answer->stack_size; ++i) report.stack.push_back(CallName(answer->stack[i]));
  }
  if (!report.no_answer.empty()) counters_.unanswered.Increment();
}

void StallWatchdog::Tell(const StallReport& report) {
  if (options_.on_report) return options_.on_report(report);
  LOG(WARNING) << report.ToString();
}

}  // namespace millrace
