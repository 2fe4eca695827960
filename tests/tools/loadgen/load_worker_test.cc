// SPDX-License-Identifier: Apache-2.0
//
// A worker and the server it loads, stepped by hand in one loop whose time is the test's.
#include "tools/loadgen/load_worker.h"

#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "net/function_handler.h"
#include "net/socket.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "tests/support/test_loop.h"
#include "tools/loadgen/load_options.h"
#include "tools/loadgen/load_session.h"
#include "tools/loadgen/load_tally.h"
#include "tools/loadgen/pattern.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr int kConnections = 20;

void Echo(TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); }

class LoadWorkerTest : public testing::Test {
 protected:
  void StartServer(ConnectionFunctions functions) {
    server_ = TcpServer::Start(*loop_, nullptr,
                               {.addresses = {SocketAddress::Loopback(0)},
                                .handler = FunctionHandlers(std::move(functions)),
                                .limits = {.linger_timeout = absl::InfiniteDuration()}})
                  .value();
    options_.addresses = server_->addresses();
  }
  void StartEchoServer() { StartServer({.on_data = Echo}); }

  void StartWorker(int pending_max = 256) {
    worker_ = &loop_->Keep(std::make_unique<LoadWorker>(
        *loop_, LoadSession::Plan{options_, pattern_, tally_},
        LoadWorker::Share{.pending_max = pending_max},
        LoadWorker::Listeners{.on_opened = [this](int connected) { connected_ = connected; },
                              .on_done = [this] { ++done_; }}));
    worker_->Start();
  }
  bool WaitUntilOpened() {
    return loop_.StepUntil([&] { return connected_ >= 0; });
  }
  bool WaitUntilDone() {
    return loop_.StepUntil([&] { return done_ > 0; });
  }
  bool WaitForMessages(uint64_t more) {
    const uint64_t enough = tally_.live().messages.value() + more;
    return loop_.StepUntil([&] { return tally_.live().messages.value() >= enough; });
  }
  // The load is on, for ever, and is not measured.
  void BeginLoad() {
    worker_->Measure(MonotonicTime::InfiniteFuture(), MonotonicTime::InfiniteFuture());
  }
  bool StartLoad() {
    StartWorker();
    if (!WaitUntilOpened()) return false;
    BeginLoad();
    return true;
  }
  // Measures one second, from now on.
  void Measure() { worker_->Measure(loop_.clock().Now(), loop_.clock().Now() + absl::Seconds(1)); }
  std::string first_error() const {
    return tally_.first_error() ? tally_.first_error()->reason : "none";
  }

  LoadOptions options_ = {.connections = kConnections};
  const Pattern pattern_;
  LoadTally tally_;
  int connected_ = -1;
  int done_ = 0;
  TestLoop loop_;
  std::unique_ptr<TcpServer> server_;
  LoadWorker* worker_ = nullptr;  // Its loop keeps it.
};

TEST_F(LoadWorkerTest, CountsWhatComesBackWhileItIsMeasured) {
  StartEchoServer();
  StartWorker();
  ASSERT_TRUE(WaitUntilOpened());
  EXPECT_EQ(connected_, kConnections);

  worker_->Measure(loop_.clock().Now() + absl::Seconds(1), loop_.clock().Now() + absl::Seconds(2));
  ASSERT_TRUE(WaitForMessages(100));
  EXPECT_EQ(tally_.messages(), 0) << "it is only warming up";
  loop_.Advance(absl::Seconds(1));
  const uint64_t before = tally_.live().messages.value();
  ASSERT_TRUE(WaitForMessages(100));
  EXPECT_GE(tally_.messages(), static_cast<int64_t>(tally_.live().messages.value() - before));

  const int64_t measured = tally_.messages();
  loop_.Advance(absl::Seconds(1));
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_EQ(tally_.messages(), measured) << "the end was over";
  EXPECT_EQ(tally_.latency().count(), measured);
  EXPECT_THAT(tally_.errors(), IsEmpty());
  EXPECT_EQ(tally_.live().connections.value(), 0);
  // All that was sent has come back, after the end too.
  EXPECT_EQ(server_->stats().bytes_read, 64 * tally_.live().messages.value());
}

