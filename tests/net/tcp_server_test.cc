// SPDX-License-Identifier: Apache-2.0
#include "net/tcp_server.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/acceptor.h"
#include "net/close_reason.h"
#include "net/drain.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/function_handler.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "tests/net/tcp_server_fixture.h"
#include "tests/support/fault_injection.h"
#include "tests/support/peer.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

INSTANTIATE_TEST_SUITE_P(Workers, TcpServerTest, ::testing::Values(0, 1, 2, 3),
                         ::testing::PrintToStringParamName());

TEST_P(TcpServerTest, EchoesAndEndsInOrder) {
  Start();
  Peer peer = Connect();
  peer.Send("hello");
  EXPECT_EQ(Receive(peer, 5), "hello");
  peer.CloseWrite();
  EXPECT_TRUE(Until([&] { return tally_.closed == 1; }));
  EXPECT_EQ(tally_.orderly, 1);
  EXPECT_EQ(peer.ReceiveAll(), "");
  const TcpServer::Stats stats = server_->stats();
  EXPECT_EQ(stats.open, 0);
  EXPECT_EQ(stats.accepted, 1);
  EXPECT_EQ(stats.opened, 1);
  EXPECT_EQ(stats.closed, 1);
  EXPECT_EQ(stats.closed_on_error, 0);
  EXPECT_EQ(stats.bytes_read, 5);
  EXPECT_EQ(stats.bytes_written, 5);
  EXPECT_EQ(stats.ended[static_cast<size_t>(CloseCause::kPeerEnded)], 1);
}

TEST_P(TcpServerTest, SpreadsConnectionsEvenly) {
  absl::Mutex mutex;
  std::map<EventLoop*, int> per_loop;
  TcpServer::Options options = Options();
  options.handler = FunctionHandlers({.on_open = [&](TcpConnection& conn) {
    absl::MutexLock lock(&mutex);
    ++per_loop[&conn.loop()];
    ++tally_.opened;
  }});
  Start(std::move(options));
  const int loops = std::max(GetParam(), 1);
  const std::vector<Peer> peers = ConnectMany(6 * loops);
  EXPECT_EQ(per_loop.size(), static_cast<size_t>(loops));
  for (const auto& [loop, count] : per_loop) EXPECT_EQ(count, 6);
  server_.reset();
}

TEST_P(TcpServerTest, ListensAtSeveralAddresses) {
  TcpServer::Options options = Options();
  options.addresses.push_back(SocketAddress::Parse("[::1]:0").value());
  options.listeners.push_back(ListenAt(SocketAddress::Loopback(0), {}).value());
  Start(std::move(options));
  ASSERT_EQ(server_->addresses().size(), 3u);
  for (const SocketAddress& address : server_->addresses()) {
    Peer peer = Peer::ConnectedTo(address);
    peer.Send("x");
    EXPECT_EQ(Receive(peer, 1), "x") << address.ToString();
  }
}

TEST_P(TcpServerTest, PortInUseIsAStatusAndLeavesNothingBehind) {
  Start();
  TcpServer::Options options = Options();
  options.addresses = {SocketAddress::Loopback(0), server_->addresses()[0]};
  const auto second = TcpServer::Start(*main_, workers_.get(), std::move(options));
  EXPECT_THAT(second.status().message(), HasSubstr(server_->addresses()[0].ToString()));
  Peer peer = Connect();
  peer.Send("x");
  EXPECT_EQ(Receive(peer, 1), "x");
}

TEST_P(TcpServerTest, ContradictoryOptionsAreRefused) {
  const auto refused = [&](TcpServer::Options options) {
    const auto server = TcpServer::Start(*main_, workers_.get(), std::move(options));
    return absl::IsInvalidArgument(server.status());
  };
  TcpServer::Options no_address = Options(), no_handler = Options(), no_room = Options(),
                     bad_limits = Options();
  no_address.addresses.clear();
  no_handler.handler = nullptr;
  no_room.connections_max = 0;
  bad_limits.limits.idle_timeout = absl::ZeroDuration();
  EXPECT_TRUE(refused(std::move(no_address)));
  EXPECT_TRUE(refused(std::move(no_handler)));
  EXPECT_TRUE(refused(std::move(no_room)));
  EXPECT_TRUE(refused(std::move(bad_limits)));
}

TEST_P(TcpServerTest, AtTheCapNewcomersWaitUntilSomebodyLeaves) {
  TcpServer::Options options = Options();
  options.connections_max = 2;
  Start(std::move(options));
  std::vector<Peer> peers = ConnectMany(2);
  Peer third = Connect();  // The kernel takes it into the backlog.
  third.Send("x");
  main_.Steps(5);
  EXPECT_EQ(tally_.opened, 2);
  EXPECT_EQ(server_->stats().open, 2);
  peers[0].Close();
  EXPECT_EQ(Receive(third, 1), "x");
  EXPECT_EQ(tally_.opened, 3);
}

