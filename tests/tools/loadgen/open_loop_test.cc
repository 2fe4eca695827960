// SPDX-License-Identifier: Apache-2.0
//
// A worker with a rate, and a server that may stall, stepped by hand in one loop whose time is the
// test's: so each message's latency is known to the nanosecond.

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
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "tests/support/test_loop.h"
#include "tools/loadgen/load_options.h"
#include "tools/loadgen/load_session.h"
#include "tools/loadgen/load_tally.h"
#include "tools/loadgen/load_worker.h"
#include "tools/loadgen/pattern.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr size_t kMessageBytes = 64;

class OpenLoopTest : public testing::Test {
 protected:
  OpenLoopTest() {
    server_ =
        TcpServer::Start(*loop_, nullptr,
                         {.addresses = {SocketAddress::Loopback(0)},
                          .handler = FunctionHandlers(
                              {.on_open = [this](TcpConnection& conn) { open_.push_back(&conn); },
                               .on_data =
                                   [this](TcpConnection& conn, Buffer& input) {
                                     received_[&conn] += input.size();
                                     held_[&conn] += input.ReadString(input.size());
                                     if (answers_) Answer();
                                   }})})
            .value();
    options_.addresses = server_->addresses();
  }
  ~OpenLoopTest() override { server_.reset(); }  // Whose handlers use what is below.

  // The server sends back all that it holds.
  void Answer() {
    for (auto& [conn, bytes] : held_) conn->Send(std::exchange(bytes, ""));
  }
  void Resume() {
    answers_ = true;
    Answer();
  }

  // Connects, and begins now: a second is measured, after the warmup.
  void Begin(LoadWorker::Share share = {}) {
    worker_ = &loop_->Keep(std::make_unique<LoadWorker>(
        *loop_, LoadSession::Plan{options_, pattern_, tally_}, share,
        LoadWorker::Listeners{.on_opened = [this](int connected) { connected_ = connected; },
                              .on_done = [this] { ++done_; }}));
    worker_->Start();
    ASSERT_TRUE(loop_.StepUntil(
        [&] { return connected_ >= 0 && open_.size() == static_cast<size_t>(connected_); }));
    begin_ = loop_.clock().Now();
    worker_->Measure(begin_ + options_.warmup, begin_ + options_.warmup + absl::Seconds(1));
    if (options_.rate > 0) worker_->Pace(begin_);
  }
  size_t received() const {
    size_t bytes = 0;
    for (const auto& [conn, count] : received_) bytes += count;
    return bytes / kMessageBytes;
  }
  // Just so many messages reach the server, and no more.
  void ExpectReceived(size_t messages) {
    EXPECT_TRUE(loop_.StepUntil([&] { return received() >= messages; })) << received();
    loop_.Steps(20);
    EXPECT_EQ(received(), messages);
  }
  bool WaitForMessages(uint64_t messages) {
    return loop_.StepUntil([&] { return tally_.live().messages.value() >= messages; });
  }
  bool WaitUntilDone() {
    return loop_.StepUntil([&] { return done_ > 0; });
  }

  LoadOptions options_ = {.connections = 1,
                          .message_bytes = kMessageBytes,
                          .rate = 1000,
                          .warmup = absl::ZeroDuration()};
  const Pattern pattern_;
  LoadTally tally_;
  bool answers_ = true;
  std::vector<TcpConnection*> open_;
  std::map<TcpConnection*, std::string> held_;
  std::map<TcpConnection*, size_t> received_;
  int connected_ = -1;
  int done_ = 0;
  MonotonicTime begin_;
  TestLoop loop_;
  std::unique_ptr<TcpServer> server_;
  LoadWorker* worker_ = nullptr;  // Its loop keeps it.
};

TEST_F(OpenLoopTest, EachMessageGoesWhenItIsDueAndNotBefore) {
  Begin();
  ExpectReceived(1);
  loop_.Advance(absl::Milliseconds(1) - absl::Nanoseconds(1));
  ExpectReceived(1);
  loop_.Advance(absl::Nanoseconds(1));
  ExpectReceived(2);
  loop_.Advance(absl::Milliseconds(1));
  ExpectReceived(3);
  EXPECT_EQ(tally_.lateness().max(), absl::ZeroDuration());
}

