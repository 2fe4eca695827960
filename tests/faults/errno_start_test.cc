// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a start when the system refuses it something: each errno of the calls that make a
// loop and a listener. Start fails, names the call, leaves nothing behind, and the next one works.
#include <signal.h>

#include <cerrno>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/signal_watcher.h"
#include "net/socket_address.h"
#include "tests/faults/errno_fixture.h"
#include "tests/support/fault_injection.h"
#include "tests/support/process_figures.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

constexpr ErrnoRow kEpollCreate1Rows[] = {
    {EINVAL, Effect::kStartFails},
    {EMFILE, Effect::kStartFails},
    {ENFILE, Effect::kStartFails},
    {ENOMEM, Effect::kStartFails},
};

constexpr ErrnoRow kTimerfdCreateRows[] = {
    {EINVAL, Effect::kStartFails},  //
    {EMFILE, Effect::kStartFails}, {ENFILE, Effect::kStartFails}, {ENODEV, Effect::kStartFails},
    {ENOMEM, Effect::kStartFails}, {EPERM, Effect::kStartFails},
};

constexpr ErrnoRow kEventfdRows[] = {
    {EINVAL, Effect::kStartFails}, {EMFILE, Effect::kStartFails}, {ENFILE, Effect::kStartFails},
    {ENODEV, Effect::kStartFails}, {ENOMEM, Effect::kStartFails},
};

constexpr ErrnoRow kSocketRows[] = {
    {EACCES, Effect::kStartFails},
    {EAFNOSUPPORT, Effect::kStartFails},  // Of "any" it takes IPv4, where there is no IPv6.
    {EINVAL, Effect::kStartFails},
    {EMFILE, Effect::kStartFails},
    {ENFILE, Effect::kStartFails},
    {ENOBUFS, Effect::kStartFails},
    {ENOMEM, Effect::kStartFails},
    {EPROTONOSUPPORT, Effect::kStartFails},
};

constexpr ErrnoRow kBindRows[] = {
    {EACCES, Effect::kStartFails},        {EADDRINUSE, Effect::kStartFails},
    {EADDRNOTAVAIL, Effect::kStartFails}, {EBADF, Effect::kStartFails},
    {EFAULT, Effect::kStartFails},        {EINVAL, Effect::kStartFails},
    {ELOOP, Effect::kStartFails},         {ENAMETOOLONG, Effect::kStartFails},
    {ENOENT, Effect::kStartFails},        {ENOMEM, Effect::kStartFails},
    {ENOTDIR, Effect::kStartFails},       {ENOTSOCK, Effect::kStartFails},
    {EROFS, Effect::kStartFails},
};

constexpr ErrnoRow kListenRows[] = {
    {EADDRINUSE, Effect::kStartFails},
    {EBADF, Effect::kStartFails},
    {ENOTSOCK, Effect::kStartFails},
    {EOPNOTSUPP, Effect::kStartFails},
};

constexpr ErrnoRow kSetsockoptRows[] = {
    {EACCES, Effect::kStartFails},   {EBADF, Effect::kStartFails},
    {EDOM, Effect::kStartFails},     {EFAULT, Effect::kStartFails},
    {EINVAL, Effect::kStartFails},   {ENOBUFS, Effect::kStartFails},
    {ENOMEM, Effect::kStartFails},   {ENOPROTOOPT, Effect::kStartFails},
    {ENOTSOCK, Effect::kStartFails}, {EPERM, Effect::kStartFails},
};

constexpr ErrnoRow kGetsockoptRows[] = {
    {EBADF, Effect::kStartFails},    {EFAULT, Effect::kStartFails},
    {EINVAL, Effect::kStartFails},   {ENOPROTOOPT, Effect::kStartFails},
    {ENOTSOCK, Effect::kStartFails},
};

constexpr ErrnoRow kSignalfdRows[] = {
    {EBADF, Effect::kStartFails},  {EINVAL, Effect::kStartFails}, {EMFILE, Effect::kStartFails},
    {ENFILE, Effect::kStartFails}, {ENODEV, Effect::kStartFails}, {ENOMEM, Effect::kStartFails},
};

class ErrnoStartTest : public ErrnoTest, public ::testing::WithParamInterface<ErrnoRow> {
 public:
  absl::Status StartLoop() { return EventLoop::Create().status(); }
  absl::Status Start() { return StartServer().status(); }

 protected:
  // Whichever of the start's calls of this kind it is that fails, the start fails with it. `start`
  // is one of the two above.
  void ExpectEachToFail(Call call, absl::string_view name,
                        absl::Status (ErrnoStartTest::*start)()) {
    ASSERT_EQ(GetParam().effect, Effect::kStartFails);
    loop_->Step();
    const int before = OpenDescriptors();
    const int calls = CallsOf(call, start);
    EXPECT_GT(calls, 0);
    for (int nth = 0; nth < calls; ++nth) {
      const ScopedFault fault(call, {.error = GetParam().error, .times = 1, .skip = nth});
      const absl::Status status = (this->*start)();
      loop_->Step();  // Which destroys what was deferred.
      EXPECT_TRUE(fault.spent());
      EXPECT_EQ(status.code(), absl::ErrnoToStatusCode(GetParam().error)) << status;
      EXPECT_THAT(status.message(), HasSubstr(name));
      EXPECT_EQ(OpenDescriptors(), before);
    }
    EXPECT_TRUE((this->*start)().ok()) << "the next one works";
    loop_->Step();
  }

