// SPDX-License-Identifier: Apache-2.0
//
// How a server ends in good order, whatever goes on meanwhile.
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "net/drain.h"
#include "net/io_result.h"
#include "net/socket.h"
#include "net/tcp_server.h"
#include "net/transport.h"
#include "tests/net/tcp_server_fixture.h"
#include "tests/support/fault_injection.h"
#include "tests/support/peer.h"

namespace millrace {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(1);

class TcpServerDrainTest : public TcpServerTest {
 protected:
  bool UntilOver(Peer& peer) {
    return Until([&] {
      peer.ReceiveSome();
      return peer.ended() || peer.was_reset();
    });
  }
};

INSTANTIATE_TEST_SUITE_P(Workers, TcpServerDrainTest, ::testing::Values(0, 1, 2, 3),
                         ::testing::PrintToStringParamName());

TEST_P(TcpServerDrainTest, DrainWithoutConnectionsIsDoneAtOnce) {
  Start();
  Drain(absl::Seconds(10));
  EXPECT_TRUE(Until([&] { return drain_done_; }));
}

TEST_P(TcpServerDrainTest, OptionsMayBeLeftEmpty) {
  Start();
  server_->Drain({}, [this](const DrainReport&) { drain_done_ = true; });
  EXPECT_TRUE(Until([&] { return drain_done_; }));
}

TEST_P(TcpServerDrainTest, DrainStopsListeningAndWaitsForSessionsToEnd) {
  Start();
  std::vector<Peer> peers = ConnectMany(3);
  Drain(absl::Hours(1));
  ASSERT_TRUE(Until([&] { return tally_.drained == 3; }));
  Socket late = Socket::Create(AF_INET).value();
  EXPECT_FALSE(late.Connect(server_->addresses()[0]).ok() && late.TakeError().ok());
  peers[0].Send("still served");
  EXPECT_EQ(Receive(peers[0], 12), "still served");
  EXPECT_FALSE(drain_done_);
  for (Peer& peer : peers) peer.CloseWrite();
  EXPECT_TRUE(Until([&] { return drain_done_; }));
  EXPECT_EQ(tally_.orderly, 3);
  tally_.may_call = false;
}

TEST_P(TcpServerDrainTest, DrainAbortsWhoIsLeftWhenTheGraceIsOver) {
  Start();
  const std::vector<Peer> peers = ConnectMany(3);
  Drain(absl::Milliseconds(1));
  ASSERT_TRUE(UntilDrained());
  EXPECT_EQ(tally_.timed_out, 3);
  EXPECT_EQ(server_->stats().open, 0);
  tally_.may_call = false;
}

TEST_P(TcpServerDrainTest, SecondDrainMayHurryAndBothAreTold) {
  Start();
  const std::vector<Peer> peers = ConnectMany(2);
  int done = 0;
  server_->Drain(absl::Hours(1), [&](const DrainReport&) { ++done; });
  server_->Drain(absl::Milliseconds(1), [&](const DrainReport&) { ++done; });
  EXPECT_TRUE(Until([&] {
    main_.clock().Advance(absl::Milliseconds(1));
    return done == 2;
  }));
  server_->Drain(absl::Hours(1), [&](const DrainReport&) { ++done; });
  EXPECT_TRUE(Until([&] { return done == 3; }));
}

TEST_P(TcpServerDrainTest, DrainFromAnotherThread) {
  Start();
  std::thread([&] { Drain(absl::Seconds(10)); }).join();
  EXPECT_TRUE(Until([&] { return drain_done_; }));
}

TEST_P(TcpServerDrainTest, DrainAndDestroyAtOnce) {
  for (int round = 0; round < 20; ++round) {
    Start();
    const std::vector<Peer> peers = ConnectMany(3);
    Drain(absl::Hours(1));
    main_.Steps(round % 3);
    server_.reset();
    EXPECT_EQ(tally_.opened, tally_.closed);
  }
}

TEST_P(TcpServerDrainTest, DrainedWorkersThatStopCountAsDone) {
  if (workers_ == nullptr) return;
  Start();
  const std::vector<Peer> peers = ConnectMany(3);
  Drain(absl::Hours(1));
  main_.Steps(2);
  workers_->Stop();
  EXPECT_TRUE(Until([&] { return drain_done_; }));
}

TEST_P(TcpServerDrainTest, IdleOnesAreHalfClosedAndEndWhenThePeerDoes) {
  Start();
  std::vector<Peer> peers = ConnectMany(6);
  Drain({.grace = absl::Hours(1), .idle = kTick});
  main_.clock().Advance(kTick);
  for (Peer& peer : peers) {
    ASSERT_TRUE(UntilOver(peer));
    EXPECT_TRUE(peer.ended()) << "in good order";
    EXPECT_FALSE(drain_done_);
    peer.Close();
  }
  ASSERT_TRUE(UntilDrained());
  EXPECT_EQ(report_, (DrainReport{.half_closed = 6}));
  EXPECT_EQ(tally_.orderly, 6);
}

TEST_P(TcpServerDrainTest, WithoutGraceAllAreToldAndCutOff) {
  Start();
  const std::vector<Peer> peers = ConnectMany(3);
  Drain(absl::ZeroDuration());
  ASSERT_TRUE(UntilDrained());
  EXPECT_EQ(tally_.drained, 3);
  EXPECT_EQ(report_, (DrainReport{.cut_off = 3}));
}

TEST_P(TcpServerDrainTest, WithoutAnEndItWaitsForTheLast) {
  Start();
  std::vector<Peer> peers = ConnectMany(3);
  Drain({.grace = absl::InfiniteDuration(), .idle = absl::InfiniteDuration()});
  ASSERT_TRUE(Until([&] { return tally_.drained == 3; }));
  main_.Advance(absl::Minutes(5));
  EXPECT_FALSE(drain_done_);
  peers.clear();
  ASSERT_TRUE(UntilDrained());
  EXPECT_EQ(report_, (DrainReport{.ended = 3}));
}

TEST_P(TcpServerDrainTest, AtTheCapWhoWaitsIsTurnedAwayThoughAPlaceBecomesFree) {
  TcpServer::Options options = Options();
  options.connections_max = 2;
  Start(std::move(options));
  std::vector<Peer> peers = ConnectMany(2);
  Peer waiting = Connect();
  ASSERT_TRUE(Until([&] { return server_->stats().pauses_full == 1; }));
  Drain({.grace = absl::Hours(1), .idle = absl::Hours(1)});
  peers.clear();
  ASSERT_TRUE(UntilDrained());
  ASSERT_TRUE(UntilOver(waiting));
  EXPECT_EQ(tally_.opened, 2);
  EXPECT_EQ(report_.total(), report_.ended) << "though some may have ended before it began";
  EXPECT_EQ(server_->stats().open, 0);
}

TEST_P(TcpServerDrainTest, WhoWaitsForTheRateIsTurnedAway) {
  TcpServer::Options options = Options();
  options.admission.accepts_per_second = 0.001;
  options.admission.accept_burst = 2;
  Start(std::move(options));
  std::vector<Peer> peers = ConnectMany(2);
  Peer waiting = Connect();
  ASSERT_TRUE(Until([&] { return server_->stats().pauses_rate == 1; }));
  Drain(absl::Hours(1));
  ASSERT_TRUE(UntilOver(waiting));
  peers.clear();
  ASSERT_TRUE(UntilDrained());
  EXPECT_EQ(tally_.opened, 2);
}

TEST_P(TcpServerDrainTest, WhileListenersRestForLackOfDescriptors) {
  Start();
  std::vector<Peer> peers = ConnectMany(1);
  ScopedFault fault(Call::kAccept4, {.error = EMFILE, .times = 1});
  Peer waiting = Connect();
  ASSERT_TRUE(Until([&] { return server_->stats().accept_rests == 1; }));
  Drain({.grace = absl::Hours(1), .idle = absl::Hours(1)});
  ASSERT_TRUE(Until([&] { return tally_.drained == 1; }));
  ASSERT_TRUE(UntilOver(waiting));
  peers.clear();
  ASSERT_TRUE(UntilDrained());
  EXPECT_EQ(report_, (DrainReport{.ended = 1}));
}

// Shakes hands for ever.
class Stalled final : public Transport {
 public:
  explicit Stalled(Socket socket) : socket_(std::move(socket)) {}
  Socket& socket() override { return socket_; }
  IoResult Handshake() override { return IoResult(IoResult::kWantRead); }
  IoResult Read(absl::Span<char>) override { return IoResult(IoResult::kWantRead); }
  IoResult Write(absl::Span<const iovec>) override { return IoResult(IoResult::kWantWrite); }
  IoResult CloseWrite() override { return {}; }

