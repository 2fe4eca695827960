// SPDX-License-Identifier: Apache-2.0
//
// What rate limits make of a connection, to the byte and the millisecond.
#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/ref.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "net/close_reason.h"
#include "net/limits.h"
#include "net/rate_limit.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kMillisecond = absl::Milliseconds(1);
// A thousand bytes at once, and then a thousand each second.
constexpr RateLimit kThousand = {.bytes_per_second = 1000, .burst_bytes = 1000};

class TcpConnectionOverloadTest : public ConnectionTest {
 protected:
  size_t read() const { return log_.received.size(); }
  // What has come to the peer since it was asked last.
  size_t Came(Peer& peer) {
    Settle();
    return peer.ReceiveSome().size();
  }
  // Nothing goes for a millisecond less than that, and then `n` bytes are read.
  void ExpectReadAfter(absl::Duration time, size_t n) {
    const size_t before = read();
    Pass(time - kMillisecond);
    EXPECT_EQ(read(), before);
    Pass(kMillisecond);
    EXPECT_EQ(read(), before + n);
  }
  void Pass(absl::Duration time) {
    loop_.Advance(time);
    Settle();
  }
};

TEST_F(TcpConnectionOverloadTest, ReadsItsBurstAndThenAtItsRate) {
  limits_.rate.read = kThousand;
  Peer peer = Open();
  const std::string bytes = Pattern(5000);
  peer.Send(bytes);
  Settle();
  EXPECT_EQ(read(), 1000u);
  for (int i = 0; i < 40; ++i) ExpectReadAfter(kRateQuantumTimeMax, 100);
  EXPECT_EQ(log_.received, bytes);
}

TEST_F(TcpConnectionOverloadTest, WritesItsBurstAndThenAtItsRate) {
  limits_.rate.write = kThousand;
  Peer peer = Open();
  conn().Send(Pattern(1150));
  EXPECT_EQ(Came(peer), 1000u);
  Pass(kRateQuantumTimeMax - kMillisecond);
  EXPECT_EQ(Came(peer), 0u);
  Pass(kMillisecond);
  EXPECT_EQ(Came(peer), 100u);
  Pass(absl::Milliseconds(50));
  EXPECT_EQ(Came(peer), 50u) << "what is left waits only for as much as it is";
}

