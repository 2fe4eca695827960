// SPDX-License-Identifier: Apache-2.0
//
// The server that README.md shows: all below this comment is there word for word, and
// //tests/docs:docs_test sees to that.

#include <memory>
#include <utility>

#include "absl/log/log.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"

class EchoHandler final : public millrace::ConnectionHandler {
  void OnData(millrace::TcpConnection& conn, millrace::Buffer& input) override LOOP_ONLY {
    conn.Send(std::move(input));  // Written when this returns, in one system call.
  }
};

int main() {
  auto main_loop = millrace::EventLoop::Create().value();
  auto workers = millrace::EventLoopThreadPool::Start().value();  // A loop for each core.
  auto server =
      millrace::TcpServer::Start(*main_loop, workers.get(),
                                 {.addresses = {millrace::SocketAddress::Loopback(7000)},
                                  .handler = [] { return std::make_unique<EchoHandler>(); }});
  if (!server.ok()) LOG(QFATAL) << server.status();
  main_loop->Run();
}
