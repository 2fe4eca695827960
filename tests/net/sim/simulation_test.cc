// SPDX-License-Identifier: Apache-2.0
#include "net/sim/simulation.h"

#include <sys/socket.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/thread_role.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "net/connection_handler.h"
#include "net/sim/for_each_seed.h"
#include "net/sim/sim_peer.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "net/timer_wheel.h"

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

TEST(SimulationTest, AServerMayGoWhileItsWorkersRest) {
  Simulation sim;
  auto server = StartEcho(sim);
  SimPeer peer(sim, server->addresses()[0]);
  sim.RunFor(absl::Seconds(1));
  server.reset();
  EXPECT_EQ(peer.ReadToEnd(), "");
}

TEST(SimulationTest, WhatATestPostsAndArmsBetweenRunsHappens) {
  Simulation sim;
  sim.RunFor(absl::Seconds(1));
  bool posted = false, fired = false;
  sim.client().ref().Post([&] { posted = true; });
  Timer timer(sim.main().timers(), [&] { fired = true; });
  timer.Arm(absl::Seconds(5));
  sim.RunFor(absl::Seconds(4));
  EXPECT_TRUE(posted);
  EXPECT_FALSE(fired);
  sim.RunFor(absl::Seconds(1));
  EXPECT_TRUE(fired);
}

TEST(SimulationTest, WhatNeverComesTrueIsGivenUpInTime) {
  Simulation sim;
  const MonotonicTime start = sim.now();
  EXPECT_FALSE(sim.RunUntil([] { return false; }, absl::Hours(2)));
  EXPECT_EQ(sim.now(), start + absl::Hours(2));
}

TEST(SimulationTest, ALeakedDescriptorIsABug) {
  const auto leak = [] {
    Simulation sim;
    socket(AF_INET, SOCK_STREAM, 0);
  };
  EXPECT_DEATH(leak(), "descriptors left open by seed 1");
}

// The hash of a run is that of what happened, and that is told, if asked for.
TEST(SimulationTest, ATraceTellsWhoDidWhatWhen) {
  ::testing::internal::CaptureStderr();
  {
    Simulation sim({.trace = true});
    const auto server = StartEcho(sim);
    SimPeer peer(sim, server->addresses()[0]);
    peer.Send("hello\n");
    EXPECT_EQ(peer.ReadLine(), "hello\n");
  }
  const std::string trace = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(trace,
              ::testing::ContainsRegex(
                  "[0-9.]+ ms  #[0-9]+ 10.0.0.[0-9]+:[0-9]+ -> 127.0.0.1:7007  sends 6 bytes\n"));
  EXPECT_THAT(trace, ::testing::ContainsRegex(
                         "#[0-9]+ 127.0.0.1:7007 -> 10.0.0.[0-9]+:[0-9]+  reads 6 bytes\n"));
  EXPECT_THAT(trace, ::testing::ContainsRegex("ms  worker [01]: turn [0-9]+\n"));
}

}  // namespace
}  // namespace millrace
