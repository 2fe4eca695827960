// SPDX-License-Identifier: Apache-2.0
//
// How to test a server of your own in simulated worlds; docs/testing.md shows this file.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/thread_role.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "net/connection_handler.h"
#include "net/sim/for_each_seed.h"
#include "net/sim/sim_peer.h"
#include "net/sim/simulation.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"

// Your handler, which your program uses as well.
class EchoHandler final : public millrace::ConnectionHandler {
 public:
  void OnData(millrace::TcpConnection& conn, millrace::Buffer& input) override LOOP_ONLY {
    conn.Send(std::move(input));
  }
};

std::unique_ptr<millrace::TcpServer> StartEcho(millrace::Simulation& sim) {
  millrace::AssertOnLoop();
  return millrace::TcpServer::Start(sim.main(), &sim.workers(),
                                    {.addresses = {millrace::SocketAddress::Loopback(7007)},
                                     .handler = [] { return std::make_unique<EchoHandler>(); }})
      .value();
}

TEST(EchoSimTest, WhatComesBackIsWhatWasSent) {
  millrace::ForEachSeed(200, [](uint64_t seed) {
    millrace::Simulation sim(millrace::RoughWorld(seed));
    const std::unique_ptr<millrace::TcpServer> server = StartEcho(sim);
    millrace::SimPeer peer(sim, server->addresses()[0]);
    std::string sent;
    for (int i = 0; i < 1000; ++i) sent += std::to_string(i) + "\n";
    peer.Send(sent);
    peer.EndOutput();
    const std::string received = peer.ReadToEnd();
    EXPECT_TRUE(sent.starts_with(received)) << received;  // In any world.
    // All of it, unless the line broke, or the server had no room to take it.
    if (peer.ended() && server->stats().failed_to_open == 0) {
      EXPECT_EQ(received.size(), sent.size());
    }
  });
}
