// SPDX-License-Identifier: Apache-2.0
//
// ServerHost is one TcpServer of a soak from its start to its end, ClientHost one TcpClient: they
// keep the books that the model checks, and destroy what they hold at any moment. Kept by their
// World, so they are there as long as any handler. Main loop's and client loop's.
//
//   auto& server = world.Keep(std::make_unique<ServerHost>(world, factory));
//   if (server.Start()) ...

#ifndef MILLRACE_TESTS_SIM_HOSTS_H_
#define MILLRACE_TESTS_SIM_HOSTS_H_

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "net/connection_handler.h"
#include "net/event_loop.h"
#include "net/socket_address.h"
#include "net/tcp_client.h"
#include "net/tcp_server.h"
#include "tests/sim/world.h"

namespace millrace {

// Makes handlers for a server or client of the world.
using HandlersOf = absl::AnyInvocable<std::unique_ptr<ConnectionHandler>(Owner& owner) const>;
// Those of talkers. A server's echo, or talk.
HandlersOf ServerTalkers(World& world, bool echo);
HandlersOf ClientTalkers(World& world, bool echo);

class ServerHost final : public Owner {
 public:
  ServerHost(World& world, HandlersOf handlers);

  // False if the world does not let it; a harmless one does.
  bool Start();
  bool running() const { return server_ != nullptr; }
  // As TcpServer::Drain(), and checks what is promised when it is done.
  void Drain(absl::Duration grace);
  // No drain has begun that is not done.
  bool drained() const { return drains_ == drains_done_; }
  TcpServer::Stats stats() const { return server_->stats(); }
  int64_t drains() const { return drains_; }
  void Destroy() override;
  bool DestroyFromInside(EventLoop& loop) override;

  static SocketAddress Address() { return SocketAddress::Loopback(7007); }

 private:
  TcpServer::Options MakeOptions();
  void OnDrained(MonotonicTime at_the_latest);
  void CheckBooks();
  void CheckEnds(const TcpServer::Stats& stats);

  World& world_;
  const HandlersOf handlers_;
  bool on_workers_ = false;
  bool drained_ = false;  // And not destroyed.
  std::unique_ptr<TcpServer> server_;
  int64_t drains_ = 0, drains_done_ = 0;
  int64_t refused_ = 0;
};

class ClientHost final : public Owner {
 public:
  // With `reconnect` it connects again and again, until it is destroyed.
  ClientHost(World& world, HandlersOf handlers, bool reconnect);

  void Connect() { client_->Connect(); }
  bool running() const { return client_ != nullptr; }
  bool done() const { return !running() || (!client_->connected() && !client_->will_retry()); }
  void Destroy() override;
  bool DestroyFromInside(EventLoop& loop) override;

 private:
  void OnConnectFailed(const absl::Status& why);
  void CheckEnds();

  World& world_;
  const HandlersOf handlers_;
  std::unique_ptr<TcpClient> client_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SIM_HOSTS_H_
