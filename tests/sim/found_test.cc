// SPDX-License-Identifier: Apache-2.0
//
// What the soak has found, each as short as it can be told.
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "net/connection_handler.h"
#include "net/drain.h"
#include "net/sim/simulation.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"

namespace millrace {
namespace {

class Echo final : public ConnectionHandler {
 public:
  void OnData(TcpConnection& conn, Buffer& input) override { conn.Send(std::move(input)); }
};

std::unique_ptr<TcpServer> StartEcho(Simulation& sim) {
  return TcpServer::Start(sim.main(), nullptr,
                          {.addresses = {SocketAddress::Loopback(7007)},
                           .handler = [] { return std::make_unique<Echo>(); }})
      .value();
}

// Both were posted already when the first one destroyed the server; the second one ran after it.
TEST(FoundTest, WhoHearsFirstOfADrainMayDestroyTheServerAndNobodyHearsAfter) {
  Simulation sim;
  std::unique_ptr<TcpServer> server = StartEcho(sim);
  bool told_after = false;
  server->Drain(absl::Seconds(1), [&](const DrainReport&) { server.reset(); });
  server->Drain(absl::Seconds(1), [&](const DrainReport&) { told_after = server == nullptr; });
  sim.RunFor(absl::Seconds(2));
  EXPECT_EQ(server, nullptr);
  EXPECT_FALSE(told_after);
}

// A drain was posted when the server was destroyed from outside a turn: while that waited for the
// workers the simulation let the main loop run, which no real one can do there.
TEST(FoundTest, TheMainLoopRestsWhileTheMainThreadWaitsForWorkers) {
  Simulation sim({.workers = 1});
  bool ran = false;
  auto server = TcpServer::Start(sim.main(), &sim.workers(),
                                 {.addresses = {SocketAddress::Loopback(7007)},
                                  .handler = [] { return std::make_unique<Echo>(); }})
                    .value();
  sim.main().ref().Post([&] { ran = true; });
  server.reset();
  EXPECT_FALSE(ran);
  sim.RunFor(absl::Seconds(1));
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace millrace
