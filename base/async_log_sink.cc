// SPDX-License-Identifier: Apache-2.0
#include "base/async_log_sink.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/log_severity.h"
#include "absl/functional/function_ref.h"
#include "absl/log/globals.h"
#include "absl/log/log_entry.h"
#include "absl/log/log_sink_registry.h"
#include "absl/memory/memory.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/thread.h"

namespace millrace {
namespace {

// Room that a line which tells of drops needs at most.
constexpr size_t kDropNoticeBytesMax = 80;

constexpr absl::Duration kFatalWaitMax = absl::Seconds(1);
// A program that is told to end must, though nobody reads its log.
constexpr absl::Duration kLastWaitMax = absl::Seconds(1);

bool WaitUntilWritable(int fd, int timeout_ms) {
  pollfd writable = {.fd = fd, .events = POLLOUT, .revents = 0};
  int ready;
  do {
    ready = poll(&writable, 1, timeout_ms);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

// False if the descriptor fails, or `wait` says that it takes nothing; the rest is lost then. A
// full disk or a closed pipe is not tried again here: the next batch comes soon enough.
bool WriteAll(int fd, absl::string_view bytes, absl::FunctionRef<bool()> wait) {
  while (!bytes.empty()) {
    if (!wait()) return false;
    // A pipe or a terminal that is writable takes so much without blocking.
    const ssize_t written = write(fd, bytes.data(), std::min<size_t>(bytes.size(), PIPE_BUF));
    if (written > 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (written == 0 || (errno != EINTR && errno != EAGAIN)) {
      return false;
    }
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<AsyncLogSink>> AsyncLogSink::Install(Options options) {
  auto sink = absl::WrapUnique(new AsyncLogSink(options));
  AsyncLogSink* writer = sink.get();
  // With signals blocked, a closed pipe is an error of write(2) and not the end of the process.
  absl::StatusOr<Thread> thread = Thread::Start({.name = "log-writer", .blocks_signals = true},
                                                [writer] { writer->WriteUntilStopped(); });
  if (!thread.ok()) return std::move(thread).status();
  sink->writer_ = *std::move(thread);
  absl::AddLogSink(sink.get());
  if (options.fd == STDERR_FILENO) {
    sink->silence_.emplace(absl::LogSeverityAtLeast::kInfinity);
  }
  return sink;
}

AsyncLogSink::AsyncLogSink(Options options) : options_(options) {
  pending_.reserve(options_.queue_bytes_max);  // So that LOG does not allocate here.
}

AsyncLogSink::~AsyncLogSink() {
  if (!writer_.joinable()) return;  // Install() failed, and nothing was registered.
  silence_.reset();
  absl::RemoveLogSink(this);  // Waits for calls to Send() to return: none comes after.
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  writer_.Join();
}

void AsyncLogSink::Flush() {
  absl::MutexLock lock(&mu_);
  if (dying_) return;  // absl flushes before it aborts; Send() has waited as long as is right.
  if (drops_untold_ > 0) AppendDropNotice();
  const uint64_t target = bytes_accepted_;
  auto written = [this, target]()
                     ABSL_SHARED_LOCKS_REQUIRED(mu_) { return bytes_written_ >= target; };
  mu_.Await(absl::Condition(&written));
}

void AsyncLogSink::Send(const absl::LogEntry& entry) {
  if (entry.log_severity() != absl::LogSeverity::kFatal) {
    Enqueue(entry.text_message_with_prefix_and_newline());
  } else if (entry.stacktrace().empty()) {
    WriteThrough(entry.text_message_with_prefix_and_newline());
  } else {  // A fatal message comes twice, and the second time only the stack is new.
    WriteThrough(entry.stacktrace());
  }
}

void AsyncLogSink::Enqueue(absl::string_view line) {
  absl::MutexLock lock(&mu_);
  const size_t waiting = bytes_accepted_ - bytes_written_;
  const size_t needed = line.size() + (drops_untold_ > 0 ? kDropNoticeBytesMax : 0);
  if (waiting + needed > options_.queue_bytes_max) {
    ++drops_untold_;
    lines_dropped_.Increment();
    return;
  }
  if (drops_untold_ > 0) AppendDropNotice();  // Before the line: that is when it was.
  Append(line);
}

void AsyncLogSink::WriteThrough(absl::string_view text) {
  {
    absl::MutexLock lock(&mu_);
    dying_ = true;
    Append(text);  // Whether or not it fits.
    const uint64_t target = bytes_accepted_;
    auto written = [this, target]()
                       ABSL_SHARED_LOCKS_REQUIRED(mu_) { return bytes_written_ >= target; };
    if (mu_.AwaitWithTimeout(absl::Condition(&written), kFatalWaitMax)) return;
  }
  // The writer is stuck, or it is not there: this process was forked, or it is the writer that
  // dies.
  WriteAll(options_.fd, text, [this] { return WaitUntilWritable(options_.fd, 0); });
}

void AsyncLogSink::Append(absl::string_view text) {
  pending_.append(text.data(), text.size());
  bytes_accepted_ += text.size();
}

void AsyncLogSink::AppendDropNotice() {
  Append(absl::StrCat("log lines dropped, the queue was full: ", drops_untold_, "\n"));
  drops_untold_ = 0;
}

void AsyncLogSink::WriteUntilStopped() {
  std::string batch;
  batch.reserve(options_.queue_bytes_max);  // It changes places with pending_.
  while (TakeBatch(batch)) {
    if (!WriteAll(options_.fd, batch, [this] { return WaitForRoom(); })) write_errors_.Increment();
    absl::MutexLock lock(&mu_);
    bytes_written_ += batch.size();  // Even if it failed: nobody is to wait for it any more.
  }
}

// Never inside write(2): who waits there cannot be told that it is time to end. False if it is, and
// the descriptor has taken nothing for kLastWaitMax.
bool AsyncLogSink::WaitForRoom() {
  constexpr absl::Duration kBetweenLooks = absl::Milliseconds(50);
  for (absl::Duration waited; waited < kLastWaitMax; waited += kBetweenLooks) {
    if (WaitUntilWritable(options_.fd, static_cast<int>(kBetweenLooks / absl::Milliseconds(1)))) {
      return true;
    }
    absl::MutexLock lock(&mu_);
    if (!stopping_) waited = absl::ZeroDuration();
  }
  return false;
}

// Waits for something to write. False: nothing is left, and nothing will come.
bool AsyncLogSink::TakeBatch(std::string& batch) {
  batch.clear();
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(this, &AsyncLogSink::HasWork));
  if (drops_untold_ > 0) AppendDropNotice();
  pending_.swap(batch);
  return !batch.empty();
}

bool AsyncLogSink::HasWork() const { return !pending_.empty() || drops_untold_ > 0 || stopping_; }

}  // namespace millrace
