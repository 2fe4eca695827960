// SPDX-License-Identifier: Apache-2.0
#include "net/tcp_server.h"

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "tests/support/peer.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

class EchoHandler final : public ConnectionHandler {
  void OnData(TcpConnection& conn, Buffer& input) override { conn.Send(std::move(input)); }
};

TEST(TcpServerTest, EchoesOverWorkers) {
  TestLoop main;
  auto workers = EventLoopThreadPool::Start({.threads = 2}).value();
  auto server = TcpServer::Start(*main, workers.get(),
                                 {.addresses = {SocketAddress::Loopback(0)},
                                  .handler = [] { return std::make_unique<EchoHandler>(); }})
                    .value();
  Peer peer = Peer::ConnectedTo(server->addresses()[0]);
  peer.Send("hello");
  ASSERT_TRUE(main.StepUntil([&] { return server->stats().opened == 1; }));
  EXPECT_EQ(peer.Receive(5), "hello");
  peer.CloseWrite();
  EXPECT_EQ(peer.ReceiveAll(), "");
  EXPECT_TRUE(peer.ended());
}

}  // namespace
}  // namespace millrace
