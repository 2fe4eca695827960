// SPDX-License-Identifier: Apache-2.0
//
// Acceptors whose socket is no listener any more, since somebody who has a copy of it called
// shutdown(2), or so the system says.
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/acceptor.h"
#include "net/limits.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/socket_file.h"
#include "tests/support/fault_injection.h"
#include "tests/support/peer.h"
#include "tests/support/short_folder.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

class AcceptorShutDownTest : public ::testing::Test {
 protected:
  Acceptor::OnAccept Collect() {
    return [this](Socket socket, const SocketAddress&) { accepted_.push_back(std::move(socket)); };
  }
  void Listen() {
    acceptor_ = Acceptor::Listen(*loop_, SocketAddress::Loopback(0), {}, Collect()).value();
  }
  Peer Connect() { return Peer::ConnectedTo(acceptor_->address()); }
  bool AcceptsUntil(size_t count) {
    return loop_.StepUntil([&] { return accepted_.size() >= count; });
  }

  TestLoop loop_;
  std::vector<Socket> accepted_;
  std::unique_ptr<Acceptor> acceptor_;
};

// The socket is no listener any more.
class HopelessErrorTest : public AcceptorShutDownTest, public ::testing::WithParamInterface<int> {};

TEST_P(HopelessErrorTest, ItListensAgainOnceAndThenStopsForGood) {
  Listen();
  absl::Status failed;
  acceptor_->set_on_failed([&](const absl::Status& why) { failed = why; });
  const ScopedFault listens(Call::kListen);
  {
    const ScopedFault once(Call::kAccept4, {.error = GetParam(), .times = 1});
    Peer peer = Connect();
    ASSERT_TRUE(AcceptsUntil(1));
    EXPECT_EQ(listens.hits(), 1);
    EXPECT_EQ(acceptor_->counters().failed.value(), 0);
  }
  const ScopedFault stays(Call::kAccept4, {.error = GetParam()});
  Peer peer = Connect();
  loop_.Steps(10);
  EXPECT_EQ(stays.hits(), 2);
  EXPECT_EQ(listens.hits(), 2);
  EXPECT_EQ(acceptor_->counters().failed.value(), 1);
  EXPECT_EQ(acceptor_->counters().rests.value(), 0);
  EXPECT_EQ(failed.code(), absl::ErrnoToStatusCode(GetParam()));
  EXPECT_THAT(failed.message(), HasSubstr(acceptor_->address().ToString()));
  peer.ReceiveAll();
  EXPECT_TRUE(peer.was_reset()) << "nobody hangs";
}

INSTANTIATE_TEST_SUITE_P(Errno, HopelessErrorTest, ::testing::Values(EBADF, EINVAL, ENOTSOCK),
                         [](const auto& info) { return strerrorname_np(info.param); });

// Of a peer now and then, of a socket that cannot accept always.
TEST_F(AcceptorShutDownTest, NotSupportedForEverIsHopelessToo) {
  Listen();
  const ScopedFault fault(Call::kAccept4, {.error = EOPNOTSUPP});
  Peer peer = Connect();
  loop_.Steps(500);
  EXPECT_EQ(fault.hits(), kAcceptErrorsInARowMax + 1);
  EXPECT_EQ(acceptor_->counters().failed.value(), 1);
}

// As by another process that has the socket, too.
TEST_F(AcceptorShutDownTest, ShutDownByAnotherItListensAgain) {
  Socket listener = ListenAt(SocketAddress::Loopback(0), {}).value();
  const Socket copy(UniqueFd(dup(listener.fd())));
  acceptor_ = Acceptor::Adopt(*loop_, std::move(listener), Collect()).value();
  for (size_t times = 1; times <= 3; ++times) {
    ASSERT_EQ(shutdown(copy.fd(), SHUT_RDWR), 0);
    ASSERT_TRUE(loop_.StepUntil([&] { return acceptor_->counters().errors.value() == times; }));
    Peer peer = Connect();  // At the same port, though the kernel chose it.
    ASSERT_TRUE(AcceptsUntil(times));
  }
  EXPECT_EQ(acceptor_->counters().failed.value(), 0);
}

TEST_F(AcceptorShutDownTest, ShutDownAgainBeforeAnybodyCameItStops) {
  Socket listener = ListenAt(SocketAddress::Loopback(0), {}).value();
  const Socket copy(UniqueFd(dup(listener.fd())));
  acceptor_ = Acceptor::Adopt(*loop_, std::move(listener), Collect()).value();
  for (uint64_t times = 1; times <= 2; ++times) {
    ASSERT_EQ(shutdown(copy.fd(), SHUT_RDWR), 0);
    ASSERT_TRUE(loop_.StepUntil([&] { return acceptor_->counters().errors.value() == times; }));
  }
  EXPECT_EQ(acceptor_->counters().failed.value(), 1);
  const int64_t events = loop_->counters().events.value();
  loop_.Steps(20);
  EXPECT_EQ(loop_->counters().events.value(), events) << "it must not spin";
}

TEST_F(AcceptorShutDownTest, ItsPortIsSomebodyElsesByNow) {
  Socket listener = ListenAt(SocketAddress::Loopback(0), {}).value();
  const SocketAddress address = listener.LocalAddress().value();
  const Socket copy(UniqueFd(dup(listener.fd())));
  acceptor_ = Acceptor::Adopt(*loop_, std::move(listener), Collect()).value();
  ASSERT_EQ(shutdown(copy.fd(), SHUT_RDWR), 0);
  const Socket taken = ListenAt(address, {}).value();
  loop_.Steps(3);
  EXPECT_EQ(acceptor_->counters().failed.value(), 1);
  EXPECT_NE(copy.LocalAddress().value(), address);
}

// accept(2) says that nobody waits, and listen(2) that all is well; but nobody can come, and epoll
// would tell of the socket in each turn.
TEST_F(AcceptorShutDownTest, AUnixOneStopsForGood) {
  const ShortFolder folder;
  const SocketAddress address = folder.Unix("socket");
  for (const int how : {SHUT_RD, SHUT_RDWR}) {
    Socket listener = ListenAt(address, {}).value();
    const Socket copy(UniqueFd(dup(listener.fd())));
    acceptor_ =
        Acceptor::Adopt(*loop_, std::move(listener), Collect(), nullptr, SocketFile::Of(address))
            .value();
    ASSERT_EQ(shutdown(copy.fd(), how), 0);
    loop_.Steps(3);
    EXPECT_EQ(acceptor_->counters().failed.value(), 1);
    EXPECT_FALSE(folder.Has("socket"));
    const int64_t events = loop_->counters().events.value();
    loop_.Steps(20);
    EXPECT_EQ(loop_->counters().events.value(), events) << "it must not spin";
  }
}

}  // namespace
}  // namespace millrace
