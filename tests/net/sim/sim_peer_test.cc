// SPDX-License-Identifier: Apache-2.0
#include "net/sim/sim_peer.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/thread_role.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "net/connection_handler.h"
#include "net/sim/simulation.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"

namespace millrace {
namespace {

// Echoes, and remembers how the last connection ended.
class SimPeerTest : public ::testing::Test {
 protected:
  SimPeerTest() {
    AssertOnLoop();
    server_ = TcpServer::Start(sim_.main(), &sim_.workers(),
                               {.addresses = {address_},
                                .handler = [this] { return std::make_unique<Echo>(*this); },
                                .limits = {.idle_timeout = absl::Seconds(30)}})
                  .value();
  }

  struct Echo final : ConnectionHandler {
    explicit Echo(SimPeerTest& test) : test(test) {}
    void OnData(TcpConnection& conn, Buffer& input) override LOOP_ONLY {
      conn.Send(std::move(input));
    }
    void OnClose(TcpConnection&, const absl::Status& why) override LOOP_ONLY {
      test.closed_ = true;
      test.why_ = why;
    }
    SimPeerTest& test;
  };

  bool ServerCloses() {
    return sim_.RunUntil([this] { return closed_; }, absl::Minutes(1));
  }

  const SocketAddress address_ = SocketAddress::Loopback(7007);
  bool closed_ = false;
  absl::Status why_;
  Simulation sim_;
  std::unique_ptr<TcpServer> server_;
};

TEST_F(SimPeerTest, ReadsByLinesAndByCounts) {
  SimPeer peer(sim_, address_);
  ASSERT_TRUE(peer.connected());
  EXPECT_TRUE(peer.Send("one\ntwo\nthree"));
  EXPECT_EQ(peer.ReadLine(), "one\n");
  EXPECT_EQ(peer.ReadLine(), "two\n");
  EXPECT_EQ(peer.Read(2), "th");
  peer.EndOutput();
  EXPECT_EQ(peer.ReadLine(), "ree") << "the end came first";
  EXPECT_EQ(peer.ReadLine(), "");
  EXPECT_TRUE(peer.ended());
  EXPECT_FALSE(peer.broken());
}

TEST_F(SimPeerTest, AfterAMinuteOfSilenceItGoesOnWithoutALine) {
  SimPeer peer(sim_, address_);
  peer.Vanish();
  const auto before = sim_.now();
  EXPECT_EQ(peer.ReadLine(), "");
  EXPECT_EQ(sim_.now() - before, absl::Minutes(1));
  EXPECT_FALSE(peer.ended() || peer.broken());
}

TEST_F(SimPeerTest, ClosingIsAnEndInGoodOrder) {
  SimPeer peer(sim_, address_);
  peer.Close();
  ASSERT_TRUE(ServerCloses());
  EXPECT_TRUE(why_.ok()) << why_;
}

TEST_F(SimPeerTest, ResettingIsNot) {
  SimPeer peer(sim_, address_);
  peer.Send("hello\n");
  EXPECT_EQ(peer.ReadLine(), "hello\n");
  peer.Reset();
  ASSERT_TRUE(ServerCloses());
  EXPECT_FALSE(why_.ok());
}

TEST_F(SimPeerTest, OneThatVanishesIsMissedInTime) {
  SimPeer peer(sim_, address_);
  peer.Send("hello\n");
  EXPECT_EQ(peer.ReadLine(), "hello\n");
  peer.Vanish();
  ASSERT_TRUE(ServerCloses());
  EXPECT_TRUE(absl::IsDeadlineExceeded(why_)) << why_;
}

TEST_F(SimPeerTest, ABrokenConnectionTakesNothing) {
  SimPeer peer(sim_, address_);
  sim_.SetFaults({.reset = 1});
  peer.Send("hello\n");
  EXPECT_EQ(peer.ReadToEnd(), "");
  EXPECT_TRUE(peer.broken());
  EXPECT_FALSE(peer.ended());
  EXPECT_FALSE(peer.Send("again\n"));
}

TEST_F(SimPeerTest, NobodyListensThere) {
  SimPeer peer(sim_, SocketAddress::Loopback(7));
  EXPECT_FALSE(peer.connected());
  EXPECT_TRUE(peer.broken());
  EXPECT_FALSE(peer.Send("hello\n"));
  EXPECT_EQ(peer.ReadLine(), "");
}

TEST_F(SimPeerTest, EachHasAnAddressOfItsOwn) {
  SimPeer alice(sim_, address_), bob(sim_, address_);
  EXPECT_NE(alice.address(), bob.address());
}

}  // namespace
}  // namespace millrace
