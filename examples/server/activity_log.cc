// SPDX-License-Identifier: Apache-2.0
#include "examples/server/activity_log.h"

#include <cstddef>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "net/close_reason.h"

namespace millrace {
namespace {

constexpr absl::Duration kBetweenReports = absl::Seconds(1);

std::string Nanoseconds(const Counter& counter) {
  return absl::FormatDuration(absl::Nanoseconds(counter.value()));
}

// Of the loop that it is called on.
void TellLoop() {
  const EventLoop& loop = *EventLoop::Current();
  const LoopCounters& counters = loop.counters();
  std::string measured;
  if (counters.busy_ns.value() > 0) {
    measured = absl::StrCat(", busy for ", Nanoseconds(counters.busy_ns), ", the longest turn ",
                            Nanoseconds(counters.longest_turn_ns), ", the longest wait of a post ",
                            Nanoseconds(counters.longest_post_delay_ns));
  }
  LOG(INFO) << loop.name() << ": " << counters.turns.value() << " turns, "
            << counters.events.value() << " events, " << counters.timers_fired.value()
            << " timers, " << counters.posts_run.value() << " posts" << measured;
}

}  // namespace

void ActivityLog::TellNow() {
  if (main_.now() < next_) return;
  next_ = main_.now() + kBetweenReports;
  const TcpServer::Stats stats = server_.stats();
  LOG(INFO) << program_ << ": " << stats.open << " connections open; so far " << stats.accepted
            << " accepted, " << stats.refused_denied << " denied, " << stats.refused_peer_full
            << " above their peer's cap, " << stats.refused_full << " when it was just full, "
            << stats.refused << " without a descriptor, " << stats.accept_errors
            << " errors of accept; " << stats.pauses_full << " pauses at the cap, "
            << stats.pauses_listener_full << " at a listener's, " << stats.pauses_rate
            << " for the accept rate, " << stats.accept_rests << " rests, "
            << stats.listeners_failed << " listeners failed; ended: " << EndsByCause(stats);
  const MemoryBudget::Stats memory = budget_.stats();
  LOG(INFO) << program_ << ": " << memory.total_bytes << " bytes buffered (" << memory.peak_bytes
            << " at most so far) of " << budget_.limit_bytes() << "; readings stopped for that "
            << memory.stops << ", connections closed " << memory.closes
            << "; pauses for rates: " << stats.rate_pauses_read << " of reading, "
            << stats.rate_pauses_write << " of writing";
  TellLoop();
  for (size_t i = 0; i < workers_.size(); ++i) workers_.loop(i).Post(TellLoop);
  server_.ReportConnections();
}

void ActivityLog::TellEnd() {
  const TcpServer::Stats stats = server_.stats();
  LOG(INFO) << program_ << ": ended after " << stats.accepted << " connections ("
            << stats.closed_on_error << " ended on an error or a limit, " << stats.failed_to_open
            << " could not be opened, " << stats.refused << " turned away, "
            << stats.refused_denied + stats.refused_peer_full << " refused), " << stats.bytes_read
            << " bytes in, " << stats.bytes_written << " out; ended: " << EndsByCause(stats);
}

std::string EndsByCause(const TcpServer::Stats& stats) {
  std::string text;
  for (size_t i = 0; i < stats.ended.size(); ++i) {
    if (stats.ended[i] == 0) continue;
    absl::StrAppend(&text, text.empty() ? "" : ", ", NameOf(static_cast<CloseCause>(i)), " ",
                    stats.ended[i]);
  }
  return text.empty() ? "none" : text;
}

}  // namespace millrace
