// SPDX-License-Identifier: Apache-2.0
//
// ServerThread is a server that runs beside the test, for tests of clients that block: a main loop
// on a thread of its own and a worker. Its functions are called on the worker. Owned by the test;
// stopped with the object.
//
//   ServerThread server({.on_data = [](TcpConnection& conn, Buffer& input) {
//     conn.Send(std::move(input));
//   }});
//   Run(server.addresses());

#ifndef MILLRACE_TESTS_SUPPORT_SERVER_THREAD_H_
#define MILLRACE_TESTS_SUPPORT_SERVER_THREAD_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "base/thread.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/function_handler.h"
#include "net/loop_ref.h"
#include "net/socket_address.h"
#include "net/tcp_server.h"

namespace millrace {

class ServerThread {
 public:
  explicit ServerThread(ConnectionFunctions functions) {
    thread_ = Thread::Start({.name = "server"}, [this, &functions] {
                Run(std::move(functions));
              }).value();
    started_.WaitForNotification();
  }
  ~ServerThread() { main_.Stop(); }

  const std::vector<SocketAddress>& addresses() const { return addresses_; }
  // While it runs.
  TcpServer::Stats stats() const { return server_->stats(); }

 private:
  void Run(ConnectionFunctions functions) {
    auto main = EventLoop::Create().value();
    auto workers = EventLoopThreadPool::Start({.threads = 1}).value();
    auto server = TcpServer::Start(*main, workers.get(),
                                   {.addresses = {SocketAddress::Loopback(0)},
                                    .handler = FunctionHandlers(std::move(functions))})
                      .value();
    main_ = main->ref();
    addresses_ = server->addresses();
    server_ = server.get();
    started_.Notify();
    main->Run();
  }

  absl::Notification started_;
  LoopRef main_;
  std::vector<SocketAddress> addresses_;
  const TcpServer* server_ = nullptr;
  Thread thread_;  // Last: it uses all the others.
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_SERVER_THREAD_H_