TEST_F(OpenLoopTest, ConnectionsTakeTurns) {
  options_.connections = 4;
  Begin();
  for (int ms = 1; ms < 10; ++ms) {
    loop_.Advance(absl::Milliseconds(1));
    ExpectReceived(static_cast<size_t>(ms) + 1);
  }
  std::vector<size_t> each;
  for (const auto& [conn, bytes] : received_) each.push_back(bytes / kMessageBytes);
  EXPECT_THAT(each, testing::UnorderedElementsAre(3, 3, 2, 2));
}

// Of messages 0 to 10 those of connections 1 and 3: numbers 1, 3, 5, 7 and 9.
TEST_F(OpenLoopTest, AThreadSendsWhatItsOwnConnectionsAreToSend) {
  options_.connections = 4;
  Begin({.first = 1, .step = 2});
  ExpectReceived(0);
  loop_.Advance(absl::Milliseconds(1));
  ExpectReceived(1);
  loop_.Advance(absl::Milliseconds(9));
  ASSERT_TRUE(loop_.StepUntil([&] { return received() >= 5; }));
  ExpectReceived(5);
}

TEST_F(OpenLoopTest, AStallIsSeenByEveryMessageThatWasDueInIt) {
  answers_ = false;
  Begin();
  ExpectReceived(1);
  for (int i = 0; i < 100; ++i) loop_.Advance(absl::Milliseconds(1));
  ExpectReceived(1);  // The pipeline is full.
  Resume();
  ASSERT_TRUE(WaitForMessages(101));
  // 100 ms, 99 ms, ... 0 ms.
  EXPECT_EQ(tally_.latency().count(), 101);
  EXPECT_EQ(tally_.latency().max(), absl::Milliseconds(100));
  EXPECT_EQ(tally_.latency().min(), absl::ZeroDuration());
  EXPECT_NEAR(absl::ToDoubleMilliseconds(tally_.latency().Percentile(50)), 50, 0.05);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(tally_.latency().Percentile(90)), 90, 0.09);
  EXPECT_EQ(tally_.lateness().max(), absl::ZeroDuration()) << "that was not the client's fault";
}

// For 200 ms of a second: a fifth of all messages were due then.
TEST_F(OpenLoopTest, AStallOnceASecondIsInThePercentiles) {
  options_.pipeline = 1000;
  Begin();
  for (uint64_t ms = 1; ms < 1000; ++ms) {
    if (ms == 400) answers_ = false;
    if (ms == 600) Resume();
    loop_.Advance(absl::Milliseconds(1));
    ASSERT_TRUE(loop_.StepUntil([&] { return received() == ms + 1; }));
    ASSERT_TRUE(!answers_ || WaitForMessages(ms + 1));
  }
  EXPECT_EQ(tally_.latency().count(), 1000);
  EXPECT_EQ(tally_.latency().Percentile(50), absl::ZeroDuration());
  EXPECT_NEAR(absl::ToDoubleMilliseconds(tally_.latency().Percentile(99)), 190, 1.1);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(tally_.latency().Percentile(99.9)), 199, 1.1);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(tally_.latency().max()), 200, 1.1);
}

// The same server, asked by a client that waits for it: one message of 800 was slow.
TEST_F(OpenLoopTest, AClosedLoopHardlySeesAStall) {
  options_.rate = 0;
  answers_ = false;
  Begin();
  size_t messages = 0;
  for (int ms = 1; ms < 1000; ++ms) {
    ASSERT_TRUE(loop_.StepUntil([&] { return received() == messages + 1; }));
    loop_.Advance(absl::Milliseconds(1));
    if (ms >= 400 && ms < 600) continue;
    Answer();
    ASSERT_TRUE(WaitForMessages(++messages));
  }
  EXPECT_EQ(tally_.latency().count(), 799);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(tally_.latency().Percentile(99)), 1, 0.001);
  EXPECT_EQ(tally_.latency().max(), absl::Milliseconds(201));
}

TEST_F(OpenLoopTest, AfterAStallNoMessageIsMissing) {
  options_.connections = 3;
  options_.pipeline = 2;
  answers_ = false;
  Begin();
  for (int i = 0; i < 500; ++i) loop_.Advance(absl::Milliseconds(1));
  ExpectReceived(6);
  Resume();
  ASSERT_TRUE(WaitForMessages(501));
  ExpectReceived(501);
  loop_.Advance(absl::Milliseconds(1));
  ExpectReceived(502);
  EXPECT_EQ(tally_.latency().max(), absl::Milliseconds(500));
}