TEST_F(LoadWorkerTest, NoneSendsBeforeAllAreThere) {
  StartEchoServer();
  StartWorker();
  ASSERT_TRUE(WaitUntilOpened());
  loop_.Steps(20);
  EXPECT_EQ(server_->stats().open, kConnections);
  EXPECT_EQ(server_->stats().bytes_read, 0);
  BeginLoad();
  ASSERT_TRUE(WaitForMessages(kConnections));
}

TEST_F(LoadWorkerTest, OnceItEndsNothingIsMeasuredAnyMore) {
  StartEchoServer();
  StartWorker();
  ASSERT_TRUE(WaitUntilOpened());
  worker_->Finish();
  Measure();
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_THAT(tally_.errors(), IsEmpty());
  EXPECT_THAT(tally_.throughput().counts(), IsEmpty()) << "there was no time for it";
  EXPECT_EQ(server_->stats().bytes_read, 0);
}

TEST_F(LoadWorkerTest, MessagesOfEverySizeComeBackWhole) {
  options_.connections = 3;
  StartEchoServer();
  for (const auto& [message_bytes, pipeline] :
       std::map<int, int>{{1, 1}, {7, 100}, {4096, 3}, {20'000, 5}, {3'000'000, 2}}) {
    options_.message_bytes = message_bytes;
    options_.pipeline = pipeline;
    tally_.SetWindow(MonotonicTime::InfiniteFuture(), MonotonicTime::InfiniteFuture());
    connected_ = -1;
    ASSERT_TRUE(StartLoad());
    ASSERT_TRUE(WaitForMessages(10)) << message_bytes;
    worker_->Finish();
    ASSERT_TRUE(loop_.StepUntil([&] { return done_ > 0; })) << message_bytes;
    EXPECT_THAT(tally_.errors(), IsEmpty()) << first_error();
    done_ = 0;
  }
}

TEST_F(LoadWorkerTest, LatencyIsFromSendingToTheLastByte) {
  options_.connections = 1;
  options_.message_bytes = 10;
  std::string held;
  TcpConnection* connection = nullptr;
  StartServer({.on_data = [&](TcpConnection& conn, Buffer& input) {
    connection = &conn;
    held += input.ReadString(input.size());
  }});
  StartWorker();
  ASSERT_TRUE(WaitUntilOpened());
  Measure();
  ASSERT_TRUE(loop_.StepUntil([&] { return held.size() == 10; }));
  connection->Send(held.substr(0, 9));
  loop_.Advance(absl::Milliseconds(200));
  loop_.Steps(3);
  EXPECT_EQ(tally_.messages(), 0);
  loop_.clock().Advance(absl::Milliseconds(50));
  connection->Send(held.substr(9));
  ASSERT_TRUE(WaitForMessages(1));
  EXPECT_EQ(tally_.latency().max(), absl::Milliseconds(250));
}

TEST_F(LoadWorkerTest, AWrongByteIsFoundAndEndsTheConnection) {
  StartServer({.on_data = [](TcpConnection& conn, Buffer& input) {
    if (input.size() > 40) input.data()[40] ^= 0x20;
    conn.Send(std::move(input));
  }});
  ASSERT_TRUE(StartLoad());
  ASSERT_TRUE(WaitUntilDone()) << "nothing is left to wait for";
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("wrong_bytes", kConnections)));
  EXPECT_THAT(first_error(),
              HasSubstr("byte 40 of what came back, which is byte 40 of message 0, is 0x"));
  EXPECT_THAT(first_error(), HasSubstr(options_.addresses[0].ToString()));
}

TEST_F(LoadWorkerTest, AByteThatCameTwiceIsFound) {
  StartServer({.on_data = [](TcpConnection& conn, Buffer& input) {
    const std::string last(input.readable().substr(input.size() - 1));
    conn.Send(std::move(input));
    conn.Send(last);
  }});
  ASSERT_TRUE(StartLoad());
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("wrong_bytes", kConnections)));
}