 private:
  int CallsOf(Call call, absl::Status (ErrnoStartTest::*start)()) {
    const ScopedFault spy(call);
    EXPECT_TRUE((this->*start)().ok());
    loop_->Step();
    return spy.hits();
  }
};

class EpollCreate1ErrnoTest : public ErrnoStartTest {};
TEST_P(EpollCreate1ErrnoTest, StartFailsAndLeavesNothingBehind) {
  ExpectEachToFail(Call::kEpollCreate1, "epoll_create1", &EpollCreate1ErrnoTest::StartLoop);
}
INSTANTIATE_TEST_SUITE_P(Errno, EpollCreate1ErrnoTest, ::testing::ValuesIn(kEpollCreate1Rows),
                         NameOfErrno());

class TimerfdCreateErrnoTest : public ErrnoStartTest {};
TEST_P(TimerfdCreateErrnoTest, StartFailsAndLeavesNothingBehind) {
  ExpectEachToFail(Call::kTimerfdCreate, "timerfd_create", &TimerfdCreateErrnoTest::StartLoop);
}
INSTANTIATE_TEST_SUITE_P(Errno, TimerfdCreateErrnoTest, ::testing::ValuesIn(kTimerfdCreateRows),
                         NameOfErrno());

class EventfdErrnoTest : public ErrnoStartTest {};
TEST_P(EventfdErrnoTest, StartFailsAndLeavesNothingBehind) {
  ExpectEachToFail(Call::kEventfd, "eventfd", &EventfdErrnoTest::StartLoop);
}
INSTANTIATE_TEST_SUITE_P(Errno, EventfdErrnoTest, ::testing::ValuesIn(kEventfdRows), NameOfErrno());

class SocketErrnoTest : public ErrnoStartTest {};
TEST_P(SocketErrnoTest, StartFailsAndLeavesNothingBehind) {
  ExpectEachToFail(Call::kSocket, "socket", &SocketErrnoTest::Start);
}
INSTANTIATE_TEST_SUITE_P(Errno, SocketErrnoTest, ::testing::ValuesIn(kSocketRows), NameOfErrno());

class BindErrnoTest : public ErrnoStartTest {};
TEST_P(BindErrnoTest, StartFailsAndLeavesNothingBehind) {
  ExpectEachToFail(Call::kBind, "bind 127.0.0.1:0", &BindErrnoTest::Start);
}
INSTANTIATE_TEST_SUITE_P(Errno, BindErrnoTest, ::testing::ValuesIn(kBindRows), NameOfErrno());

class ListenErrnoTest : public ErrnoStartTest {};
TEST_P(ListenErrnoTest, StartFailsAndLeavesNothingBehind) {
  ExpectEachToFail(Call::kListen, "127.0.0.1:0: listen", &ListenErrnoTest::Start);
}
INSTANTIATE_TEST_SUITE_P(Errno, ListenErrnoTest, ::testing::ValuesIn(kListenRows), NameOfErrno());

class SetsockoptErrnoTest : public ErrnoStartTest {};
TEST_P(SetsockoptErrnoTest, StartFailsAndLeavesNothingBehind) {
  ExpectEachToFail(Call::kSetsockopt, "setsockopt ", &SetsockoptErrnoTest::Start);
}
// The one option that is set later, to reset: if even that fails, closing in good order is left.
TEST_P(SetsockoptErrnoTest, ConnectionEndsWithItsReasonAllTheSame) {
  Peer& peer = Connect();
  const ScopedFault fault(Call::kSetsockopt, {.error = GetParam().error, .fd = NewestFd()});
  peer.Send(kAbort);
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_EQ(fault.hits(), 1);
  EXPECT_EQ(closes_.front(), absl::AbortedError("as asked"));
}
INSTANTIATE_TEST_SUITE_P(Errno, SetsockoptErrnoTest, ::testing::ValuesIn(kSetsockoptRows),
                         NameOfErrno());

class GetsockoptErrnoTest : public ErrnoStartTest {};
TEST_P(GetsockoptErrnoTest, StartFailsAndLeavesNothingBehind) {
  ExpectEachToFail(Call::kGetsockopt, "getsockopt ", &GetsockoptErrnoTest::Start);
}
INSTANTIATE_TEST_SUITE_P(Errno, GetsockoptErrnoTest, ::testing::ValuesIn(kGetsockoptRows),
                         NameOfErrno());

class SignalfdErrnoTest : public ErrnoStartTest {};
TEST_P(SignalfdErrnoTest, WatcherIsRefusedAndTheNextOneWorks) {
  ASSERT_EQ(GetParam().effect, Effect::kStartFails);
  const int before = OpenDescriptors();
  const auto watch = [&] { return SignalWatcher::Create(**loop_, {SIGUSR2}, [](int) {}); };
  {
    const ScopedFault fault(Call::kSignalfd, {.error = GetParam().error, .times = 1});
    EXPECT_EQ(watch().status(), absl::ErrnoToStatus(GetParam().error, "signalfd"));
    EXPECT_TRUE(fault.spent());
    EXPECT_EQ(OpenDescriptors(), before);
  }
  EXPECT_TRUE(watch().ok());
}
INSTANTIATE_TEST_SUITE_P(Errno, SignalfdErrnoTest, ::testing::ValuesIn(kSignalfdRows),
                         NameOfErrno());

}  // namespace
}  // namespace millrace
