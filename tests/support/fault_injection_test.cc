// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fault_injection.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/system_calls.h"

namespace millrace {
namespace {

class FaultInjectionTest : public ::testing::Test {
 protected:
  FaultInjectionTest() {
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    reader_ = UniqueFd(fds[0]);
    writer_ = UniqueFd(fds[1]);
  }

  // The errno of a write, or 0.
  int Write(const UniqueFd& fd) { return write(fd.get(), "x", 1) == 1 ? 0 : errno; }
  int Write() { return Write(writer_); }

  static std::pair<UniqueFd, UniqueFd> SocketPair() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
  }

  UniqueFd reader_, writer_;
};

TEST_F(FaultInjectionTest, CallThatIsMadeAllTheSameHasItsEffectAndFails) {
  const ScopedFault fault(Call::kWrite, {.error = EINTR, .times = 1, .made = true});
  EXPECT_EQ(Write(), EINTR);
  char bytes[2];
  EXPECT_EQ(read(reader_.get(), bytes, sizeof(bytes)), 1) << "it was written";
}

TEST_F(FaultInjectionTest, LastsAsLongAsItLives) {
  {
    const ScopedFault fault(Call::kWrite, {.error = EIO});
    EXPECT_EQ(Write(), EIO);
    EXPECT_EQ(Write(), EIO);
    EXPECT_EQ(fault.hits(), 2);
    EXPECT_FALSE(fault.spent());
  }
  EXPECT_EQ(Write(), 0);
}

TEST_F(FaultInjectionTest, SkipsThenHitsThenIsSpent) {
  const ScopedFault fault(Call::kWrite, {.error = EIO, .times = 2, .skip = 1});
  EXPECT_EQ(Write(), 0);
  EXPECT_EQ(fault.hits(), 0);
  EXPECT_EQ(Write(), EIO);
  EXPECT_FALSE(fault.spent());
  EXPECT_EQ(Write(), EIO);
  EXPECT_TRUE(fault.spent());
  EXPECT_EQ(Write(), 0);
  EXPECT_EQ(fault.hits(), 2);
}

TEST_F(FaultInjectionTest, HitsOnlyItsDescriptor) {
  const UniqueFd other(dup(writer_.get()));
  const ScopedFault fault(Call::kWrite, {.error = EIO, .fd = other.get()});
  EXPECT_EQ(Write(), 0);
  EXPECT_EQ(Write(other), EIO);
}

TEST_F(FaultInjectionTest, HitsOnlyTheThreadsItIsFor) {
  const auto elsewhere = [this] {
    int result = -1;
    std::thread([&] { result = Write(); }).join();
    return result;
  };
  {
    const ScopedFault fault(Call::kWrite, {.error = EIO, .from = CallsFrom::kThisThread});
    EXPECT_EQ(Write(), EIO);
    EXPECT_EQ(elsewhere(), 0);
  }
  const ScopedFault fault(Call::kWrite, {.error = EIO, .from = CallsFrom::kOtherThreads});
  EXPECT_EQ(Write(), 0);
  EXPECT_EQ(elsewhere(), EIO);
}

TEST_F(FaultInjectionTest, LastOneMadeGoesFirst) {
  const ScopedFault outer(Call::kWrite, {.error = EIO});
  {
    const ScopedFault inner(Call::kWrite, {.error = ENOSPC, .times = 1});
    EXPECT_EQ(Write(), ENOSPC);
    EXPECT_EQ(Write(), EIO) << "as the inner one is spent";
  }
  EXPECT_EQ(Write(), EIO);
  EXPECT_EQ(outer.hits(), 2);
}

TEST_F(FaultInjectionTest, MayEndInAnyOrder) {
  auto first = std::make_unique<ScopedFault>(Call::kWrite, Fault{.error = EIO});
  auto second = std::make_unique<ScopedFault>(Call::kWrite, Fault{.error = ENOSPC});
  first.reset();
  EXPECT_EQ(Write(), ENOSPC);
  second.reset();
  EXPECT_EQ(Write(), 0);
}

TEST_F(FaultInjectionTest, OnlyCountsWhenNothingElseIsAsked) {
  const ScopedFault spy(Call::kWrite);
  EXPECT_EQ(Write(), 0);
  EXPECT_EQ(spy.hits(), 1);
}

TEST_F(FaultInjectionTest, ShortBytesCutTheWork) {
  char bytes[] = "0123456789";
  {
    const ScopedFault fault(Call::kWrite, {.short_bytes = 6});
    EXPECT_EQ(write(writer_.get(), bytes, 10), 6);
    EXPECT_EQ(write(writer_.get(), bytes, 4), 4);
  }
  const ScopedFault read_fault(Call::kRead, {.short_bytes = 2});
  EXPECT_EQ(read(reader_.get(), bytes, 10), 2);
}

TEST_F(FaultInjectionTest, ShortBytesCutThePieces) {
  const auto [near, far] = SocketPair();
  char bytes[] = "0123456789";
  iovec pieces[] = {{bytes, 3}, {bytes + 3, 3}, {bytes + 6, 3}};
  msghdr message = {};
  message.msg_iov = pieces;
  message.msg_iovlen = 3;
  const ScopedFault fault(Call::kSendmsg, {.short_bytes = 5});
  EXPECT_EQ(sendmsg(near.get(), &message, MSG_NOSIGNAL), 5);
  char got[10] = {};
  EXPECT_EQ(recv(far.get(), got, sizeof(got), 0), 5);
  EXPECT_STREQ(got, "01234");
}

TEST_F(FaultInjectionTest, ShortBytesOfNothingLookLikeTheEnd) {
  const auto [near, far] = SocketPair();
  ASSERT_EQ(send(near.get(), "x", 1, 0), 1);
  char byte;
  const ScopedFault fault(Call::kRecv, {.short_bytes = 0});
  EXPECT_EQ(recv(far.get(), &byte, 1, 0), 0);
}

// Under a sanitizer they call recv() and send(), which lead here too.
TEST_F(FaultInjectionTest, OurOwnWaysToTheSystemAreMetOnce) {
  const auto [near, far] = SocketPair();
  char bytes[] = "0123456789";
  const ScopedFault send_fault(Call::kSend, {.skip = 1, .short_bytes = 2});
  EXPECT_EQ(millrace_send(near.get(), bytes, 4), 4);
  EXPECT_EQ(millrace_send(near.get(), bytes + 4, 4), 2);
  EXPECT_EQ(send_fault.hits(), 1);
  const ScopedFault recv_fault(Call::kRecv, {.times = 1, .short_bytes = 5});
  EXPECT_EQ(millrace_recv(far.get(), bytes, 10), 5);
  EXPECT_EQ(millrace_recv(far.get(), bytes, 10), 1);
  EXPECT_EQ(recv_fault.hits(), 1);
}

TEST_F(FaultInjectionTest, ShortBytesOfEpollAreEvents) {
  const UniqueFd epoll(epoll_create1(0));
  for (int fd : {0, 1}) {
    epoll_event event = {};
    event.events = EPOLLOUT;
    const UniqueFd other(dup(writer_.get()));
    ASSERT_EQ(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd == 0 ? writer_.get() : other.get(), &event),
              0);
  }
  epoll_event events[8];
  EXPECT_EQ(epoll_wait(epoll.get(), events, 8, 0), 2);
  const ScopedFault fault(Call::kEpollWait, {.short_bytes = 1});
  EXPECT_EQ(epoll_wait(epoll.get(), events, 8, 0), 1);
}