TEST_F(LoadWorkerTest, AnothersBytesAreFound) {
  options_.connections = 2;
  TcpConnection* other[2] = {};
  int opened = 0;
  std::map<const TcpConnection*, int> number;
  StartServer({.on_open =
                   [&](TcpConnection& conn) {
                     number[&conn] = opened;
                     other[1 - opened++] = &conn;
                   },
               .on_data =
                   [&](TcpConnection& conn, Buffer& input) {
                     TcpConnection* to = other[number[&conn]];
                     if (to == nullptr) return input.Clear();
                     to->Send(input.readable());
                     input.Clear();
                   },
               .on_close = [&](TcpConnection& conn,
                               const absl::Status&) { other[1 - number[&conn]] = nullptr; }});
  ASSERT_TRUE(StartLoad());
  ASSERT_TRUE(loop_.StepUntil([&] { return tally_.live().errors.value() > 0; }));
  EXPECT_EQ(tally_.errors().begin()->first, "wrong_bytes") << first_error();
  server_.reset();  // Whose handlers use what is declared here.
}

TEST_F(LoadWorkerTest, BytesAfterTheLastOneAreWrong) {
  options_.connections = 1;
  StartServer({.on_data = Echo, .on_end_of_input = [](TcpConnection& conn, Buffer&) {
                 conn.Send("more");
                 conn.CloseAfterFlush();
               }});
  ASSERT_TRUE(StartLoad());
  worker_->Finish();
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("wrong_bytes", 1)));
  EXPECT_THAT(first_error(), HasSubstr("4 bytes more came back than were sent"));
}

TEST_F(LoadWorkerTest, AServerThatClosesEarlyIsAnErrorOfEachConnection) {
  StartServer({.on_open = [](TcpConnection& conn) { conn.CloseAfterFlush(); }});
  StartWorker();
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_EQ(connected_, kConnections);
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("closed", kConnections)));
  EXPECT_THAT(first_error(), EndsWith(": the server closed"));
}

TEST_F(LoadWorkerTest, AServerThatClosesInsteadOfAnsweringIsToldFromThat) {
  StartServer({.on_data = [](TcpConnection& conn, Buffer& input) {
    input.Clear();
    conn.CloseAfterFlush();
  }});
  ASSERT_TRUE(StartLoad());
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("closed", kConnections)));
  EXPECT_THAT(first_error(), HasSubstr("the server closed while 64 bytes were to come back"));
}

TEST_F(LoadWorkerTest, AServerThatResetsIsAnErrorOfEachConnection) {
  StartServer({.on_data = [](TcpConnection& conn, Buffer& input) {
    input.Clear();
    conn.Abort(absl::AbortedError("the test says so"));
  }});
  ASSERT_TRUE(StartLoad());
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("broken", kConnections)));
}

TEST_F(LoadWorkerTest, AServerThatNeverAnswersIsTimedOut) {
  StartServer({});
  StartWorker();
  ASSERT_TRUE(WaitUntilOpened());
  Measure();
  loop_.Advance(absl::Seconds(1));
  loop_.Steps(10);
  EXPECT_EQ(done_, 0);
  loop_.Advance(options_.grace);
  EXPECT_EQ(done_, 1);
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("timeout", kConnections)));
  EXPECT_THAT(first_error(), HasSubstr("64 bytes have not come back"));
  EXPECT_EQ(tally_.live().connections.value(), 0);
}

TEST_F(LoadWorkerTest, AServerThatDoesNotCloseIsTimedOut) {
  StartServer({.on_data = Echo, .on_end_of_input = [](TcpConnection&, Buffer&) {}});
  StartWorker();
  ASSERT_TRUE(WaitUntilOpened());
  worker_->Finish();
  loop_.Steps(50);
  EXPECT_EQ(done_, 0);
  loop_.Advance(options_.grace);
  EXPECT_EQ(done_, 1);
  EXPECT_EQ(tally_.errors().begin()->first, "timeout");
}