TEST_F(TcpConnectionOverloadTest, AnEchoIsWholeInBothDirections) {
  limits_.rate = {.read = {.bytes_per_second = 1500, .burst_bytes = 1500}, .write = kThousand};
  log_.on_data = [](TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); };
  Peer peer = Open();
  const std::string bytes = Pattern(20'000);
  peer.Send(bytes);
  std::string back;
  for (size_t allowed = 1000; allowed <= 21'000; allowed += 1000) {
    Settle();
    back += peer.ReceiveSome();
    EXPECT_LE(back.size(), allowed);
    EXPECT_GE(back.size() + 1000, std::min(allowed, bytes.size()));
    loop_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(back, bytes);
}

TEST_F(TcpConnectionOverloadTest, WaitingIsNotIdle) {
  limits_.rate = {.read = {.bytes_per_second = 10, .burst_bytes = 1000}};
  limits_.idle_timeout = limits_.read_timeout = absl::Seconds(20);
  Peer peer = Open();
  peer.Send(Pattern(2000));
  Settle();
  for (int i = 0; i < 10; ++i) Pass(absl::Seconds(10));
  ASSERT_EQ(read(), 2000u);
  Pass(absl::Seconds(19));
  ASSERT_FALSE(log_.closed());
  Pass(absl::Seconds(1));
  EXPECT_EQ(log_.reasons[0].cause, CloseCause::kReadTimeout) << "then it is the peer's turn";
}

TEST_F(TcpConnectionOverloadTest, WaitingToWriteIsNotIdleNeither) {
  limits_.rate = {.write = {.bytes_per_second = 10, .burst_bytes = 1000}};
  limits_.idle_timeout = limits_.write_timeout = absl::Seconds(20);
  Peer peer = Open();
  conn().Send(Pattern(2000));
  EXPECT_EQ(Came(peer), 1000u);
  Pass(absl::Seconds(100));
  EXPECT_EQ(Came(peer), 1000u);
  Pass(absl::Seconds(20));
  EXPECT_EQ(log_.reasons[0].cause, CloseCause::kIdleTimeout);
}

TEST_F(TcpConnectionOverloadTest, APeerThatTakesNothingStillRunsIntoTheWriteTimeout) {
  limits_.rate = {.write = {.bytes_per_second = 1e9}};
  limits_.write_timeout = absl::Seconds(20);
  Peer peer = OpenNarrow();
  conn().Send(Pattern(50'000));
  Settle();
  Pass(absl::Seconds(20));
  EXPECT_EQ(log_.reasons[0].cause, CloseCause::kWriteTimeout);
}

TEST_F(TcpConnectionOverloadTest, ASlowMessageIsNotThePeersFaultWhileWeWait) {
  limits_.rate.read = {.bytes_per_second = 10, .burst_bytes = 1000};
  limits_.progress = {.message_timeout = absl::Seconds(30)};
  log_.on_data = [](TcpConnection&, Buffer& input) {
    if (input.size() == 3000) input.Clear();
  };
  Peer peer = Open();
  peer.Send(Pattern(3000));
  Settle();
  Pass(absl::Seconds(100));
  Pass(absl::Seconds(100));
  EXPECT_EQ(read(), 3000u);
  EXPECT_FALSE(log_.closed());
}

TEST_F(TcpConnectionOverloadTest, LimitsThatAreLiftedLetEverythingGo) {
  limits_.rate = {.read = kThousand, .write = kThousand};
  Peer peer = Open();
  peer.Send(Pattern(5000));
  conn().Send(Pattern(5000));
  EXPECT_EQ(Came(peer), 1000u);
  EXPECT_EQ(read(), 1000u);
  EXPECT_TRUE(conn().SetRateLimits({}).ok());
  EXPECT_EQ(Came(peer), 4000u);
  EXPECT_EQ(read(), 5000u);
  conn().Send("x");
  EXPECT_EQ(Came(peer), 1u);
}

TEST_F(TcpConnectionOverloadTest, OthersTakeTheirPlaceInMidFlight) {
  limits_.rate.read = kThousand;
  Peer peer = Open();
  peer.Send(Pattern(5000));
  Settle();
  Pass(absl::Milliseconds(300));
  EXPECT_TRUE(conn().SetRateLimits({.read = {.bytes_per_second = 100, .burst_bytes = 500}}).ok());
  Settle();
  EXPECT_EQ(read(), 1300u + 500u) << "a burst of its own";
  ExpectReadAfter(kRateQuantumTimeMax, 10);
}

TEST_F(TcpConnectionOverloadTest, AHandlerMaySlowItsPeerDown) {
  log_.on_data = [](TcpConnection& conn, Buffer& input) {
    conn.Send(std::move(input));
    EXPECT_TRUE(conn.SetRateLimits({.write = kThousand}).ok());
  };
  Peer peer = Open();
  peer.Send(Pattern(1500));
  EXPECT_EQ(Came(peer), 1000u) << "what was lent goes at the new rate, too";
  Pass(absl::Milliseconds(500));
  EXPECT_EQ(Came(peer), 500u);
}

TEST_F(TcpConnectionOverloadTest, ABadRateChangesNothing) {
  limits_.rate.read = kThousand;
  Peer peer = Open();
  const absl::Status status = conn().SetRateLimits({.write = {.bytes_per_second = -1}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("write.bytes_per_second"));
  peer.Send(Pattern(1500));
  Settle();
  EXPECT_EQ(read(), 1000u);
}

TEST_F(TcpConnectionOverloadTest, WhatIsLeftToSayGoesAtItsRateAndThenItEnds) {
  limits_.rate.write = kThousand;
  Peer peer = Open();
  conn().Send(Pattern(2000));
  conn().CloseAfterFlush();
  EXPECT_EQ(Came(peer), 1000u);
  EXPECT_FALSE(peer.ended());
  Pass(absl::Seconds(1));
  EXPECT_EQ(ReceiveAll(peer).size(), 1000u);
  EXPECT_TRUE(peer.ended());
}

TEST_F(TcpConnectionOverloadTest, WhatIsDroppedAfterGoodbyeNeedNotWait) {
  limits_.rate.read = kThousand;
  Peer peer = Open();
  peer.Send(Pattern(5000));
  Settle();
  conn().CloseAfterFlush();
  Settle();
  peer.CloseWrite();
  ASSERT_TRUE(StepUntilClosed()) << "without time that passes";
  EXPECT_EQ(read(), 1000u);
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.ended());
}

TEST_F(TcpConnectionOverloadTest, AResetWhileItWaitsIsNoticedAfter) {
  limits_.rate.read = kThousand;
  Peer peer = Open();
  peer.Send(Pattern(5000));
  Settle();
  peer.Reset();
  Settle();
  EXPECT_FALSE(log_.closed());
  for (int i = 0; i < 5; ++i) Pass(absl::Seconds(1));  // What came before it is read before it.
  ASSERT_TRUE(log_.closed());
  EXPECT_EQ(log_.reasons[0].cause, CloseCause::kPeerReset);
}

TEST_F(TcpConnectionOverloadTest, APauseOfTheHandlerOutlastsTheWait) {
  limits_.rate.read = kThousand;
  Peer peer = Open();
  peer.Send(Pattern(3000));
  Settle();
  conn().PauseReading();
  Pass(absl::Seconds(5));
  EXPECT_EQ(read(), 1000u);
  conn().ResumeReading();
  Settle();
  EXPECT_EQ(read(), 2000u);
}

TEST_F(TcpConnectionOverloadTest, InADrainWhoWaitsIsBusy) {
  limits_.rate.read = {.bytes_per_second = 100, .burst_bytes = 1000};
  Peer peer = Open();
  peer.Send(Pattern(2000));
  Settle();
  table().TellDrain(absl::Seconds(1));
  Pass(absl::Seconds(9));
  EXPECT_FALSE(peer.ended());
  Pass(absl::Seconds(1));
  EXPECT_EQ(read(), 2000u);
  Pass(absl::Seconds(1));
  Pass(absl::Seconds(1));
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.ended());
}

TEST_F(TcpConnectionOverloadTest, InAGroupTwoShareARate) {
  limits_.rate_group = RateLimitGroup::Create({.read = kThousand}).value();
  Peer peer = Open(), neighbour = OpenNeighbour();
  peer.Send(Pattern(10'000));
  neighbour.Send(Pattern(10'000));
  Settle();
  const auto all = [&] { return read() + neighbour_log_.received.size(); };
  for (int i = 0; i < 100; ++i) Pass(kRateQuantumTimeMax);
  EXPECT_LE(all(), 11'000u);
  EXPECT_GE(all(), 10'900u) << "less by what one waits for";
  EXPECT_GE(read(), 5000u);
  EXPECT_GE(neighbour_log_.received.size(), 5000u);
}

TEST_F(TcpConnectionOverloadTest, WhoLeavesAGroupGivesItsPlaceBack) {
  limits_.rate_group = RateLimitGroup::Create({.read = kThousand}).value();
  Peer peer = Open();
  peer.Send(Pattern(10'000));
  Settle();  // It waits, for the next quantum.
  Peer neighbour = OpenNeighbour();
  conn().Abort(absl::CancelledError("enough"));
  Settle();
  neighbour.Send(Pattern(100));
  Pass(kRateQuantumTimeMax);
  EXPECT_EQ(neighbour_log_.received.size(), 100u);
}

TEST_F(TcpConnectionOverloadTest, ItIsCountedWhatItDidAndHowOftenItWaited) {
  limits_.rate = {.read = kThousand, .write = kThousand};
  Peer peer = Open();
  peer.Send(Pattern(3000));
  conn().Send(Pattern(1500));
  for (int i = 0; i < 3; ++i) Pass(absl::Seconds(1));
  EXPECT_EQ(counters_.limited.bytes_read.value(), 3000u);
  EXPECT_EQ(counters_.limited.bytes_written.value(), 1500u);
  EXPECT_EQ(counters_.limited.read_pauses.value(), 2u);
  EXPECT_EQ(counters_.limited.write_pauses.value(), 1u);
}

TEST_F(TcpConnectionOverloadTest, AReportTellsWhatItWaitsFor) {
  limits_.rate = {.read = kThousand, .write = kThousand};
  limits_.flight_recorder = true;
  Peer peer = Open();
  peer.Send(Pattern(3000));
  conn().Send(Pattern(1500));
  Settle();
  EXPECT_THAT(conn().Report(), HasSubstr("reading waits for its rate, writing waits for its rate"));
  EXPECT_THAT(conn().Report(), HasSubstr("writing waits for its rate, waiting 500"));
}

}  // namespace
}  // namespace millrace