TEST_P(TcpServerTest, CapHoldsThroughAStorm) {
  TcpServer::Options options = Options();
  options.connections_max = 5;
  Start(std::move(options));
  for (int round = 0; round < 20; ++round) {
    std::vector<Peer> peers;
    for (int i = 0; i < 10; ++i) peers.push_back(Connect());
    ASSERT_TRUE(Until([&] {
      EXPECT_LE(server_->stats().open, 5);
      return tally_.opened >= 10 * round + 5;
    }));
    peers.clear();
    ASSERT_TRUE(Until([&] { return tally_.closed >= 10 * round + 10; }));
  }
}

TEST_P(TcpServerTest, HandlerThatIsNullRefusesTheConnection) {
  TcpServer::Options options = Options();
  options.handler = [] { return nullptr; };
  Start(std::move(options));
  Peer peer = Connect();
  EXPECT_TRUE(Until([&] { return server_->stats().failed_to_open == 1; }));
  EXPECT_EQ(peer.ReceiveAll(), "");
  EXPECT_EQ(server_->stats().open, 0);
}

TEST_P(TcpServerTest, ConnectionThatCannotBeWatchedIsDroppedAndCounted) {
  Start();
  {
    ScopedFault fault(Call::kEpollCtl, {.error = ENOSPC, .times = 1});
    Peer peer = Connect();
    ASSERT_TRUE(Until([&] { return server_->stats().failed_to_open == 1; }));
    EXPECT_EQ(fault.hits(), 1);
  }
  EXPECT_EQ(server_->stats().open, 0);
  EXPECT_EQ(tally_.opened, 0);
  EXPECT_EQ(ConnectMany(1).size(), 1u);
}

TEST_P(TcpServerTest, DestroyedWithLiveConnectionsTellsEachOfThem) {
  Start();
  std::vector<Peer> peers = ConnectMany(20);
  server_.reset();
  EXPECT_EQ(tally_.cancelled, 20);
  tally_.may_call = false;
  for (Peer& peer : peers) EXPECT_EQ(peer.ReceiveAll(), "");
  main_.Steps(3);
}

TEST_P(TcpServerTest, DestroyedWithConnectionsInHandOff) {
  for (int round = 0; round < 50; ++round) {
    Start();
    std::vector<Peer> peers;
    for (int i = 0; i < 8; ++i) peers.push_back(Connect());
    main_.Steps(round % 4);  // Some are accepted, some are on their way, some wait.
    server_.reset();
    EXPECT_EQ(tally_.opened, tally_.closed);
    for (Peer& peer : peers) peer.ReceiveAll();  // None is left hanging.
  }
}

TEST_P(TcpServerTest, StartsAndStopsManyTimesOnOnePort) {
  Start();
  const SocketAddress address = server_->addresses()[0];
  for (int i = 0; i < 50; ++i) {
    server_.reset();
    TcpServer::Options options = Options();
    options.addresses = {address};
    Start(std::move(options));
  }
  Peer peer = Connect();
  peer.Send("x");
  EXPECT_EQ(Receive(peer, 1), "x");
}

TEST_P(TcpServerTest, WorkersMayStopFirst) {
  Start();
  const std::vector<Peer> peers = ConnectMany(4);
  if (workers_ != nullptr) workers_->Stop();
  if (GetParam() != 1) Peer late = Connect();  // A lone worker has taken its listener along.
  main_.Steps(5);
  server_.reset();
  EXPECT_EQ(tally_.opened, tally_.closed);
}

TEST_P(TcpServerTest, StoppedWorkersAreAStatus) {
  if (workers_ == nullptr) return;
  workers_->Stop();
  const auto server = TcpServer::Start(*main_, workers_.get(), Options());
  EXPECT_TRUE(absl::IsFailedPrecondition(server.status()));
}

TEST_P(TcpServerTest, MainLoopMayHaveEnded) {
  Start();
  const std::vector<Peer> peers = ConnectMany(4);
  main_->Stop();
  main_.Step();
  server_.reset();
  EXPECT_EQ(tally_.opened, tally_.closed);
}

// What ends or resumes something must get through, however full the mailboxes are.
TEST(TcpServerFullMailboxTest, StillResumesDrainsAndEnds) {
  TestLoop main({.posts_max = 1});
  Tally tally;
  auto workers = EventLoopThreadPool::Start({.threads = 1, .loop = {.posts_max = 1}}).value();
  auto server = TcpServer::Start(*main, workers.get(),
                                 {.addresses = {SocketAddress::Loopback(0)},
                                  .handler = [&] { return std::make_unique<EchoHandler>(tally); },
                                  .connections_max = 1})
                    .value();
  Peer first = Peer::ConnectedTo(server->addresses()[0]);
  ASSERT_TRUE(main.StepUntil([&] { return tally.opened == 1; }));
  Peer second = Peer::ConnectedTo(server->addresses()[0]);
  const auto fill = [&] {
    EXPECT_TRUE(main->ref().Post([] {}));
    EXPECT_FALSE(main->ref().Post([] {}));
  };
  fill();
  first.Close();
  ASSERT_TRUE(main.StepUntil([&] { return tally.opened == 2; }));
  fill();
  bool done = false;
  server->Drain(absl::Milliseconds(1), [&](const DrainReport&) { done = true; });
  EXPECT_TRUE(main.StepUntil([&] { return done; }));
  fill();
  server.reset();
  EXPECT_EQ(tally.closed, 2);
}

