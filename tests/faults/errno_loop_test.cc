// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a loop, and of a server on it, when the calls by which it waits fail: each errno
// of epoll_ctl(2), epoll_wait(2), timerfd_settime(2), and of eventfd(2)'s read and write.
#include <cerrno>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/thread.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "tests/faults/errno_fixture.h"
#include "tests/support/fault_injection.h"
#include "tests/support/peer.h"
#include "tests/support/process_figures.h"
#include "tests/support/scripted_poller.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

// Of a newcomer. At a start the same errno fails it.
constexpr ErrnoRow kEpollCtlAddRows[] = {
    {EBADF, Effect::kNeverOpens},  {EEXIST, Effect::kNeverOpens}, {EINVAL, Effect::kNeverOpens},
    {ELOOP, Effect::kNeverOpens},  {ENOENT, Effect::kNeverOpens}, {ENOMEM, Effect::kNeverOpens},
    {ENOSPC, Effect::kNeverOpens}, {EPERM, Effect::kNeverOpens},
};

// Of a connection that begins to wait for room.
constexpr ErrnoRow kEpollCtlModifyRows[] = {
    {EBADF, Effect::kConnectionEnds},  {EEXIST, Effect::kConnectionEnds},
    {EINVAL, Effect::kConnectionEnds}, {ELOOP, Effect::kConnectionEnds},
    {ENOENT, Effect::kConnectionEnds}, {ENOMEM, Effect::kConnectionEnds},
    {ENOSPC, Effect::kConnectionEnds}, {EPERM, Effect::kConnectionEnds},
};

// Of a connection that pauses. It needs no memory, so only a bug gets here: it is logged.
constexpr ErrnoRow kEpollCtlRemoveRows[] = {
    {EBADF, Effect::kGoesOn},  {EEXIST, Effect::kGoesOn}, {EINVAL, Effect::kGoesOn},
    {ELOOP, Effect::kGoesOn},  {ENOENT, Effect::kGoesOn}, {ENOMEM, Effect::kGoesOn},
    {ENOSPC, Effect::kGoesOn}, {EPERM, Effect::kGoesOn},
};

constexpr ErrnoRow kEpollWaitRows[] = {
    {EBADF, Effect::kIsCounted},
    {EFAULT, Effect::kIsCounted},
    {EINTR, Effect::kGoesOn},
    {EINVAL, Effect::kIsCounted},
};

// With these arguments it cannot fail.
constexpr ErrnoRow kTimerfdSettimeRows[] = {
    {EBADF, Effect::kProcessEnds},
    {ECANCELED, Effect::kProcessEnds},
    {EFAULT, Effect::kProcessEnds},
    {EINVAL, Effect::kProcessEnds},
};

// Of the loop's bell, an eventfd: whatever comes of ringing it, what was posted is run.
constexpr ErrnoRow kReadRows[] = {
    {EAGAIN, Effect::kGoesOn}, {EBADF, Effect::kGoesOn},  {EFAULT, Effect::kGoesOn},
    {EINTR, Effect::kGoesOn},  {EINVAL, Effect::kGoesOn}, {EIO, Effect::kGoesOn},
};

constexpr ErrnoRow kWriteRows[] = {
    {EAGAIN, Effect::kGoesOn},  // It rings already.
    {EBADF, Effect::kGoesOn},  {EFAULT, Effect::kGoesOn}, {EINTR, Effect::kGoesOn},
    {EINVAL, Effect::kGoesOn}, {EIO, Effect::kGoesOn},    {ENOSPC, Effect::kGoesOn},
    {EPIPE, Effect::kGoesOn},
};

class ErrnoLoopTest : public ErrnoTest, public ::testing::WithParamInterface<ErrnoRow> {};

class EpollCtlAddErrnoTest : public ErrnoLoopTest {};

TEST_P(EpollCtlAddErrnoTest, NewcomerIsDroppedAndCounted) {
  Peer& old = Connect();
  Peer peer = Peer::ConnectedTo(server_->addresses()[0]);
  const ScopedFault fault(Call::kEpollCtl, {.error = GetParam().error, .times = 1});
  EXPECT_TRUE(loop_->StepUntil([&] { return server_->stats().failed_to_open == 1; }));
  EXPECT_TRUE(fault.spent());
  EXPECT_EQ(Receive(peer, std::string::npos), "");
  EXPECT_EQ(server_->stats().open, 1);
  ExpectServed(old);
}

// First the alarm's, then the bell's; and of a server the listener's.
TEST_P(EpollCtlAddErrnoTest, FailsAStart) {
  const int before = OpenDescriptors();
  for (const int nth : {0, 1}) {
    const ScopedFault fault(Call::kEpollCtl, {.error = GetParam().error, .times = 1, .skip = nth});
    const absl::Status status = EventLoop::Create().status();
    EXPECT_EQ(status.code(), absl::ErrnoToStatusCode(GetParam().error));
    EXPECT_THAT(status.message(), HasSubstr("epoll_ctl add"));
  }
  const ScopedFault fault(Call::kEpollCtl, {.error = GetParam().error, .times = 1});
  const absl::Status status = StartServer().status();
  loop_->Step();
  EXPECT_EQ(status.code(), absl::ErrnoToStatusCode(GetParam().error));
  EXPECT_THAT(status.message(), HasSubstr("epoll_ctl add"));
  EXPECT_EQ(OpenDescriptors(), before);
}

INSTANTIATE_TEST_SUITE_P(Errno, EpollCtlAddErrnoTest, ::testing::ValuesIn(kEpollCtlAddRows),
                         NameOfErrno());

class EpollCtlModifyErrnoTest : public ErrnoLoopTest {};

