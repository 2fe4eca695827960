// SPDX-License-Identifier: Apache-2.0
//
// Who a server lets in, over all its loops, and that every place comes back.
#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "net/acceptor.h"
#include "net/address_prefix.h"
#include "net/event_loop_thread_pool.h"
#include "net/function_handler.h"
#include "net/plain_transport.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "net/transport.h"
#include "tests/net/tcp_server_fixture.h"
#include "tests/support/fault_injection.h"
#include "tests/support/peer.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

class TcpServerAdmissionTest : public TcpServerTest {
 protected:
  // With tight bounds, so that a place that is lost shows.
  TcpServer::Options TightOptions() {
    TcpServer::Options options = Options();
    options.connections_max = 4;
    options.admission.connections_per_listener_max = 3;
    options.admission.connections_per_peer_max = 2;
    return options;
  }
  bool UntilEmpty() {
    return Until([&] { return server_->stats().open == 0; });
  }
  // Two can be open, and a third is one too many: all places are there.
  void ExpectAllPlaces() {
    ASSERT_TRUE(UntilEmpty());
    const int64_t refused = server_->stats().refused_peer_full;
    std::vector<Peer> peers = ConnectMany(2);
    Peer third = Connect();
    EXPECT_TRUE(Until([&] { return server_->stats().refused_peer_full == refused + 1; }));
    EXPECT_EQ(server_->stats().open, 2);
    peers.clear();
    EXPECT_TRUE(UntilEmpty());
  }
};

INSTANTIATE_TEST_SUITE_P(Workers, TcpServerAdmissionTest, ::testing::Values(0, 1, 2, 3),
                         ::testing::PrintToStringParamName());

TEST_P(TcpServerAdmissionTest, PlacesComeBackAfterOrderlyEndsAndResets) {
  Start(TightOptions());
  for (int round = 0; round < 5; ++round) {
    std::vector<Peer> peers = ConnectMany(2);
    peers[0].Reset();
    peers[1].Close();
    ASSERT_TRUE(UntilEmpty());
  }
  ExpectAllPlaces();
}

TEST_P(TcpServerAdmissionTest, PlacesComeBackFromHandlersThatRefuse) {
  std::atomic<bool> refuses{true};
  TcpServer::Options options = TightOptions();
  options.handler = [&]() -> std::unique_ptr<ConnectionHandler> {
    if (refuses) return nullptr;
    return std::make_unique<EchoHandler>(tally_);
  };
  Start(std::move(options));
  for (int i = 1; i <= 5; ++i) {
    Peer peer = Connect();
    ASSERT_TRUE(Until([&] { return server_->stats().failed_to_open == i; }));
  }
  refuses = false;
  ExpectAllPlaces();
  server_.reset();
}

TEST_P(TcpServerAdmissionTest, PlacesComeBackFromTransportsThatFail) {
  std::atomic<bool> fails{true};
  TcpServer::Options options = TightOptions();
  options.transport = [&](Socket socket) -> absl::StatusOr<std::unique_ptr<Transport>> {
    if (fails) return absl::UnavailableError("no keys");
    return std::make_unique<PlainTransport>(std::move(socket));
  };
  Start(std::move(options));
  for (int i = 1; i <= 5; ++i) {
    Peer peer = Connect();
    ASSERT_TRUE(Until([&] { return server_->stats().failed_to_open == i; }));
  }
  fails = false;
  ExpectAllPlaces();
  server_.reset();
}

TEST_P(TcpServerAdmissionTest, PlacesComeBackFromConnectionsThatCannotBeWatched) {
  Start(TightOptions());
  for (int i = 1; i <= 5; ++i) {
    ScopedFault fault(Call::kEpollCtl, {.error = ENOSPC, .times = 1});
    Peer peer = Connect();
    ASSERT_TRUE(Until([&] { return server_->stats().failed_to_open == i; }));
  }
  ExpectAllPlaces();
}

TEST_P(TcpServerAdmissionTest, PlacesComeBackFromWorkersThatStop) {
  if (workers_ == nullptr) return;
  TcpServer::Options options = Options();
  options.admission.connections_per_peer_max = 50;
  Start(std::move(options));
  std::vector<Peer> peers = ConnectMany(4);
  for (int i = 0; i < 8; ++i) peers.push_back(Connect());  // Some are under way to a worker.
  main_.Steps(1);
  workers_->Stop();
  if (GetParam() > 1) peers.push_back(Connect());  // Accepted, and nobody takes it.
  EXPECT_TRUE(UntilEmpty());
}

TEST_P(TcpServerAdmissionTest, WhoIsDeniedIsCountedAndNotServed) {
  TcpServer::Options options = Options();
  options.admission.deny = {AddressPrefix::Parse("127.0.0.0/8").value()};
  options.addresses.push_back(SocketAddress::Parse("[::1]:0").value());
  Start(std::move(options));
  Peer denied = Connect();
  EXPECT_TRUE(Until([&] { return server_->stats().refused_denied == 1; }));
  EXPECT_EQ(denied.ReceiveAll(), "");
  EXPECT_TRUE(denied.was_reset() || denied.ended());
  Peer other = Peer::ConnectedTo(server_->addresses()[1]);
  other.Send("x");
  EXPECT_EQ(Receive(other, 1), "x");
  EXPECT_EQ(server_->stats().accepted, 2);
}

