// SPDX-License-Identifier: Apache-2.0
//
// AsyncLogSink takes the lines of absl's LOG and writes them on a thread of its own, so that a slow
// terminal or disk never holds up an event loop. Lines wait in a bounded queue; one that does not
// fit is dropped and counted, and as soon as there is room a line says how many were. A fatal
// message is different: the process is about to end, so its LOG waits until it is written.
//
//   int main(int argc, char** argv) {
//     absl::InitializeLog();
//     absl::StatusOr<std::unique_ptr<AsyncLogSink>> log = AsyncLogSink::Install({});
//     if (!log.ok()) { LOG(ERROR) << log.status(); return 1; }
//     ...                                               // LOG(INFO) << "as ever";
//   }                                                   // Writes what is left.
//
// absl hands each message to all the sinks that are registered: Install() does absl::AddLogSink and
// the destructor absl::RemoveLogSink, before it writes what is left. So keep it in main(), declared
// before what logs: what is logged when it is gone goes where it went before. absl has a sink of
// its own, which writes to stderr at once, in the thread that logs; while one of these writes to
// stderr, that is silent (absl::SetStderrThreshold is at kInfinity). It is silent only after
// absl::InitializeLog(): without that, each line appears twice, and loops wait after all.

#ifndef MILLRACE_BASE_ASYNC_LOG_SINK_H_
#define MILLRACE_BASE_ASYNC_LOG_SINK_H_

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/log/globals.h"
#include "absl/log/log_entry.h"
#include "absl/log/log_sink.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/counters.h"
#include "base/thread.h"

namespace millrace {

// Any thread may call everything but the destructor.
class AsyncLogSink final : public absl::LogSink {
 public:
  struct Options {
    // Where lines go. Borrowed: open as long as the sink lives. May be non-blocking.
    int fd = STDERR_FILENO;
    // How much may wait, with what is just being written. At about 100 bytes a line, 1 MiB is some
    // 10,000 lines: more come in a burst only from what should not log each time.
    size_t queue_bytes_max = size_t{1} << 20;
  };

  // Starts the thread and registers the sink. Fails if no thread can be had.
  static absl::StatusOr<std::unique_ptr<AsyncLogSink>> Install(Options options);

  // Unregisters it and writes what is left, unless the descriptor takes nothing for a second.
  ~AsyncLogSink() override;

  // Waits until everything logged before is written, or has failed to be. While the descriptor
  // takes nothing (a terminal stopped with ^S), so does the caller wait: not for a loop's thread.
  // absl::FlushLogSinks() calls it.
  void Flush() override;

  // Called by absl for each message. Waits for no descriptor, but for a fatal message: then until
  // it is written, or a second has passed, since a process that must die does better without its
  // last words than hanging.
  void Send(const absl::LogEntry& entry) override;

  // Lines that found no room, and writes that failed (each with all the lines that waited for it).
  uint64_t lines_dropped() const { return lines_dropped_.value(); }
  uint64_t write_errors() const { return write_errors_.value(); }

 private:
  explicit AsyncLogSink(Options options);

  void Enqueue(absl::string_view line) ABSL_LOCKS_EXCLUDED(mu_);
  void WriteThrough(absl::string_view text) ABSL_LOCKS_EXCLUDED(mu_);
  void Append(absl::string_view text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AppendDropNotice() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // The writer's thread.
  void WriteUntilStopped() ABSL_LOCKS_EXCLUDED(mu_);
  bool WaitForRoom() ABSL_LOCKS_EXCLUDED(mu_);
  bool TakeBatch(std::string& batch) ABSL_LOCKS_EXCLUDED(mu_);
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mu_);

  const Options options_;
  std::optional<absl::ScopedStderrThreshold> silence_;  // Of absl's own sink.

  absl::Mutex mu_;
  std::string pending_ ABSL_GUARDED_BY(mu_);
  // In all, since the beginning. What lies between waits in pending_ or is being written.
  uint64_t bytes_accepted_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t bytes_written_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t drops_untold_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool dying_ ABSL_GUARDED_BY(mu_) = false;  // A fatal message has come.

  Counter lines_dropped_;  // Written under mu_.
  Counter write_errors_;   // Written by the writer.

  Thread writer_;  // Last: it uses all the others.
};

}  // namespace millrace

#endif  // MILLRACE_BASE_ASYNC_LOG_SINK_H_
