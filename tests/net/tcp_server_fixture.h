// SPDX-License-Identifier: Apache-2.0
//
// TcpServerTest is the fixture of TcpServer's tests: an echo server whose main loop is stepped by
// hand, with as many workers as the parameter says (with 0 the main loop does all), and a Tally of
// what the handlers of all loops were told.
//
//   Start();
//   std::vector<Peer> peers = ConnectMany(3);
//   Drain(absl::Hours(1));
//   EXPECT_TRUE(UntilDrained());

#ifndef MILLRACE_TESTS_NET_TCP_SERVER_FIXTURE_H_
#define MILLRACE_TESTS_NET_TCP_SERVER_FIXTURE_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "net/connection_handler.h"
#include "net/drain.h"
#include "net/event_loop_thread_pool.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "tests/support/peer.h"
#include "tests/support/test_loop.h"

namespace millrace {

// What the handlers of all loops write down.
struct Tally {
  std::atomic<int> opened{0}, drained{0}, closed{0};
  std::atomic<int> cancelled{0}, timed_out{0}, orderly{0};
  std::atomic<bool> may_call{true};  // False once a test has been promised silence.
};

class EchoHandler final : public ConnectionHandler {
 public:
  explicit EchoHandler(Tally& tally) : tally_(tally) {}
  void OnOpen(TcpConnection&) override {
    EXPECT_TRUE(tally_.may_call);
    ++tally_.opened;
  }
  void OnData(TcpConnection& conn, Buffer& input) override {
    EXPECT_TRUE(tally_.may_call);
    conn.Send(std::move(input));
  }
  void OnDrain(TcpConnection&) override { ++tally_.drained; }
  void OnClose(TcpConnection&, const absl::Status& why) override {
    EXPECT_TRUE(tally_.may_call);
    if (why.ok()) ++tally_.orderly;
    if (absl::IsCancelled(why)) ++tally_.cancelled;
    if (absl::IsDeadlineExceeded(why)) ++tally_.timed_out;
    ++tally_.closed;
  }

 private:
  Tally& tally_;
};

class TcpServerTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (GetParam() > 0) workers_ = EventLoopThreadPool::Start({.threads = GetParam()}).value();
  }
  TcpServer::Options Options() {
    return {.addresses = {SocketAddress::Loopback(0)},
            .handler = [this] { return std::make_unique<EchoHandler>(tally_); }};
  }
  void Start(TcpServer::Options options) {
    server_ = TcpServer::Start(*main_, workers_.get(), std::move(options)).value();
  }
  void Start() { Start(Options()); }
  Peer Connect() { return Peer::ConnectedTo(server_->addresses()[0]); }
  std::vector<Peer> ConnectMany(int count) {
    std::vector<Peer> peers;
    const int before = tally_.opened;
    for (int i = 0; i < count; ++i) peers.push_back(Connect());
    EXPECT_TRUE(main_.StepUntil([&] { return tally_.opened >= before + count; }));
    return peers;
  }
  bool Until(absl::FunctionRef<bool()> done) { return main_.StepUntil(done); }
  std::string Receive(Peer& peer, size_t n) {
    std::string received;
    Until([&] {
      received += peer.ReceiveSome();
      return received.size() >= n || peer.ended() || peer.was_reset();
    });
    return received;
  }
  void Drain(const DrainOptions& options) {
    server_->Drain(options, [this](const DrainReport& report) {
      report_ = report;
      drain_done_ = true;
    });
  }
  void Drain(absl::Duration grace) { Drain(DrainOptions{.grace = grace}); }
  // The main loop's clock is ours; those of the workers are the system's, and go on by themselves.
  bool UntilDrained() {
    return Until([&] {
      main_.clock().Advance(absl::Milliseconds(1));
      return drain_done_;
    });
  }

  Tally tally_;
  TestLoop main_;
  std::unique_ptr<EventLoopThreadPool> workers_;
  std::unique_ptr<TcpServer> server_;
  bool drain_done_ = false;
  DrainReport report_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_NET_TCP_SERVER_FIXTURE_H_