// A dual-stack listener sees IPv4 peers as mapped addresses.
TEST_P(TcpServerAdmissionTest, AnIpv4PrefixHoldsAtADualStackListenerToo) {
  TcpServer::Options options = Options();
  options.addresses = {SocketAddress::Any(0)};
  options.admission.deny = {AddressPrefix::Parse("127.0.0.1").value()};
  Start(std::move(options));
  Peer denied = Peer::ConnectedTo(SocketAddress::Loopback(server_->addresses()[0].port()));
  EXPECT_TRUE(Until([&] { return server_->stats().refused_denied == 1; }));
}

TEST_P(TcpServerAdmissionTest, AListenersCapLeavesTheOtherOpen) {
  TcpServer::Options options = Options();
  options.addresses.push_back(SocketAddress::Loopback(0));
  options.admission.connections_per_listener_max = 2;
  Start(std::move(options));
  std::vector<Peer> peers = ConnectMany(2);
  Peer waiting = Connect();
  waiting.Send("x");
  ASSERT_TRUE(Until([&] { return server_->stats().pauses_listener_full == 1; }));
  Peer other = Peer::ConnectedTo(server_->addresses()[1]);
  other.Send("y");
  EXPECT_EQ(Receive(other, 1), "y");
  EXPECT_EQ(tally_.opened, 3);
  peers[0].Close();
  EXPECT_EQ(Receive(waiting, 1), "x");
}

TEST_P(TcpServerAdmissionTest, AConnectionKnowsItsListener) {
  TcpServer::Options options = Options();
  options.addresses.push_back(SocketAddress::Loopback(0));
  options.listeners.push_back(ListenAt(SocketAddress::Loopback(0), {}).value());
  options.handler = FunctionHandlers({.on_open = [](TcpConnection& conn) {
    conn.Send(std::string(1, static_cast<char>('0' + conn.listener())));
  }});
  Start(std::move(options));
  for (int i = 0; i < 3; ++i) {
    Peer peer = Peer::ConnectedTo(server_->addresses()[i]);
    EXPECT_EQ(Receive(peer, 1), std::string(1, static_cast<char>('0' + i)));
  }
}

TEST_P(TcpServerAdmissionTest, OptionsOutOfBoundsAreRefused) {
  TcpServer::Options options = Options();
  options.admission.peer_ipv4_bits = 33;
  EXPECT_TRUE(absl::IsInvalidArgument(
      TcpServer::Start(*main_, workers_.get(), std::move(options)).status()));
}

// Clients that come and go at a server which is always full: nobody waits for ever, and the cap
// holds. Each goes on until it was served so often.
class TcpServerCrowdTest : public TcpServerTest {
 protected:
  void ServeACrowd(TcpServer::Accepting accepting) {
    constexpr int kClients = 6, kSessions = 40;
    TcpServer::Options options = Options();
    options.connections_max = 3;
    options.accepting = accepting;
    Start(std::move(options));
    const SocketAddress address = server_->addresses()[0];
    std::atomic<int> served{0};
    std::vector<std::thread> clients;
    for (int c = 0; c < kClients; ++c) {
      clients.emplace_back([&] {
        for (int sessions = 0; sessions < kSessions;) {
          Peer peer = Peer::ConnectedTo(address);
          peer.SendSome("x");
          if (peer.Receive(1) == "x") ++sessions;  // Else it came a moment too late, and is back.
        }
        ++served;
      });
    }
    EXPECT_TRUE(Until([&] {
      EXPECT_LE(server_->stats().open, 3);
      return served == kClients;
    }));
    for (std::thread& client : clients) client.join();
    EXPECT_TRUE(Until([&] { return server_->stats().open == 0; }));
    EXPECT_GT(server_->stats().pauses_full, 0);
  }
};

INSTANTIATE_TEST_SUITE_P(Workers, TcpServerCrowdTest, ::testing::Values(0, 1, 2, 3),
                         ::testing::PrintToStringParamName());

TEST_P(TcpServerCrowdTest, AllAreServedThoughItIsAlwaysFull) {
  ServeACrowd(TcpServer::Accepting::kOnMainLoop);
}

TEST_P(TcpServerCrowdTest, AndWhereEachWorkerAccepts) {
  if (workers_ != nullptr) ServeACrowd(TcpServer::Accepting::kOnEachWorker);
}

TEST(TcpServerReusePortAdmissionTest, WorkersCountPeersAndListenersTogether) {
  TestLoop main;
  Tally tally;
  auto workers = EventLoopThreadPool::Start({.threads = 3}).value();
  auto server = TcpServer::Start(*main, workers.get(),
                                 {.addresses = {SocketAddress::Loopback(0)},
                                  .handler = [&] { return std::make_unique<EchoHandler>(tally); },
                                  .admission = {.connections_per_peer_max = 5},
                                  .accepting = TcpServer::Accepting::kOnEachWorker})
                    .value();
  std::vector<Peer> peers;
  for (int i = 0; i < 20; ++i) peers.push_back(Peer::ConnectedTo(server->addresses()[0]));
  EXPECT_TRUE(main.StepUntil([&] { return server->stats().refused_peer_full == 15; }));
  EXPECT_TRUE(main.StepUntil([&] { return tally.opened == 5; }));
  EXPECT_EQ(server->stats().open, 5);
}

}  // namespace
}  // namespace millrace
