// SPDX-License-Identifier: Apache-2.0
#include "base/async_log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/log_severity.h"
#include "absl/log/globals.h"
#include "absl/log/initialize.h"
#include "absl/log/log.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::Not;

constexpr char kFiller = '.';
const size_t kPageBytes = sysconf(_SC_PAGESIZE);

void SetNonBlocking(int fd, bool on) {
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

// A pipe to log into: a descriptor that takes nothing, until somebody reads.
class LogPipe {
 public:
  LogPipe() {
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    reading_.Reset(fds[0]);
    writing_.Reset(fds[1]);
  }

  int fd() const { return writing_.get(); }
  void MakeNonBlocking() { SetNonBlocking(fd(), true); }
  void CloseReadingEnd() { reading_.Reset(); }

  // From now on a write waits.
  void Fill() {
    SetNonBlocking(fd(), true);
    const std::string filler(kPageBytes, kFiller);
    for (size_t size : {filler.size(), size_t{1}}) {
      while (write(fd(), filler.data(), size) > 0) continue;
      EXPECT_EQ(errno, EAGAIN);
    }
    SetNonBlocking(fd(), false);
  }

  // Makes room for one page in a full pipe.
  void ReadOnePage() {
    std::string page(kPageBytes, 0);
    EXPECT_EQ(read(reading_.get(), page.data(), page.size()), static_cast<ssize_t>(page.size()));
  }
  void WaitUntilFull() {
    for (int bytes = 0; bytes < fcntl(fd(), F_GETPIPE_SZ);) {
      ASSERT_EQ(ioctl(reading_.get(), FIONREAD, &bytes), 0);
      sched_yield();
    }
  }

  // What has been written by now.
  std::string ReadNow() {
    SetNonBlocking(reading_.get(), true);
    return ReadToEnd();
  }

  // Reads from now on, so that nothing waits any more.
  void StartReading() {
    absl::StatusOr<Thread> reader = Thread::Start({}, [this] { text_ = ReadToEnd(); });
    ASSERT_TRUE(reader.ok()) << reader.status();
    reader_ = *std::move(reader);
  }

  // All that was written since StartReading(), but for the filler. Call when nobody writes any
  // more.
  std::string Finish() {
    writing_.Reset();
    reader_.Join();
    return text_.substr(std::min(text_.find_first_not_of(kFiller), text_.size()));
  }

 private:
  std::string ReadToEnd() {
    std::string text;
    std::array<char, 4096> block;
    ssize_t n;
    while ((n = read(reading_.get(), block.data(), block.size())) > 0) text.append(block.data(), n);
    return text;
  }

  UniqueFd reading_;
  std::string text_;
  Thread reader_;
  UniqueFd writing_;  // Last, so that it is closed first and the reader comes to an end.
};

class AsyncLogSinkTest : public ::testing::Test {
 protected:
  void Install(size_t queue_bytes_max = 1 << 20) {
    absl::StatusOr<std::unique_ptr<AsyncLogSink>> sink =
        AsyncLogSink::Install({.fd = pipe_.fd(), .queue_bytes_max = queue_bytes_max});
    ASSERT_TRUE(sink.ok()) << sink.status();
    sink_ = *std::move(sink);
  }
  void Uninstall() { sink_.reset(); }

  // Logs `line`, which with its line feed is all that the sink gets.
  static void Log(absl::string_view line) { LOG(INFO).NoPrefix() << line; }

  LogPipe pipe_;
  std::unique_ptr<AsyncLogSink> sink_;
};

TEST_F(AsyncLogSinkTest, LinesArriveInOrder) {
  Install();
  Log("one");
  Log("two");
  sink_->Flush();
  EXPECT_EQ(pipe_.ReadNow(), "one\ntwo\n");
  Log("three");
  sink_->Flush();
  EXPECT_EQ(pipe_.ReadNow(), "three\n");
}

TEST_F(AsyncLogSinkTest, LinesHaveAbslsPrefix) {
  Install();
  LOG(WARNING) << "careful";
  sink_->Flush();
  const std::string line = pipe_.ReadNow();
  EXPECT_TRUE(absl::StartsWith(line, "W")) << line;
  EXPECT_TRUE(absl::StrContains(line, "async_log_sink_test.cc:")) << line;
  EXPECT_TRUE(absl::EndsWith(line, "] careful\n")) << line;
}

TEST_F(AsyncLogSinkTest, FlushOfNothingReturns) {
  Install();
  sink_->Flush();
  EXPECT_EQ(pipe_.ReadNow(), "");
}

TEST_F(AsyncLogSinkTest, NothingArrivesAfterItIsGone) {
  Install();
  Uninstall();
  Log("to others");
  EXPECT_EQ(pipe_.ReadNow(), "");
}

TEST_F(AsyncLogSinkTest, DestructorWritesWhatIsLeft) {
  pipe_.Fill();
  Install();
  Log("one");
  Log("two");
  pipe_.StartReading();
  Uninstall();
  EXPECT_EQ(pipe_.Finish(), "one\ntwo\n");
}

// As of a program whose stderr is a full pipe: it was told to end, and must.
TEST_F(AsyncLogSinkTest, DestructorGivesUpOnADescriptorThatTakesNothing) {
  pipe_.Fill();
  Install();
  Log("one");
  Uninstall();
  pipe_.StartReading();
  EXPECT_EQ(pipe_.Finish(), "");
}

TEST_F(AsyncLogSinkTest, WhatFindsNoRoomIsDroppedCountedAndTold) {
  pipe_.Fill();
  Install(/*queue_bytes_max=*/100);
  std::string expected;
  for (int i = 0; i < 25; ++i) {  // Ten bytes each. Nobody reads, and yet this comes to an end.
    const std::string line = absl::StrFormat("line %04d", i);
    if (i < 10) absl::StrAppend(&expected, line, "\n");
    Log(line);
  }
  EXPECT_EQ(sink_->lines_dropped(), 15u);
  pipe_.StartReading();
  sink_->Flush();
  Log("after");
  Uninstall();
  EXPECT_EQ(pipe_.Finish(),
            absl::StrCat(expected, "log lines dropped, the queue was full: 15\nafter\n"));
}

TEST_F(AsyncLogSinkTest, DropsAreToldBeforeTheNextLineThatFits) {
  pipe_.Fill();
  Install(/*queue_bytes_max=*/250);
  Log("before");
  Log(std::string(300, 'x'));
  Log("after");
  EXPECT_EQ(sink_->lines_dropped(), 1u);
  pipe_.StartReading();
  Uninstall();
  EXPECT_EQ(pipe_.Finish(), "before\nlog lines dropped, the queue was full: 1\nafter\n");
}

TEST_F(AsyncLogSinkTest, DropsAreToldEvenIfNothingElseFollows) {
  Install(/*queue_bytes_max=*/20);
  Log(std::string(300, 'x'));
  sink_->Flush();
  EXPECT_EQ(pipe_.ReadNow(), "log lines dropped, the queue was full: 1\n");
  Log(std::string(300, 'x'));
  Uninstall();
  EXPECT_EQ(pipe_.ReadNow(), "log lines dropped, the queue was full: 1\n");
}

TEST_F(AsyncLogSinkTest, WhatIsBeingWrittenTakesRoomToo) {
  if (kPageBytes != 4096) GTEST_SKIP() << "no log line is longer than a page";
  pipe_.Fill();
  pipe_.ReadOnePage();
  Install(/*queue_bytes_max=*/6000);
  Log(std::string(4999, 'x'));
  pipe_.WaitUntilFull();  // So the writer holds the line, and the queue is empty.
  Log(std::string(999, 'y'));
  EXPECT_EQ(sink_->lines_dropped(), 0u);
  Log("z");
  EXPECT_EQ(sink_->lines_dropped(), 1u);
  pipe_.StartReading();
  Uninstall();
  EXPECT_TRUE(absl::EndsWith(pipe_.Finish(), "y\nlog lines dropped, the queue was full: 1\n"));
}

TEST_F(AsyncLogSinkTest, RoomComesBackWhenLinesAreWritten) {
  Install(/*queue_bytes_max=*/100);
  for (int i = 0; i < 100; ++i) {
    Log("fifty bytes, of which the line feed is the fifty.");
    sink_->Flush();
  }
  EXPECT_EQ(sink_->lines_dropped(), 0u);
}

// Far more than a pipe holds, so that writes are short or would block.
TEST_F(AsyncLogSinkTest, ShortWritesLoseNothing) {
  for (const bool non_blocking : {false, true}) {
    pipe_ = LogPipe();
    if (non_blocking) pipe_.MakeNonBlocking();
    Install();
    std::string expected;
    for (int i = 0; i < 5'000; ++i) {
      const std::string line = absl::StrFormat("%05d %s", i, std::string(94, 'x'));
      absl::StrAppend(&expected, line, "\n");
      Log(line);
    }
    pipe_.StartReading();
    Uninstall();
    EXPECT_TRUE(pipe_.Finish() == expected) << non_blocking;  // EQ would print a megabyte.
  }
}

TEST_F(AsyncLogSinkTest, LinesOfManyThreadsStayWhole) {
  Install();
  pipe_.StartReading();
  {
    std::vector<Thread> threads;
    for (char letter : {'a', 'b', 'c', 'd'}) {
      absl::StatusOr<Thread> thread = Thread::Start({}, [letter] {
        for (int i = 0; i < 200; ++i) Log(std::string(60, letter));
      });
      ASSERT_TRUE(thread.ok()) << thread.status();
      threads.push_back(*std::move(thread));
    }
  }
  Uninstall();
  const std::string text = pipe_.Finish();
  std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  EXPECT_EQ(lines.size(), 800u);
  for (const std::string& line : lines) EXPECT_EQ(line, std::string(60, line[0]));
}

TEST_F(AsyncLogSinkTest, ClosedPipeIsCountedAndKillsNothing) {
  Install();
  pipe_.CloseReadingEnd();
  Log("lost");
  sink_->Flush();
  EXPECT_EQ(sink_->write_errors(), 1u);
  Log("lost too");
  sink_->Flush();
  EXPECT_EQ(sink_->write_errors(), 2u);
  EXPECT_EQ(sink_->lines_dropped(), 0u);
}

TEST_F(AsyncLogSinkTest, AbslsOwnSinkIsSilentWhileOneWritesToStderr) {
  const absl::LogSeverityAtLeast before = absl::StderrThreshold();
  ASSERT_NE(before, absl::LogSeverityAtLeast::kInfinity);
  {
    absl::StatusOr<std::unique_ptr<AsyncLogSink>> to_stderr = AsyncLogSink::Install({});
    ASSERT_TRUE(to_stderr.ok()) << to_stderr.status();
    EXPECT_EQ(absl::StderrThreshold(), absl::LogSeverityAtLeast::kInfinity);
  }
  EXPECT_EQ(absl::StderrThreshold(), before);
  Install();
  EXPECT_EQ(absl::StderrThreshold(), before);
}

using AsyncLogSinkDeathTest = AsyncLogSinkTest;

TEST_F(AsyncLogSinkDeathTest, FatalMessageIsWrittenAfterAllBeforeIt) {
  EXPECT_DEATH(
      {
        absl::InitializeLog();
        auto sink = AsyncLogSink::Install({});
        for (int i = 0; i < 1000; ++i) Log(absl::StrCat("line ", i));
        LOG(FATAL) << "last words";
      },
      AllOf(ContainsRegex("line 0\n.*line 999\n.*last words\n.*stack trace"),
            Not(ContainsRegex("last words.*last words"))));
}

TEST_F(AsyncLogSinkDeathTest, FatalMessageIsWrittenThoughItDoesNotFit) {
  EXPECT_DEATH(
      {
        absl::InitializeLog();
        auto sink = AsyncLogSink::Install({.queue_bytes_max = 1});
        LOG(FATAL) << "last words";
      },
      "last words\n.*stack trace");
}

TEST_F(AsyncLogSinkDeathTest, FatalMessageEndsTheProcessThoughNobodyReads) {
  EXPECT_DEATH(
      {
        pipe_.Fill();
        Install();
        Log("waits");
        LOG(FATAL) << "last words";
      },
      "last words");  // By absl's own sink, on stderr.
}

}  // namespace
}  // namespace millrace
