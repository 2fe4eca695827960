// SPDX-License-Identifier: Apache-2.0
//
// What is epoll's own; what all pollers promise is in tests/contract/poller_contract_test.cc.
#include "net/epoll_poller.h"

#include <errno.h>

#include <array>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/monotonic_time.h"
#include "gtest/gtest.h"
#include "net/socket.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

class EpollPollerTest : public ::testing::Test {
 protected:
  EpollPollerTest() : poller_(MakeEpollPoller().value()), line_(Socket::Pair().value()) {}

  absl::StatusOr<int> Wait() {
    std::array<ReadyEvent, 8> events;
    return poller_->Wait(Clock::System(), MonotonicTime(), absl::MakeSpan(events));
  }
  int fd() const { return line_.first.fd(); }

  const Token kToken = {.slot = 1, .generation = 1};
  std::unique_ptr<Poller> poller_;
  std::pair<Socket, Socket> line_;
};

TEST_F(EpollPollerTest, SystemWithoutRoomForOneMoreIsAnError) {
  const ScopedFault fault(Call::kEpollCreate1, {.error = EMFILE});
  EXPECT_EQ(MakeEpollPoller().status(), absl::ErrnoToStatus(EMFILE, "epoll_create1"));
}

TEST_F(EpollPollerTest, SystemWithoutRoomForTheAlarmIsAnErrorToo) {
  {
    const ScopedFault fault(Call::kTimerfdCreate, {.error = EMFILE});
    EXPECT_EQ(MakeEpollPoller().status(), absl::ErrnoToStatus(EMFILE, "timerfd_create"));
  }
  const ScopedFault fault(Call::kEpollCtl, {.error = ENOSPC});
  EXPECT_EQ(MakeEpollPoller().status(), absl::ErrnoToStatus(ENOSPC, "epoll_ctl add alarm"));
}

// Which is what makes putting an idle timeout off with each message cost nothing.
TEST_F(EpollPollerTest, AlarmIsSetForEarlierTimesOnly) {
  ASSERT_TRUE(poller_->Add(fd(), Io::kWrite, kToken).ok());  // Ready, so that nothing waits.
  const ScopedFault spy(Call::kTimerfdSettime);
  const MonotonicTime now = Clock::System().Now();
  const auto wait_until = [&](MonotonicTime until) {
    std::array<ReadyEvent, 8> events;
    EXPECT_EQ(poller_->Wait(Clock::System(), until, absl::MakeSpan(events)).value(), 1);
    return spy.hits();
  };
  EXPECT_EQ(wait_until(MonotonicTime::InfiniteFuture()), 0);
  EXPECT_EQ(wait_until(now + absl::Hours(2)), 1);
  EXPECT_EQ(wait_until(now + absl::Hours(3)), 1);
  EXPECT_EQ(wait_until(now + absl::Hours(2)), 1);
  EXPECT_EQ(wait_until(now + absl::Hours(1)), 2);
  EXPECT_EQ(wait_until(MonotonicTime()), 2) << "it does not wait";
}

TEST_F(EpollPollerTest, OutOfMemoryOrWatchesIsAnErrorThatNamesTheDescriptor) {
  for (int error : {ENOMEM, ENOSPC}) {
    const ScopedFault fault(Call::kEpollCtl, {.error = error, .times = 1});
    EXPECT_EQ(poller_->Add(fd(), Io::kWrite, kToken),
              absl::ErrnoToStatus(error, absl::StrCat("epoll_ctl add ", fd())));
    EXPECT_TRUE(fault.spent());
    EXPECT_EQ(Wait().value(), 0);
    EXPECT_TRUE(poller_->Add(fd(), Io::kWrite, kToken).ok()) << "a failed Add changes nothing";
    const ScopedFault modify_fault(Call::kEpollCtl, {.error = error, .times = 1});
    EXPECT_EQ(poller_->Modify(fd(), Io::kRead, kToken),
              absl::ErrnoToStatus(error, absl::StrCat("epoll_ctl modify ", fd())));
    EXPECT_EQ(Wait().value(), 1) << "nor does a failed Modify";
    poller_->Remove(fd());
  }
}

TEST_F(EpollPollerTest, SignalIsNoEventAndNoError) {
  ASSERT_TRUE(poller_->Add(fd(), Io::kWrite, kToken).ok());
  const ScopedFault fault(Call::kEpollWait, {.error = EINTR, .times = 1});
  EXPECT_EQ(Wait().value(), 0);
  EXPECT_EQ(Wait().value(), 1);
}

TEST_F(EpollPollerTest, OtherFailuresOfWaitingAreErrors) {
  const ScopedFault fault(Call::kEpollWait, {.error = EBADF});
  EXPECT_EQ(Wait().status(), absl::ErrnoToStatus(EBADF, "epoll_wait"));
}

TEST_F(EpollPollerTest, FileThatIsAlwaysReadyCannotBeWatched) {
  FILE* const file = tmpfile();
  ASSERT_NE(file, nullptr);
  const absl::Status status = poller_->Add(fileno(file), Io::kRead, kToken);
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  fclose(file);
}

TEST_F(EpollPollerTest, ForgettingCostsNoSystemCall) {
  ASSERT_TRUE(poller_->Add(fd(), Io::kWrite, kToken).ok());
  const ScopedFault spy(Call::kEpollCtl);
  poller_->Forget(fd());
  line_.first = Socket();
  EXPECT_EQ(Wait().value(), 0);
  EXPECT_EQ(spy.hits(), 0);
}

TEST_F(EpollPollerTest, RemovingWhatIsNotWatchedIsHarmless) {
  poller_->Remove(fd());
  EXPECT_TRUE(poller_->Add(fd(), Io::kWrite, kToken).ok());
  EXPECT_EQ(Wait().value(), 1);
}

}  // namespace
}  // namespace millrace
