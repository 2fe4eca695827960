// SPDX-License-Identifier: Apache-2.0
#include "net/acceptor.h"

#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/socket_address.h"
#include "tests/support/fault_injection.h"
#include "tests/support/peer.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

int Option(const Socket& socket, int level, int name) {
  int value = -1;
  socklen_t bytes = sizeof value;
  EXPECT_EQ(getsockopt(socket.fd(), level, name, &value, &bytes), 0);
  return value;
}

class AcceptorTest : public ::testing::Test {
 protected:
  Acceptor::OnAccept Collect() {
    return [this](Socket socket, const SocketAddress& peer) {
      accepted_.push_back(std::move(socket));
      peers_.push_back(peer.ToString());
    };
  }
  void Listen(const SocketAddress& address = SocketAddress::Loopback(0),
              ListenOptions options = {}) {
    acceptor_ = Acceptor::Listen(*loop_, address, options, Collect()).value();
  }
  Peer Connect() { return Peer::ConnectedTo(acceptor_->address()); }
  bool AcceptsUntil(size_t count) {
    return loop_.StepUntil([&] { return accepted_.size() >= count; });
  }

  TestLoop loop_;
  std::vector<Socket> accepted_;
  std::vector<std::string> peers_;
  std::unique_ptr<Acceptor> acceptor_;
};

TEST_F(AcceptorTest, TellsTheRealPortAndWhoCame) {
  Listen();
  EXPECT_NE(acceptor_->address().port(), 0);
  Peer peer = Connect();
  ASSERT_TRUE(AcceptsUntil(1));
  EXPECT_EQ(peers_[0], peer.local_address().ToString());
  EXPECT_EQ(acceptor_->counters().accepted.value(), 1);
}

TEST_F(AcceptorTest, AcceptsIpv6) {
  Listen(SocketAddress::Parse("[::1]:0").value());
  Peer peer = Connect();
  ASSERT_TRUE(AcceptsUntil(1));
  EXPECT_THAT(peers_[0], HasSubstr("[::1]:"));
}

TEST_F(AcceptorTest, AnyTakesBothFamilies) {
  Listen(SocketAddress::Any(0));
  const std::string port = absl::StrCat(acceptor_->address().port());
  Peer v4 = Peer::ConnectedTo(SocketAddress::Parse("127.0.0.1:" + port).value());
  Peer v6 = Peer::ConnectedTo(SocketAddress::Parse("[::1]:" + port).value());
  ASSERT_TRUE(AcceptsUntil(2));
  EXPECT_EQ(acceptor_->address().ToString(), "*:" + port);
}

TEST_F(AcceptorTest, ExplicitIpv6DoesNotTakeIpv4) {
  Listen(SocketAddress::Parse("[::]:0").value());
  Socket v4 = Socket::Create(AF_INET).value();
  const auto result = v4.Connect(SocketAddress::Loopback(acceptor_->address().port()));
  // Over loopback the refusal may come at once or as an event; either way it is not taken.
  loop_.Steps(3);
  EXPECT_TRUE(accepted_.empty());
  EXPECT_TRUE(!result.ok() || !v4.TakeError().ok() || result->kind() == IoResult::kWantWrite);
}