 private:
  Socket socket_;
};

TEST_P(TcpServerDrainTest, HandshakesThatDoNotEndAreCutOff) {
  TcpServer::Options options = Options();
  options.transport = [](Socket socket) -> absl::StatusOr<std::unique_ptr<Transport>> {
    return std::make_unique<Stalled>(std::move(socket));
  };
  Start(std::move(options));
  std::vector<Peer> peers;
  for (int i = 0; i < 3; ++i) peers.push_back(Connect());
  ASSERT_TRUE(Until([&] { return server_->stats().open == 3; }));
  Drain(kTick);
  ASSERT_TRUE(UntilDrained());
  EXPECT_EQ(report_, (DrainReport{.cut_off = 3}));
  EXPECT_EQ(server_->stats().failed_to_open, 3);
  EXPECT_EQ(server_->stats().open, 0);
  EXPECT_EQ(tally_.opened, 0);
}

// Clients that send without end, each waiting for its echo, and never close.
TEST_P(TcpServerDrainTest, UnderLoadThatNeverStopsEachIsCountedOnce) {
  constexpr int kClients = 12;
  Start();
  std::vector<Peer> peers = ConnectMany(kClients);
  std::vector<Peer> idle = ConnectMany(3);
  std::atomic<int> over{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 3; ++c) {
    clients.emplace_back([&, c] {
      for (int left = kClients / 3; left > 0;) {
        for (int i = c; i < kClients; i += 3) {
          Peer& peer = peers[i];
          if (peer.ended() || peer.was_reset()) continue;
          peer.SendSome("message");
          peer.ReceiveSome();
          if (!peer.ended() && !peer.was_reset()) continue;
          --left;
          ++over;
        }
      }
    });
  }
  ASSERT_TRUE(Until([&] { return server_->stats().bytes_read > 10'000; }));
  Drain({.grace = absl::Milliseconds(50), .idle = absl::Hours(1)});
  ASSERT_TRUE(UntilDrained());
  ASSERT_TRUE(Until([&] { return over == kClients; }));
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(report_.total(), kClients + 3);
  EXPECT_EQ(report_.cut_off, kClients + 3);
  EXPECT_EQ(tally_.timed_out, kClients + 3);
  EXPECT_EQ(server_->stats().open, 0);
}

TEST_P(TcpServerDrainTest, WhileClientsComeAndGoTheSumIsWhatWasOpen) {
  for (int round = 0; round < 10; ++round) {
    drain_done_ = false;
    const int opened = tally_.opened, closed = tally_.closed;
    Start();
    std::vector<Peer> peers;
    for (int i = 0; i < 12; ++i) peers.push_back(Connect());
    main_.Steps(round % 4);
    for (int i = 0; i < 12; i += 3) peers[i].Close();
    for (int i = 1; i < 12; i += 3) peers[i].Reset();
    main_.Steps(round % 3);
    Drain(absl::Milliseconds(5));
    ASSERT_TRUE(UntilDrained());
    const TcpServer::Stats stats = server_->stats();
    EXPECT_EQ(tally_.opened - opened, tally_.closed - closed);
    EXPECT_EQ(stats.open, 0);
    EXPECT_LE(report_.total(), stats.opened + stats.failed_to_open);
    EXPECT_GE(report_.total(), report_.cut_off);
    EXPECT_EQ(report_.cut_off, tally_.timed_out.exchange(0));
    server_.reset();
  }
}

}  // namespace
}  // namespace millrace