TEST_F(OpenLoopTest, AClientThatSleptIsToldFromAServerThatDid) {
  options_.pipeline = 100;
  Begin();
  ExpectReceived(1);
  loop_.Advance(absl::Milliseconds(5));
  ExpectReceived(6);
  EXPECT_EQ(tally_.lateness().count(), 6);
  EXPECT_EQ(tally_.lateness().max(), absl::Milliseconds(4));
  EXPECT_EQ(tally_.latency().max(), absl::Milliseconds(4)) << "it is in the latency, too";
}

TEST_F(OpenLoopTest, WhatIsDueBeforeTheWindowIsSentButNotMeasured) {
  options_.warmup = absl::Milliseconds(10);
  Begin();
  for (int i = 0; i < 12; ++i) {
    loop_.Advance(absl::Milliseconds(1));
    ASSERT_TRUE(WaitForMessages(static_cast<uint64_t>(i) + 2));
  }
  EXPECT_EQ(tally_.latency().count(), 3);
  EXPECT_EQ(tally_.messages(), 3);
  EXPECT_EQ(tally_.sent(), 3);
}

TEST_F(OpenLoopTest, WhatIsOverdueAtTheEndIsStillSent) {
  answers_ = false;
  Begin();
  ExpectReceived(1);
  loop_.Advance(absl::Seconds(2));
  ExpectReceived(1);
  Resume();
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_EQ(received(), 1000u) << "none was due after the end";
  EXPECT_EQ(tally_.latency().count(), 1000);
  EXPECT_EQ(tally_.latency().max(), absl::Seconds(2));
  EXPECT_EQ(tally_.messages(), 0) << "none came back in time";
  EXPECT_EQ(tally_.unsent(), 0);
  EXPECT_THAT(tally_.errors(), IsEmpty());
}

TEST_F(OpenLoopTest, WhatCannotBeSentCountsWithTheTimeItWaited) {
  answers_ = false;
  Begin();
  ExpectReceived(1);
  loop_.Advance(absl::Seconds(1));
  loop_.Advance(options_.grace);
  EXPECT_EQ(tally_.unsent(), 999);
  Resume();
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_EQ(received(), 1u) << "the others were given up";
  EXPECT_THAT(tally_.errors(), IsEmpty()) << "a slow server is no wrong one";
  EXPECT_EQ(tally_.latency().count(), 1000);
  // They were due in the second before.
  EXPECT_NEAR(absl::ToDoubleSeconds(tally_.latency().Percentile(50)),
              absl::ToDoubleSeconds(options_.grace) + 0.5, 0.01);
}

TEST_F(OpenLoopTest, AServerThatNeverAnswersIsTimedOut) {
  answers_ = false;
  Begin();
  ExpectReceived(1);
  loop_.Advance(absl::Seconds(1));
  loop_.Advance(options_.grace);
  EXPECT_EQ(done_, 0);
  loop_.Advance(options_.grace);
  EXPECT_EQ(done_, 1);
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("timeout", 1)));
}

TEST_F(OpenLoopTest, OneConnectionLessLeavesTheOthersTheirTimes) {
  options_.connections = 2;
  Begin();
  ExpectReceived(1);
  open_[0]->Abort(absl::AbortedError("the test says so"));
  held_.erase(open_[0]);
  ASSERT_TRUE(loop_.StepUntil([&] { return tally_.live().errors.value() == 1; }));
  const size_t before = received();
  for (int i = 0; i < 10; ++i) {
    loop_.Advance(absl::Milliseconds(1));
    loop_.Steps(5);
  }
  ExpectReceived(before + 5);
  loop_.Advance(absl::Seconds(1));
  ASSERT_TRUE(WaitUntilDone());
  EXPECT_THAT(tally_.errors(), ElementsAre(Pair("broken", 1)));
}

// The loop may go at any time.
TEST_F(OpenLoopTest, DestroyedWhileItRunsItTellsNobody) {
  Begin();
  ExpectReceived(1);
  server_.reset();
  loop_.Destroy();
  EXPECT_EQ(done_, 0);
}

}  // namespace
}  // namespace millrace