TEST_F(LoadWorkerTest, WhereNobodyListensEachConnectionFails) {
  Socket bound = Socket::CreateFor(SocketAddress::Loopback(0)).value();
  ASSERT_TRUE(bound.Bind(SocketAddress::Loopback(0)).ok());
  options_.addresses = {bound.LocalAddress().value()};
  StartWorker();
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_EQ(connected_, 0);
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("connect", kConnections)));
  EXPECT_THAT(first_error(), HasSubstr("Connection refused"));
}

// Those not yet tried would wait as long, one batch after the other.
TEST_F(LoadWorkerTest, OnceConnectingTimesOutTheRestIsNotTried) {
  Socket listener = Socket::CreateFor(SocketAddress::Loopback(0)).value();
  ASSERT_TRUE(listener.Bind(SocketAddress::Loopback(0)).ok());
  ASSERT_TRUE(listener.Listen(0).ok());
  options_.addresses = {listener.LocalAddress().value()};
  StartWorker(/*pending_max=*/4);
  // The kernel completes what fits the backlog; the others hear nothing.
  loop_.Steps(50);
  loop_.Advance(options_.connect_timeout);
  ASSERT_TRUE(WaitUntilOpened());
  EXPECT_LT(connected_, 4);
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("timeout", kConnections - connected_)));
  worker_->Finish();
  loop_.Advance(options_.grace);
  EXPECT_EQ(done_, 1);
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("timeout", kConnections)));
}

TEST_F(LoadWorkerTest, FewPendingConnectionsAreEnoughForMany) {
  options_.connections = 300;
  StartEchoServer();
  StartWorker(/*pending_max=*/1);
  ASSERT_TRUE(WaitUntilOpened());
  EXPECT_EQ(connected_, 300);
  worker_->Finish();
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_THAT(tally_.errors(), IsEmpty());
}

TEST_F(LoadWorkerTest, AFullUnixQueueIsTriedAgain) {
  std::string folder = "/tmp/load_worker_test.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  server_ = TcpServer::Start(*loop_, nullptr,
                             {.addresses = {SocketAddress::Unix(folder + "/socket")},
                              .handler = FunctionHandlers({.on_data = Echo}),
                              .listen = {.backlog = 1}})
                .value();
  options_.addresses = server_->addresses();
  StartWorker();
  while (connected_ < 0) {
    ASSERT_THAT(tally_.errors(), IsEmpty()) << first_error();
    loop_.Steps(20);
    loop_.Advance(absl::Milliseconds(100));
  }
  EXPECT_EQ(connected_, kConnections);
  worker_->Finish();
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_THAT(tally_.errors(), IsEmpty()) << first_error();
  server_.reset();
  rmdir(folder.c_str());
}

TEST_F(LoadWorkerTest, ChurnConnectsOverAndOver) {
  options_.mode = LoadMode::kChurn;
  options_.pipeline = 5;  // Not for churn.
  StartEchoServer();
  StartWorker();
  ASSERT_TRUE(WaitUntilOpened());
  Measure();
  ASSERT_TRUE(WaitForMessages(10 * kConnections));
  loop_.Advance(absl::Seconds(1));
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_THAT(tally_.errors(), IsEmpty()) << first_error();
  const TcpServer::Stats stats = server_->stats();
  EXPECT_GE(stats.accepted, 10 * kConnections);
  EXPECT_EQ(tally_.live().messages.value(), static_cast<uint64_t>(stats.bytes_read / 64));
  EXPECT_GE(stats.accepted, stats.bytes_read / 64) << "one message a connection";
  EXPECT_EQ(stats.closed_on_error, 0);
}