TEST_P(EpollCtlModifyErrnoTest, ConnectionEndsNamingIt) {
  Peer& neighbour = Connect();
  Peer& peer = Connect();
  const std::string call = absl::StrCat("epoll_ctl modify ", NewestFd());
  const ScopedFault fault(Call::kEpollCtl, {.error = GetParam().error, .times = 1});
  peer.Send(kMuch);
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_TRUE(fault.spent());
  EXPECT_EQ(closes_.front(), absl::ErrnoToStatus(GetParam().error, call));
  EXPECT_EQ(errors_.front(), GetParam().error);
  Receive(peer, std::string::npos);
  EXPECT_TRUE(peer.was_reset()) << "a clean end would look like all there is";
  ExpectServed(neighbour);
}

INSTANTIATE_TEST_SUITE_P(Errno, EpollCtlModifyErrnoTest, ::testing::ValuesIn(kEpollCtlModifyRows),
                         NameOfErrno());

class EpollCtlRemoveErrnoTest : public ErrnoLoopTest {};

TEST_P(EpollCtlRemoveErrnoTest, IsLoggedAndTheConnectionPaused) {
  Peer& neighbour = Connect();
  Peer& peer = Connect();
  const ScopedFault fault(Call::kEpollCtl, {.error = GetParam().error, .times = 1});
  peer.Send(kPause);
  ASSERT_TRUE(loop_->StepUntil([&] { return fault.spent(); }));
  peer.Send(kEcho);
  loop_->Steps(5);
  EXPECT_EQ(peer.ReceiveSome(), "");
  ExpectServed(neighbour);
  open_.back()->Abort(absl::CancelledError("enough"));
  EXPECT_TRUE(StepUntilClosed());
}

INSTANTIATE_TEST_SUITE_P(Errno, EpollCtlRemoveErrnoTest, ::testing::ValuesIn(kEpollCtlRemoveRows),
                         NameOfErrno());

class EpollWaitErrnoTest : public ErrnoLoopTest {};

TEST_P(EpollWaitErrnoTest, DoesAsItsRowSays) {
  Peer& peer = Connect();
  const bool counts = GetParam().effect == Effect::kIsCounted;
  const ScopedFault fault(Call::kEpollWait, {.error = GetParam().error, .times = 10});
  peer.Send(kEcho);
  loop_->Steps(10);
  EXPECT_TRUE(fault.spent());
  EXPECT_EQ(peer.ReceiveSome(), "");
  EXPECT_EQ(Receive(peer, kEcho.size()), kEcho);
  EXPECT_EQ((*loop_)->counters().wait_errors.value(), counts ? 10 : 0);
  EXPECT_EQ(closes_.size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Errno, EpollWaitErrnoTest, ::testing::ValuesIn(kEpollWaitRows),
                         NameOfErrno());

class TimerfdSettimeErrnoDeathTest : public ErrnoLoopTest {};

TEST_P(TimerfdSettimeErrnoDeathTest, EndsTheProcessNamingTheCall) {
  EXPECT_DEATH(
      {
        const ScopedFault fault(Call::kTimerfdSettime, {.error = GetParam().error});
        (*loop_)->RunOnce(absl::Milliseconds(1));
      },
      strerror(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(Errno, TimerfdSettimeErrnoDeathTest,
                         ::testing::ValuesIn(kTimerfdSettimeRows), NameOfErrno());

// The bell is rung while the loop waits, so a poller whose wait the test has in its hand.
class BellErrnoTest : public ::testing::TestWithParam<ErrnoRow> {
 protected:
  // Posts while the loop sleeps; how often the post has run a turn later.
  int PostsRun() {
    int runs = 0;
    poller_->while_waiting = [&](absl::Duration max_wait) {
      if (max_wait > absl::ZeroDuration()) loop_->ref().Post([&] { ++runs; });
    };
    loop_->RunOnce(absl::Hours(1));
    poller_->while_waiting = [](absl::Duration) {};
    return runs;
  }

  ScriptedPoller* poller_ = nullptr;
  TestLoop loop_{{.poller = ScriptedPoller::Factory(poller_)}};
};

class WriteErrnoTest : public BellErrnoTest {};

TEST_P(WriteErrnoTest, NoPostIsLost) {
  const ScopedFault fault(Call::kWrite, {.error = GetParam().error, .times = 1});
  EXPECT_EQ(PostsRun(), 1);
  EXPECT_TRUE(fault.spent());
  EXPECT_EQ(PostsRun(), 1);
}

INSTANTIATE_TEST_SUITE_P(Errno, WriteErrnoTest, ::testing::ValuesIn(kWriteRows), NameOfErrno());

// On a real poller: an eventfd that was not read is told again.
class ReadErrnoTest : public ErrnoLoopTest {};

TEST_P(ReadErrnoTest, BellIsHeardAgainAndThenSilent) {
  int runs = 0;
  const ScopedFault fault(Call::kRead, {.error = GetParam().error, .times = 1});
  Thread poster = Thread::Start({.name = "poster"}, [&] {
                    // Until it met a sleeping loop, and so the bell.
                    while (fault.hits() == 0) (*loop_)->ref().Post([&] { ++runs; });
                  }).value();
  while (fault.hits() == 0) (*loop_)->RunOnce(absl::InfiniteDuration());
  poster.Join();
  const int64_t posted = (*loop_)->counters().posts_run.value();
  loop_->Steps(3);
  EXPECT_EQ((*loop_)->counters().posts_run.value(), runs);
  EXPECT_GE(runs, posted);
}

INSTANTIATE_TEST_SUITE_P(Errno, ReadErrnoTest, ::testing::ValuesIn(kReadRows), NameOfErrno());

}  // namespace
}  // namespace millrace