TEST(TcpServerFullMailboxTest, WhoCannotBeHandedOverIsReset) {
  TestLoop main;
  Tally tally;
  auto workers = EventLoopThreadPool::Start({.threads = 2, .loop = {.posts_max = 0}}).value();
  auto server = TcpServer::Start(*main, workers.get(),
                                 {.addresses = {SocketAddress::Loopback(0)},
                                  .handler = [&] { return std::make_unique<EchoHandler>(tally); }})
                    .value();
  Peer peer = Peer::ConnectedTo(server->addresses()[0]);
  ASSERT_TRUE(main.StepUntil([&] { return server->stats().accepted == 1; }));
  peer.ReceiveAll();
  EXPECT_TRUE(peer.was_reset());
  EXPECT_EQ(server->stats().open, 0) << "its place is free again";
}

// Without workers, handlers run on the main loop, and may do this.
TEST(TcpServerOnMainTest, MayBeDestroyedInsideEachCallback) {
  for (const std::string where : {"open", "data", "end", "drain", "close"}) {
    TestLoop main;
    std::unique_ptr<TcpServer> server;
    bool hit = false;
    const auto destroy_in = [&](const char* callback) {
      if (where != callback || hit) return;
      hit = true;
      server.reset();
    };
    server =
        TcpServer::Start(
            *main, nullptr,
            {.addresses = {SocketAddress::Loopback(0)},
             .handler = FunctionHandlers(
                 {.on_open = [&](TcpConnection&) { destroy_in("open"); },
                  .on_data =
                      [&](TcpConnection& conn, Buffer& input) {
                        destroy_in("data");
                        conn.Send(std::move(input));
                      },
                  .on_end_of_input =
                      [&](TcpConnection& conn, Buffer&) {
                        destroy_in("end");
                        conn.CloseAfterFlush();
                      },
                  .on_drain = [&](TcpConnection&) { destroy_in("drain"); },
                  .on_close = [&](TcpConnection&, const absl::Status&) { destroy_in("close"); }})})
            .value();
    std::vector<Peer> peers;
    for (int i = 0; i < 3; ++i) peers.push_back(Peer::ConnectedTo(server->addresses()[0]));
    for (Peer& peer : peers) peer.Send("x");
    main.Steps(8);
    if (server != nullptr) server->Drain(absl::Hours(1), [](const DrainReport&) {});
    main.Steps(2);
    for (Peer& peer : peers) {
      if (where == "end" || where == "close") peer.CloseWrite();
    }
    EXPECT_TRUE(main.StepUntil([&] { return hit; })) << where;
    main.Steps(3);
    EXPECT_EQ(server, nullptr) << where;
  }
}

TEST(TcpServerReusePortTest, EachWorkerAcceptsForItself) {
  TestLoop main;
  Tally tally;
  auto workers = EventLoopThreadPool::Start({.threads = 2}).value();
  auto server = TcpServer::Start(*main, workers.get(),
                                 {.addresses = {SocketAddress::Loopback(0)},
                                  .handler = [&] { return std::make_unique<EchoHandler>(tally); },
                                  .connections_max = 10,
                                  .accepting = TcpServer::Accepting::kOnEachWorker})
                    .value();
  ASSERT_EQ(server->addresses().size(), 1u);
  std::vector<Peer> peers;
  for (int i = 0; i < 30; ++i) peers.push_back(Peer::ConnectedTo(server->addresses()[0]));
  // The main loop takes no part, but for lifting the cap.
  ASSERT_TRUE(main.StepUntil([&] { return tally.opened == 10; }));
  EXPECT_LE(server->stats().open, 12);
  while (!peers.empty()) {
    peers.erase(peers.begin());
    main.Step();
  }
  EXPECT_TRUE(main.StepUntil([&] { return tally.opened == tally.closed; }));
  bool done = false;
  server->Drain(absl::Seconds(10), [&](const DrainReport&) { done = true; });
  EXPECT_TRUE(main.StepUntil([&] { return done; }));
  EXPECT_EQ(server->stats().open, 0);
}

TEST(TcpServerReusePortTest, WithoutWorkersIsRefused) {
  TestLoop main;
  const auto server = TcpServer::Start(*main, nullptr,
                                       {.addresses = {SocketAddress::Loopback(0)},
                                        .handler = [] { return nullptr; },
                                        .accepting = TcpServer::Accepting::kOnEachWorker});
  EXPECT_TRUE(absl::IsInvalidArgument(server.status()));
}

}  // namespace
}  // namespace millrace
