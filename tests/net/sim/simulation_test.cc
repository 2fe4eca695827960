// SPDX-License-Identifier: Apache-2.0
#include "net/sim/simulation.h"

#include <memory>
#include <string>
#include <utility>

#include "base/thread_role.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "net/connection_handler.h"
#include "net/sim/for_each_seed.h"
#include "net/sim/sim_peer.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"

namespace millrace {
namespace {

class Echo final : public ConnectionHandler {
 public:
  void OnData(TcpConnection& conn, Buffer& input) override LOOP_ONLY {
    conn.Send(std::move(input));
  }
};

std::unique_ptr<TcpServer> StartEcho(Simulation& sim) {
  AssertOnLoop();
  return TcpServer::Start(sim.main(), &sim.workers(),
                          {.addresses = {SocketAddress::Loopback(7007)},
                           .handler = [] { return std::make_unique<Echo>(); }})
      .value();
}

TEST(SimulationTest, EchoComesBack) {
  Simulation sim;
  const auto server = StartEcho(sim);
  SimPeer peer(sim, server->addresses()[0]);
  ASSERT_TRUE(peer.connected());
  EXPECT_TRUE(peer.Send("hello\n"));
  EXPECT_EQ(peer.ReadLine(), "hello\n");
  peer.EndOutput();
  EXPECT_EQ(peer.ReadToEnd(), "");
  EXPECT_TRUE(peer.ended());
}

// What is seen of a run: all bytes, and the hash of all events.
std::pair<std::string, uint64_t> RunOnce(uint64_t seed) {
  Simulation sim(RoughWorld(seed));
  const auto server = StartEcho(sim);
  std::string seen;
  for (int i = 0; i < 3; ++i) {
    SimPeer peer(sim, server->addresses()[0]);
    peer.Send(std::string(1000, 'x'));
    peer.EndOutput();
    seen += peer.ReadToEnd();
  }
  return {seen, sim.trace_hash()};
}

TEST(SimulationTest, TheSameSeedIsTheSameRun) {
  ForEachSeed(50, [](uint64_t seed) { EXPECT_EQ(RunOnce(seed), RunOnce(seed)); });
}

TEST(SimulationTest, AnotherSeedIsAnotherRun) { EXPECT_NE(RunOnce(1).second, RunOnce(2).second); }

TEST(SimulationTest, InAHarmlessWorldEveryByteComesBack) {
  ForEachSeed(200, [](uint64_t seed) {
    Simulation sim(HarmlessWorld(seed));
    const auto server = StartEcho(sim);
    SimPeer peer(sim, server->addresses()[0]);
    ASSERT_TRUE(peer.connected());
    std::string sent;
    for (int i = 0; i < 5000; ++i) sent.push_back(static_cast<char>(sim.random().Next()));
    EXPECT_TRUE(peer.Send(sent));
    EXPECT_EQ(peer.Read(sent.size()), sent);
    peer.EndOutput();
    EXPECT_EQ(peer.ReadToEnd(), "");
    EXPECT_TRUE(peer.ended());
  });
}

}  // namespace
}  // namespace millrace
