// SPDX-License-Identifier: Apache-2.0
//
// StallWatchdog finds turns that do not end. A loop serves thousands, so a call that blocks it
// blocks them all; who waits knows nothing but that it is slow. The watchdog looks at each loop
// some times within the threshold, from a thread of its own, and reports a turn that has lasted
// that long: which loop, for how long, whose call, which peer, and the stack of the thread. When
// the turn ends after all, it says how long it was. Loops do nothing for it (see loop_pulse.h)
// until they are asked for their stack (see stall_probe.h).
//
//   auto watchdog = StallWatchdog::Start({.threshold = absl::Milliseconds(50)}).value();
//   watchdog->Watch(main->ref());
//   for (size_t i = 0; i < workers->size(); ++i) watchdog->Watch(workers->loop(i));
//
// It counts only time that it saw pass: if it has not run itself (a debugger, SIGSTOP, a machine
// that was put to sleep), that is held against nobody. A turn below the threshold is not reported,
// and one of five quarters of it is. Reports are limited to one for each loop in
// `report_interval`; the others are counted, and the next report tells.
//
// Any thread, but for the destructor, which waits for the watchdog's thread. Loops and watchdog may
// go in any order.

#ifndef MILLRACE_NET_STALL_WATCHDOG_H_
#define MILLRACE_NET_STALL_WATCHDOG_H_

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/counters.h"
#include "base/monotonic_time.h"
#include "base/thread.h"
#include "net/limits.h"
#include "net/loop_ref.h"
#include "net/stall_probe.h"

namespace millrace {

struct StallReport {
  std::string loop;       // Its name.
  bool over = false;      // The turn has ended. Then what follows `at_most` is not set.
  absl::Duration lasted;  // The turn, so far as it was seen: at least that.
  absl::Duration at_most = absl::InfiniteDuration();  // Once it is over.
  pid_t thread = 0;
  std::string doing = "";               // As "an event for EchoHandler, peer 127.0.0.1:40112".
  std::vector<std::string> stack = {};  // Names, the innermost call first.
  std::string no_answer = "";           // Why the two above are empty, if they are.
  uint64_t suppressed = 0;  // Stalls of this loop that were not reported since the last one.
  absl::Duration longest_suppressed = {};

  // Several lines.
  std::string ToString() const;
};

// Written by the watchdog, read by anyone.
struct StallCounters {
  Counter stalls;       // Turns that passed the threshold.
  Counter reports;      // Not counting those that a turn is over.
  Counter suppressed;   // Stalls that ended unreported.
  Counter unanswered;   // Reports without a stack.
  Counter late_checks;  // Times the watchdog itself did not run.
};

class StallWatchdog {
 public:
  struct Options {
    absl::Duration threshold = kStallThreshold;  // kStallThresholdMin or more.
    absl::Duration report_interval = kStallReportInterval;
    absl::Duration answer_timeout = kStallAnswerTimeout;
    // A real-time signal that nobody else uses, nor blocks on a loop's thread; see stall_probe.h.
    int signal_number = SIGRTMIN + 5;
    const Clock* clock = &Clock::System();  // Must outlive the watchdog.
    // Called by whoever checks, where it may do anything but destroy the watchdog. Empty: a warning
    // in the log.
    absl::AnyInvocable<void(const StallReport&)> on_report = nullptr;
  };

  // Watches from a thread of its own. Fails when that cannot be made, the signal is taken, or the
  // options are out of bounds.
  static absl::StatusOr<std::unique_ptr<StallWatchdog>> Start(Options options);
  // Watches when CheckNow() is called: for tests, and for who has a thread for such things.
  static absl::StatusOr<std::unique_ptr<StallWatchdog>> Create(Options options);

  StallWatchdog(const StallWatchdog&) = delete;
  StallWatchdog& operator=(const StallWatchdog&) = delete;
  ~StallWatchdog();

  // From now on, until the loop has ended. Again is fine.
  void Watch(LoopRef loop) ABSL_LOCKS_EXCLUDED(mutex_);

  // How often Start()'s thread looks.
  absl::Duration period() const { return options_.threshold / kStallChecksPerThreshold; }
  // Looks at each loop once. One thread at a time; not after Start().
  void CheckNow();

  const StallCounters& counters() const { return counters_; }

 private:
  struct Watched {
    LoopRef loop;
    uint64_t beat = ~uint64_t{0};  // When last looked at: never.
    absl::Duration lasted;         // This turn, so far as it was seen.
    absl::Duration unseen;         // What it may have lasted before.
    bool counted = false;          // As a stall.
    bool reported = false;
    bool ended = false;  // There was nothing more to see.
    MonotonicTime quiet_until;
    uint64_t suppressed = 0;
    absl::Duration longest_suppressed;
  };

  StallWatchdog(Options options, StallProbe probe);

  void Run();
  bool WaitForStop(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);
  void TakeNewcomers() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Duration SeenToPass();
  void Check(Watched& watched, absl::Duration passed);
  void TurnEnded(Watched& watched, absl::Duration passed);
  void Report(Watched& watched);
  void Explain(const LoopPulse& pulse, uint64_t beat, StallReport& report);
  void Tell(const StallReport& report);

  Options options_;
  const StallProbe probe_;
  StallCounters counters_;

  // Whoever checks.
  std::vector<Watched> watched_;
  MonotonicTime last_check_, last_check_end_;

  absl::Mutex mutex_;
  std::vector<LoopRef> newcomers_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  Thread thread_;  // Last: it uses all the others.
};

}  // namespace millrace

#endif  // MILLRACE_NET_STALL_WATCHDOG_H_
