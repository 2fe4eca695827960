// SPDX-License-Identifier: Apache-2.0
#include "net/tcp_client.h"

#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/acceptor.h"
#include "net/function_handler.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "tests/support/peer.h"
#include "tests/support/recording_handler.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

class TcpClientTest : public ::testing::Test {
 protected:
  TcpClientTest() {
    Listen(SocketAddress::Loopback(0));
    address_ = acceptor_->address();
  }
  void Listen(const SocketAddress& address) {
    acceptor_ = Acceptor::Listen(*loop_, address, {}, [this](Socket socket, const SocketAddress&) {
                  peers_.push_back(Peer(std::move(socket)));
                }).value();
  }
  TcpClient::Options Options() {
    return {.address = address_,
            .handler = RecordingHandlers(log_),
            .on_connect_failed = [this](const absl::Status& why) { failures_.push_back(why); },
            .seed = 1};
  }
  void Make(TcpClient::Options options) {
    client_ = std::make_unique<TcpClient>(*loop_, std::move(options));
  }
  void Connect(TcpClient::Options options) {
    Make(std::move(options));
    client_->Connect();
  }
  bool Until(absl::FunctionRef<bool()> done) { return loop_.StepUntil(done); }
  bool UntilAccepted(size_t count) {
    return Until([&] { return peers_.size() >= count && log_.connection != nullptr; });
  }

  TestLoop loop_;
  ConnectionLog log_;
  SocketAddress address_ = SocketAddress::Any(0);
  std::unique_ptr<Acceptor> acceptor_;
  std::vector<Peer> peers_;
  std::vector<absl::Status> failures_;
  std::unique_ptr<TcpClient> client_;
};

TEST_F(TcpClientTest, ConnectsAndTalks) {
  log_.on_open = [](TcpConnection& conn) { conn.Send("ping"); };
  Connect(Options());
  ASSERT_TRUE(UntilAccepted(1));
  EXPECT_TRUE(client_->connected());
  EXPECT_EQ(peers_[0].Receive(4), "ping");
  peers_[0].Send("pong");
  ASSERT_TRUE(Until([&] { return log_.received == "pong"; }));
  peers_[0].CloseWrite();
  ASSERT_TRUE(Until([&] { return log_.closed(); }));
  EXPECT_THAT(log_.events, ElementsAre("open", "data 4", "end", "close OK"));
  EXPECT_FALSE(client_->connected());
}

TEST_F(TcpClientTest, ConnectTwiceIsOneConnection) {
  Connect(Options());
  client_->Connect();
  ASSERT_TRUE(UntilAccepted(1));
  client_->Connect();
  loop_.Steps(5);
  EXPECT_EQ(peers_.size(), 1u);
}

TEST_F(TcpClientTest, WithoutRetryOneFailureIsTheEnd) {
  acceptor_.reset();
  Connect(Options());
  ASSERT_TRUE(Until([&] { return failures_.size() == 1; }));
  EXPECT_EQ(failures_[0].code(), absl::ErrnoToStatusCode(ECONNREFUSED));
  EXPECT_FALSE(client_->will_retry());
  loop_.Advance(absl::Hours(1));
  EXPECT_EQ(failures_.size(), 1u);
  client_->Connect();  // By hand it may try again.
  EXPECT_TRUE(Until([&] { return failures_.size() == 2; }));
}

TEST_F(TcpClientTest, RetriesWithGrowingPausesUntilSomebodyListens) {
  acceptor_.reset();
  TcpClient::Options options = Options();
  options.retry = Backoff::Options{.initial = absl::Seconds(1), .jitter = 0};
  Connect(std::move(options));
  for (size_t tries = 1; tries <= 3; ++tries) {
    ASSERT_TRUE(Until([&] { return failures_.size() == tries; }));
    EXPECT_TRUE(client_->will_retry());
    loop_.Advance(absl::Seconds(1 << (tries - 1)) - absl::Milliseconds(1));
    loop_.Steps(3);
    EXPECT_EQ(failures_.size(), tries) << "too early";
    if (tries == 3) Listen(address_);
    loop_.Advance(absl::Milliseconds(1));
  }
  EXPECT_TRUE(UntilAccepted(1));
  EXPECT_EQ(failures_.size(), 3u);
}

TEST_F(TcpClientTest, GivesUpAfterSoManyAttempts) {
  acceptor_.reset();
  TcpClient::Options options = Options();
  options.retry = Backoff::Options{.initial = absl::Seconds(1)};
  options.attempts_max = 3;
  Connect(std::move(options));
  EXPECT_TRUE(Until([&] {
    loop_.Advance(absl::Seconds(10));
    return failures_.size() == 3;
  }));
  EXPECT_FALSE(client_->will_retry());
}