TEST_F(FaultInjectionTest, ThreadsShareAFault) {
  constexpr int kThreads = 4;
  constexpr int kCallsEach = 100;
  const ScopedFault fault(Call::kWrite, {.error = EIO, .times = 150, .skip = 50});
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < kCallsEach; ++call) failed += Write() == EIO ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 150);
  EXPECT_TRUE(fault.spent());
}

// A call that lacks its --wrap flag, or leads elsewhere, is found here.
TEST_F(FaultInjectionTest, EveryCallIsReached) {
  const auto reaches = [](Call call, auto make) {
    const ScopedFault fault(call, {.error = EDOM, .times = 1});
    errno = 0;
    EXPECT_EQ(make(), -1) << "call " << static_cast<int>(call);
    EXPECT_EQ(errno, EDOM) << "call " << static_cast<int>(call);
    EXPECT_EQ(fault.hits(), 1) << "call " << static_cast<int>(call);
    return 1;
  };
  const int fd = -1;
  char byte = 'x';
  epoll_event event;
  const msghdr message = {};
  sockaddr* const no_address = nullptr;
  int calls = 0;
  calls += reaches(Call::kAccept4, [&] { return accept4(fd, nullptr, nullptr, 0); });
  calls += reaches(Call::kBind, [&] { return bind(fd, no_address, 0); });
  calls += reaches(Call::kConnect, [&] { return connect(fd, no_address, 0); });
  calls += reaches(Call::kEpollCreate1, [&] { return epoll_create1(-1); });
  calls += reaches(Call::kEpollCtl, [&] { return epoll_ctl(fd, 0, 0, nullptr); });
  calls += reaches(Call::kEpollWait, [&] { return epoll_wait(fd, &event, 1, 0); });
  calls += reaches(Call::kEventfd, [&] { return eventfd(0, -1); });
  calls += reaches(Call::kGetsockopt, [&] { return getsockopt(fd, 0, 0, nullptr, nullptr); });
  calls += reaches(Call::kListen, [&] { return listen(fd, 1); });
  calls += reaches(Call::kPoll, [&] { return poll(nullptr, 0, 0); });
  calls += reaches(Call::kPread, [&] { return pread(fd, &byte, 1, 0); });
  calls += reaches(Call::kRead, [&] { return read(fd, &byte, 1); });
  calls += reaches(Call::kRecv, [&] { return recv(fd, &byte, 1, 0); });
  calls += reaches(Call::kSelect, [&] { return select(0, nullptr, nullptr, nullptr, nullptr); });
  calls += reaches(Call::kSend, [&] { return send(fd, &byte, 1, MSG_NOSIGNAL); });
  calls += reaches(Call::kSendfile, [&] { return sendfile(fd, fd, nullptr, 1); });
  calls += reaches(Call::kSendmsg, [&] { return sendmsg(fd, &message, MSG_NOSIGNAL); });
  calls += reaches(Call::kSetsockopt, [&] { return setsockopt(fd, 0, 0, nullptr, 0); });
  calls += reaches(Call::kShutdown, [&] { return shutdown(fd, SHUT_WR); });
  calls += reaches(Call::kSignalfd, [&] {
    sigset_t signals;
    sigemptyset(&signals);
    return signalfd(fd, &signals, 0);
  });
  calls += reaches(Call::kSocket, [&] { return socket(AF_MAX, 0, 0); });
  calls += reaches(Call::kTimerfdCreate, [&] { return timerfd_create(-1, 0); });
  calls += reaches(Call::kTimerfdSettime, [&] {
    const itimerspec never = {};
    return timerfd_settime(fd, 0, &never, nullptr);
  });
  calls += reaches(Call::kWrite, [&] { return write(fd, &byte, 1); });
  // Other ways to the same.
  reaches(Call::kRecv, [&] { return millrace_recv(fd, &byte, 1); });
  reaches(Call::kSend, [&] { return millrace_send(fd, &byte, 1); });
  EXPECT_EQ(calls, kCalls) << "a call is missing in this test";
}

}  // namespace
}  // namespace millrace