TEST_F(LoadWorkerTest, ChurnTriesAgainAfterAnErrorButNotAtOnce) {
  options_.mode = LoadMode::kChurn;
  options_.connections = 1;
  bool works = true;
  StartServer({.on_data = [&](TcpConnection& conn, Buffer& input) {
    if (!works) conn.Abort(absl::AbortedError("the test says so"));
    conn.Send(std::move(input));
  }});
  StartWorker();
  ASSERT_TRUE(WaitForMessages(3));
  works = false;
  ASSERT_TRUE(loop_.StepUntil([&] { return tally_.live().errors.value() == 1; }));
  const int64_t accepted = server_->stats().accepted;
  loop_.Steps(20);
  EXPECT_EQ(server_->stats().accepted, accepted);
  works = true;
  loop_.Advance(absl::Milliseconds(100));
  ASSERT_TRUE(WaitForMessages(3));
  worker_->Finish();
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("broken", 1)));
}

TEST_F(LoadWorkerTest, IdleConnectionsAreHeldAndMayBeGreeted) {
  options_.mode = LoadMode::kIdle;
  StartServer({.on_open = [](TcpConnection& conn) { conn.Send("* welcome\n"); }});
  StartWorker();
  ASSERT_TRUE(WaitUntilOpened());
  Measure();
  loop_.Steps(20);
  EXPECT_EQ(tally_.live().connections.value(), kConnections);
  EXPECT_EQ(server_->stats().open, kConnections);
  EXPECT_EQ(server_->stats().bytes_read, 0);
  loop_.Advance(absl::Seconds(1));
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_THAT(tally_.errors(), IsEmpty());
  EXPECT_EQ(tally_.latency().count(), kConnections);
  ASSERT_TRUE(loop_.StepUntil([&] { return server_->stats().open == 0; }));
}

TEST_F(LoadWorkerTest, AnIdleConnectionThatIsClosedIsAnError) {
  options_.mode = LoadMode::kIdle;
  std::vector<TcpConnection*> open;
  StartServer({.on_open = [&](TcpConnection& conn) { open.push_back(&conn); }});
  StartWorker();
  ASSERT_TRUE(WaitUntilOpened());
  ASSERT_TRUE(loop_.StepUntil([&] { return open.size() == kConnections; }));
  open[3]->CloseAfterFlush();
  ASSERT_TRUE(loop_.StepUntil([&] { return tally_.live().errors.value() > 0; }));
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("closed", 1)));
  EXPECT_EQ(tally_.live().connections.value(), kConnections - 1);
}

TEST_F(LoadWorkerTest, ConnectionsAreSpreadOverTheAddresses) {
  StartEchoServer();
  const std::vector<SocketAddress> first = options_.addresses;
  std::unique_ptr<TcpServer> other =
      TcpServer::Start(*loop_, nullptr,
                       {.addresses = {SocketAddress::Loopback(0)},
                        .handler = FunctionHandlers({.on_data = Echo})})
          .value();
  options_.addresses.push_back(other->addresses()[0]);
  StartWorker();
  ASSERT_TRUE(WaitUntilOpened());
  worker_->Finish();
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_EQ(server_->stats().accepted, kConnections / 2);
  EXPECT_EQ(other->stats().accepted, kConnections / 2);
}

TEST_F(LoadWorkerTest, AWorkerHasItsShareOfTheConnections) {
  StartEchoServer();
  options_.connections = 10;
  worker_ = &loop_->Keep(std::make_unique<LoadWorker>(
      *loop_, LoadSession::Plan{options_, pattern_, tally_},
      LoadWorker::Share{.first = 2, .step = 3},
      LoadWorker::Listeners{.on_opened = [this](int connected) { connected_ = connected; },
                            .on_done = [this] { ++done_; }}));
  worker_->Start();
  ASSERT_TRUE(WaitUntilOpened());
  EXPECT_EQ(connected_, 3);  // 2, 5 and 8.
}

// The loop may go at any time: here with open connections.
TEST_F(LoadWorkerTest, DestroyedWhileItRunsItTellsNobody) {
  StartEchoServer();
  ASSERT_TRUE(StartLoad());
  server_.reset();
  loop_.Destroy();
  EXPECT_EQ(done_, 0);
  EXPECT_THAT(tally_.errors(), IsEmpty());
}

}  // namespace
}  // namespace millrace