TEST_F(TcpClientTest, ReconnectsWhenTheConnectionEnds) {
  TcpClient::Options options = Options();
  options.retry = Backoff::Options{.initial = absl::Seconds(1), .jitter = 0};
  options.reconnect = true;
  Connect(std::move(options));
  for (size_t connections = 1; connections <= 3; ++connections) {
    ASSERT_TRUE(UntilAccepted(connections));
    peers_.back().Send("x");
    ASSERT_TRUE(Until([&] { return log_.received.size() == connections; }));
    loop_.Advance(absl::Seconds(2));
    peers_.back().Reset();
    ASSERT_TRUE(Until([&] { return log_.closes.size() == connections; }));
    EXPECT_TRUE(client_->will_retry());
    loop_.Advance(absl::Seconds(1));  // One that spoke, and lasted, starts the pauses anew.
  }
}

TEST_F(TcpClientTest, PeerThatGreetsAndFailsIsNotStormed) {
  TcpClient::Options options = Options();
  options.retry = Backoff::Options{.initial = absl::Seconds(1), .jitter = 0};
  options.reconnect = true;
  Connect(std::move(options));
  for (size_t connections = 1; connections <= 3; ++connections) {
    ASSERT_TRUE(UntilAccepted(connections));
    peers_.back().Send("x");
    ASSERT_TRUE(Until([&] { return log_.received.size() == connections; }));
    peers_.back().Reset();
    ASSERT_TRUE(Until([&] { return log_.closes.size() == connections; }));
    loop_.Advance(absl::Seconds(1 << (connections - 1)) - absl::Milliseconds(1));
    loop_.Steps(2);
    EXPECT_EQ(peers_.size(), connections) << "too early";
    loop_.Advance(absl::Milliseconds(1));
  }
}

TEST_F(TcpClientTest, PeerThatAcceptsAndClosesIsNotStormed) {
  TcpClient::Options options = Options();
  options.retry = Backoff::Options{.initial = absl::Seconds(1), .jitter = 0};
  options.reconnect = true;
  Connect(std::move(options));
  for (size_t connections = 1; connections <= 3; ++connections) {
    ASSERT_TRUE(UntilAccepted(connections));
    peers_.back().Close();
    ASSERT_TRUE(Until([&] { return log_.closes.size() == connections; }));
    loop_.Advance(absl::Seconds(1 << (connections - 1)) - absl::Milliseconds(1));
    loop_.Steps(2);
    EXPECT_EQ(peers_.size(), connections) << "too early";
    loop_.Advance(absl::Milliseconds(1));
  }
}

TEST_F(TcpClientTest, ReconnectGoesOnTryingWithoutBeingToldHow) {
  TcpClient::Options options = Options();
  options.reconnect = true;
  Connect(std::move(options));
  ASSERT_TRUE(UntilAccepted(1));
  acceptor_.reset();
  peers_.back().Close();
  EXPECT_TRUE(Until([&] {
    loop_.Advance(absl::Seconds(10));
    return failures_.size() >= 3;
  }));
  Listen(address_);
  EXPECT_TRUE(Until([&] {
    loop_.Advance(absl::Seconds(10));
    return peers_.size() == 2;
  }));
}

TEST_F(TcpClientTest, UnansweredConnectTimesOut) {
  TcpClient::Options options = Options();
  options.connect.timeout = absl::Seconds(2);
  // A backlog that is full answers no one.
  Socket full = ListenAt(SocketAddress::Loopback(0), {.backlog = 0}).value();
  options.address = full.LocalAddress().value();
  std::vector<Socket> fillers(4);
  for (Socket& filler : fillers) {
    filler = Socket::Create(AF_INET).value();
    ASSERT_TRUE(filler.Connect(options.address).ok());
  }
  Connect(std::move(options));
  loop_.Steps(3);
  EXPECT_TRUE(failures_.empty());
  loop_.Advance(absl::Seconds(2));
  ASSERT_EQ(failures_.size(), 1u);
  EXPECT_TRUE(absl::IsDeadlineExceeded(failures_[0])) << failures_[0];
}

TEST_F(TcpClientTest, HandlerThatIsNullEndsTheAttempt) {
  TcpClient::Options options = Options();
  options.handler = [] { return nullptr; };
  Connect(std::move(options));
  EXPECT_TRUE(Until([&] { return client_->counters().failed_to_open.value() == 1; }));
  EXPECT_FALSE(client_->connected());
  EXPECT_EQ(failures_.size(), 1u);
}