TEST_F(AcceptorTest, AcceptedInheritNoDelayAndKeepAlive) {
  Listen(SocketAddress::Loopback(0),
         {.keep_alive = KeepAlive{.idle = absl::Seconds(7), .interval = absl::Seconds(3)}});
  Peer peer = Connect();
  ASSERT_TRUE(AcceptsUntil(1));
  EXPECT_EQ(Option(accepted_[0], IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(Option(accepted_[0], SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(Option(accepted_[0], IPPROTO_TCP, TCP_KEEPIDLE), 7);
  EXPECT_EQ(Option(accepted_[0], IPPROTO_TCP, TCP_KEEPINTVL), 3);
}

TEST_F(AcceptorTest, OptionsCanBeOff) {
  Listen(SocketAddress::Loopback(0), {.no_delay = false, .keep_alive = std::nullopt});
  Peer peer = Connect();
  ASSERT_TRUE(AcceptsUntil(1));
  EXPECT_EQ(Option(accepted_[0], IPPROTO_TCP, TCP_NODELAY), 0);
  EXPECT_EQ(Option(accepted_[0], SOL_SOCKET, SO_KEEPALIVE), 0);
}

TEST_F(AcceptorTest, PortInUseIsAnErrorThatNamesIt) {
  Listen();
  const auto second = Acceptor::Listen(*loop_, acceptor_->address(), {}, Collect());
  EXPECT_EQ(second.status().code(), absl::ErrnoToStatusCode(EADDRINUSE));
  EXPECT_THAT(second.status().message(), HasSubstr(acceptor_->address().ToString()));
}

TEST_F(AcceptorTest, ReusePortSharesTheAddress) {
  Listen(SocketAddress::Loopback(0), {.reuse_port = true});
  const auto second =
      Acceptor::Listen(*loop_, acceptor_->address(), {.reuse_port = true}, Collect());
  EXPECT_TRUE(second.ok()) << second.status();
}

TEST_F(AcceptorTest, PausedLeavesThemInTheBacklog) {
  Listen();
  acceptor_->Pause();
  Peer peer = Connect();
  loop_.Steps(3);
  EXPECT_TRUE(accepted_.empty());
  acceptor_->Resume();
  EXPECT_TRUE(AcceptsUntil(1));
}

TEST_F(AcceptorTest, PauseInsideTheCallbackMakesItTheLast) {
  acceptor_ = Acceptor::Listen(*loop_, SocketAddress::Loopback(0), {},
                               [this](Socket socket, const SocketAddress&) {
                                 accepted_.push_back(std::move(socket));
                                 acceptor_->Pause();
                               })
                  .value();
  Peer first = Connect();
  Peer second = Connect();
  ASSERT_TRUE(AcceptsUntil(1));
  loop_.Steps(3);
  EXPECT_EQ(accepted_.size(), 1u);
  acceptor_->Resume();
  EXPECT_TRUE(AcceptsUntil(2));
}

TEST_F(AcceptorTest, StopListeningInsideTheCallbackIsLegal) {
  acceptor_ = Acceptor::Listen(*loop_, SocketAddress::Loopback(0), {},
                               [this](Socket socket, const SocketAddress&) {
                                 accepted_.push_back(std::move(socket));
                                 acceptor_->StopListening();
                               })
                  .value();
  const SocketAddress address = acceptor_->address();
  Peer peer = Connect();
  ASSERT_TRUE(AcceptsUntil(1));
  Listen(address);  // The port is free again, at once.
}

TEST_F(AcceptorTest, CrowdComesInBatchesWithABoundPerTurn) {
  Listen();
  std::vector<Peer> crowd;
  for (int i = 0; i < 600; ++i) crowd.push_back(Connect());
  size_t most_in_a_turn = 0;
  while (accepted_.size() < crowd.size()) {
    const size_t before = accepted_.size();
    loop_.Step();
    most_in_a_turn = std::max(most_in_a_turn, accepted_.size() - before);
  }
  EXPECT_GT(most_in_a_turn, 1u);
  EXPECT_LE(most_in_a_turn, static_cast<size_t>(kAcceptsPerTurnMax));
}

TEST_F(AcceptorTest, OneByOneHardlyAnyTryIsInVain) {
  Listen();
  ScopedFault accepts(Call::kAccept4);
  for (size_t i = 1; i <= 100; ++i) {
    Peer peer = Connect();
    ASSERT_TRUE(AcceptsUntil(i));
  }
  EXPECT_LE(accepts.hits(), 130);
}

// accept(2): errors that concern the connection that was to be accepted, and nobody else.
class PassingErrorTest : public AcceptorTest, public ::testing::WithParamInterface<int> {};

TEST_P(PassingErrorTest, IsCountedAndTheNextOneIsAccepted) {
  Listen();
  std::vector<absl::Status> errors;
  acceptor_->set_on_error([&](const absl::Status& error) { errors.push_back(error); });
  ScopedFault fault(Call::kAccept4, {.error = GetParam(), .times = 3});
  Peer peer = Connect();
  ASSERT_TRUE(AcceptsUntil(1));
  EXPECT_EQ(fault.hits(), 3);
  EXPECT_EQ(acceptor_->counters().errors.value(), 3);
  EXPECT_EQ(acceptor_->counters().rests.value(), 0);
  ASSERT_EQ(errors.size(), 3u);
  EXPECT_EQ(errors[0].code(), absl::ErrnoToStatusCode(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Errno, PassingErrorTest,
                         ::testing::Values(ECONNABORTED, EPROTO, EPERM, ENETDOWN, ENOPROTOOPT,
                                           EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH,
                                           ETIMEDOUT),
                         [](const auto& info) { return strerrorname_np(info.param); });

// What the kernel says of a peer may be about us: as when a filter forbids the call, and the peer
// stays in the backlog.
TEST_F(AcceptorTest, ErrorThatStaysMeansARest) {
  Listen();
  {
    ScopedFault fault(Call::kAccept4, {.error = EPERM});
    Peer peer = Connect();
    loop_.Steps(500);
    EXPECT_EQ(fault.hits(), kAcceptErrorsInARowMax);
    EXPECT_EQ(acceptor_->counters().rests.value(), 1);
    loop_.Advance(kAcceptRetryDelay);
    loop_.Steps(10);
    EXPECT_EQ(fault.hits(), kAcceptErrorsInARowMax + 1) << "one try after each rest";
  }
  loop_.Advance(kAcceptRetryDelay);
  ASSERT_TRUE(AcceptsUntil(1));
  // And patience starts anew.
  ScopedFault fault(Call::kAccept4, {.error = EPERM, .times = kAcceptErrorsInARowMax - 1});
  Peer next = Connect();
  ASSERT_TRUE(AcceptsUntil(2));
  EXPECT_EQ(acceptor_->counters().rests.value(), 2);
}

// Nothing left: no sense in another try at once.
class ExhaustionTest : public AcceptorTest, public ::testing::WithParamInterface<int> {};

TEST_P(ExhaustionTest, RestsAndThenAcceptsWhoWaited) {
  Listen();
  ScopedFault fault(Call::kAccept4, {.error = GetParam(), .times = 2});
  Peer peer = Connect();
  ASSERT_TRUE(loop_.StepUntil([&] { return acceptor_->counters().rests.value() == 1; }));
  loop_.Steps(10);
  EXPECT_LE(fault.hits(), 2) << "it must not spin";
  EXPECT_TRUE(accepted_.empty());
  while (accepted_.empty()) loop_.Advance(kAcceptRetryDelay);
  EXPECT_LE(acceptor_->counters().rests.value(), 2);
}

INSTANTIATE_TEST_SUITE_P(Errno, ExhaustionTest, ::testing::Values(EMFILE, ENFILE, ENOBUFS, ENOMEM),
                         [](const auto& info) { return strerrorname_np(info.param); });

TEST_F(AcceptorTest, InterruptedAcceptIsTriedAgainAtOnce) {
  Listen();
  ScopedFault fault(Call::kAccept4, {.error = EINTR, .times = 5});
  Peer peer = Connect();
  ASSERT_TRUE(AcceptsUntil(1));
  EXPECT_EQ(fault.hits(), 5);
  EXPECT_EQ(acceptor_->counters().errors.value(), 0);
}

// The real thing: the process runs out of descriptors, turns away who waits, and recovers.
TEST_F(AcceptorTest, OutOfDescriptorsItTurnsAwayRestsAndRecovers) {
  Listen();
  std::vector<Peer> peers;
  for (int i = 0; i < 3; ++i) peers.push_back(Connect());
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const absl::Cleanup restore = [&] { setrlimit(RLIMIT_NOFILE, &before); };
  UniqueFd highest(dup(0));
  const rlimit none_left = {static_cast<rlim_t>(highest.get()), before.rlim_max};
  highest.Reset();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none_left), 0);

  const int64_t turns = loop_->counters().turns.value();
  ASSERT_TRUE(loop_.StepUntil([&] { return acceptor_->counters().rests.value() == 1; }));
  EXPECT_EQ(acceptor_->counters().refused.value(), 3);
  EXPECT_TRUE(accepted_.empty());
  for (Peer& peer : peers) {
    EXPECT_EQ(peer.ReceiveAll(), "");
    EXPECT_TRUE(peer.was_reset() || peer.ended());
  }
  loop_.Steps(20);
  EXPECT_EQ(acceptor_->counters().rests.value(), 1) << "it must not spin";
  EXPECT_EQ(loop_->counters().events.value() - loop_->counters().stale_events.value(), 1);
  EXPECT_GT(loop_->counters().turns.value(), turns);

  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  Peer late = Connect();
  loop_.Advance(kAcceptRetryDelay);
  EXPECT_TRUE(AcceptsUntil(1));
}

TEST_F(AcceptorTest, PollerWithoutMemoryMeansARestToo) {
  Listen();
  acceptor_->Pause();
  {
    ScopedFault fault(Call::kEpollCtl, {.error = ENOMEM, .times = 1});
    acceptor_->Resume();
    EXPECT_EQ(fault.hits(), 1);
  }
  Peer peer = Connect();
  loop_.Advance(kAcceptRetryDelay);
  EXPECT_TRUE(AcceptsUntil(1));
}

class UnixAcceptorTest : public AcceptorTest {
 protected:
  void SetUp() override {
    // Not under TEST_TMPDIR, which is longer than sun_path.
    char name[] = "/tmp/acceptorXXXXXX";
    folder_ = mkdtemp(name);
    address_ = SocketAddress::Unix(folder_ + "/socket");
  }
  void TearDown() override {
    acceptor_.reset();
    unlink((folder_ + "/socket").c_str());
    EXPECT_EQ(rmdir(folder_.c_str()), 0);
  }
  bool FileIsThere() const { return access((folder_ + "/socket").c_str(), F_OK) == 0; }

  std::string folder_;
  SocketAddress address_ = SocketAddress::Any(0);
};

TEST_F(UnixAcceptorTest, AcceptsAndRemovesItsFile) {
  Listen(address_);
  struct stat info;
  ASSERT_EQ(stat((folder_ + "/socket").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  Peer peer = Connect();
  ASSERT_TRUE(AcceptsUntil(1));
  acceptor_.reset();
  EXPECT_FALSE(FileIsThere());
}

TEST_F(UnixAcceptorTest, ReplacesAFileThatNobodyListensAt) {
  {
    Socket killed = Socket::CreateFor(address_).value();
    ASSERT_TRUE(killed.Bind(address_).ok());
  }
  ASSERT_TRUE(FileIsThere());
  Listen(address_);
  Peer peer = Connect();
  EXPECT_TRUE(AcceptsUntil(1));
}

TEST_F(UnixAcceptorTest, DoesNotTakeALivingServersPlace) {
  Listen(address_);
  EXPECT_FALSE(Acceptor::Listen(*loop_, address_, {}, Collect()).ok());
  Peer peer = Connect();
  EXPECT_TRUE(AcceptsUntil(1));
}

TEST_F(UnixAcceptorTest, DoesNotTouchAFileThatIsNoSocket) {
  const std::string path = folder_ + "/socket";
  FILE* file = fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr);
  fclose(file);
  const auto refused = Acceptor::Listen(*loop_, address_, {}, Collect());
  EXPECT_EQ(refused.status().message(),
            absl::StrCat("unix:", path, ": is a file that is not a socket; it is left alone"));
  EXPECT_TRUE(FileIsThere());
}

TEST_F(UnixAcceptorTest, ADirectoryIsCalledOne) {
  const auto refused = Acceptor::Listen(*loop_, SocketAddress::Unix(folder_), {}, Collect());
  EXPECT_EQ(refused.status().message(), absl::StrCat("unix:", folder_, ": is a directory"));
}

TEST_F(UnixAcceptorTest, LeavesAFileThatIsSomebodyElsesByNow) {
  Listen(address_);
  ASSERT_EQ(unlink((folder_ + "/socket").c_str()), 0);
  auto successor = Acceptor::Listen(*loop_, address_, {}, Collect()).value();
  acceptor_.reset();
  EXPECT_TRUE(FileIsThere());
}

TEST_F(AcceptorTest, AdoptsAListeningDescriptor) {
  Socket listener = ListenAt(SocketAddress::Loopback(0), {}).value();
  acceptor_ = Acceptor::Adopt(*loop_, std::move(listener), Collect()).value();
  Peer peer = Connect();
  EXPECT_TRUE(AcceptsUntil(1));
}

// Closing one of two descriptors of a socket does not take it out of epoll.
TEST_F(AcceptorTest, ASharedSocketDoesNotWakeUsWhenWeHaveStopped) {
  Socket listener = ListenAt(SocketAddress::Loopback(0), {}).value();
  const Socket copy(UniqueFd(dup(listener.fd())));
  acceptor_ = Acceptor::Adopt(*loop_, std::move(listener), Collect()).value();
  acceptor_->StopListening();
  Peer peer = Connect();
  loop_.Steps(3);
  EXPECT_EQ(loop_->counters().events.value(), 0);
  EXPECT_EQ(loop_->counters().stale_events.value(), 0);
  EXPECT_TRUE(accepted_.empty());
}

TEST_F(AcceptorTest, DestroyingItClosesTheDoor) {
  Listen();
  const SocketAddress address = acceptor_->address();
  acceptor_.reset();
  Listen(address);
  EXPECT_EQ(acceptor_->address(), address);
}

}  // namespace
}  // namespace millrace