TEST_F(TcpClientTest, TransportThatFailsIsToldAndTriedAgain) {
  TcpClient::Options options = Options();
  options.transport = [](Socket) { return absl::InternalError("no certificate"); };
  options.retry = Backoff::Options{.initial = absl::Seconds(1), .jitter = 0};
  options.attempts_max = 2;
  Connect(std::move(options));
  ASSERT_TRUE(Until([&] { return failures_.size() == 1; }));
  EXPECT_EQ(failures_[0].message(), "no certificate");
  EXPECT_TRUE(client_->will_retry());
  loop_.Advance(absl::Seconds(1));
  ASSERT_TRUE(Until([&] { return failures_.size() == 2; }));
  EXPECT_FALSE(client_->will_retry()) << "attempts_max counts these, too";
}

TEST_F(TcpClientTest, MayBeDestroyedWhenItsTransportFails) {
  TcpClient::Options options = Options();
  bool told = false;
  options.transport = [](Socket) { return absl::InternalError("no certificate"); };
  options.on_connect_failed = [&](const absl::Status&) {
    client_.reset();
    told = true;
  };
  Connect(std::move(options));
  EXPECT_TRUE(Until([&] { return told; }));
}

TEST_F(TcpClientTest, DestroyedWithAConnectionItTellsTheHandler) {
  Connect(Options());
  ASSERT_TRUE(UntilAccepted(1));
  client_.reset();
  ASSERT_EQ(log_.closes.size(), 1u);
  EXPECT_TRUE(absl::IsCancelled(log_.closes[0]));
  EXPECT_EQ(peers_[0].ReceiveAll(), "");
}

TEST_F(TcpClientTest, DestroyedWaitingToRetryNothingHappens) {
  acceptor_.reset();
  TcpClient::Options options = Options();
  options.retry = Backoff::Options{};
  Connect(std::move(options));
  ASSERT_TRUE(Until([&] { return failures_.size() == 1; }));
  client_.reset();
  loop_.Advance(absl::Hours(1));
  EXPECT_EQ(failures_.size(), 1u);
}

TEST_F(TcpClientTest, MayBeDestroyedByItsFailureCallback) {
  acceptor_.reset();
  TcpClient::Options options = Options();
  bool told = false;
  options.on_connect_failed = [&, big = std::string(100, 'x')](const absl::Status&) {
    client_.reset();
    told = big.size() == 100;  // The captures must still be there.
  };
  Connect(std::move(options));
  EXPECT_TRUE(Until([&] { return told; }));
}

TEST_F(TcpClientTest, MayBeDestroyedInsideEachCallOfItsHandler) {
  for (const std::string where : {"open", "data", "end", "close"}) {
    peers_.clear();
    bool hit = false;
    const auto destroy_in = [&](const char* call) {
      if (where != call) return;
      client_.reset();
      hit = true;
    };
    TcpClient::Options options = Options();
    options.handler = FunctionHandlers(
        {.on_open = [&](TcpConnection&) { destroy_in("open"); },
         .on_data = [&](TcpConnection&, Buffer&) { destroy_in("data"); },
         .on_end_of_input =
             [&](TcpConnection& conn, Buffer&) {
               destroy_in("end");
               conn.CloseAfterFlush();
             },
         .on_close = [&](TcpConnection&, const absl::Status&) { destroy_in("close"); }});
    Connect(std::move(options));
    ASSERT_TRUE(Until([&] { return !peers_.empty(); }));
    peers_[0].SendSome("x");
    peers_[0].CloseWrite();
    EXPECT_TRUE(Until([&] { return hit; })) << where;
    loop_.Steps(3);
  }
}

// Bug list, 7: destroyed at random points of its life, in the thousands.
TEST_F(TcpClientTest, TenThousandClientsDestroyedAtRandomPoints) {
  Random random(42);
  std::vector<std::unique_ptr<TcpClient>> clients(64);
  for (int i = 0; i < 10'000; ++i) {
    std::unique_ptr<TcpClient>& client = clients[random.Below(clients.size())];
    TcpClient::Options options = Options();
    if (random.Below(8) == 0) options.address = SocketAddress::Loopback(1);  // Nobody listens.
    if (random.Below(2) == 0) options.retry = Backoff::Options{};
    client = std::make_unique<TcpClient>(*loop_, std::move(options));
    if (random.Below(8) != 0) client->Connect();
    if (random.Below(4) == 0) loop_.Advance(absl::Milliseconds(random.Below(50)));
    if (peers_.size() > 32) peers_.clear();
  }
  clients.clear();
  loop_.Steps(2);
  EXPECT_EQ(log_.connection, nullptr);
}

}  // namespace
}  // namespace millrace
