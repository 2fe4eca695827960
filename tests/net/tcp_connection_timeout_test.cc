// SPDX-License-Identifier: Apache-2.0
//
// When a connection loses patience, to the millisecond.
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::Duration kMillisecond = absl::Milliseconds(1);

class TcpConnectionTimeoutTest : public ConnectionTest {
 protected:
  TcpConnectionTimeoutTest() { limits_.idle_timeout = absl::InfiniteDuration(); }

  // It ends with DeadlineExceeded after `time`, and not a millisecond earlier.
  void ExpectEndAfter(absl::Duration time, absl::string_view reason) {
    ASSERT_FALSE(log_.closed());
    loop_.Advance(time - kMillisecond);
    Settle();
    ASSERT_FALSE(log_.closed()) << log_.closes[0];
    loop_.Advance(kMillisecond);
    ASSERT_TRUE(log_.closed());
    EXPECT_EQ(log_.closes[0].code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_THAT(log_.closes[0].message(), HasSubstr(reason));
    EXPECT_EQ(log_.closes.size(), 1u);
  }
  void ExpectOpenAfter(absl::Duration time) {
    loop_.Advance(time);
    Settle();
    EXPECT_FALSE(log_.closed()) << log_.closes[0];
  }
  // Has the peer send a byte, and the connection read it.
  void SendByte(Peer& peer) {
    const size_t before = log_.received.size();
    peer.Send("x");
    ASSERT_TRUE(StepUntil([&] { return log_.received.size() == before + 1; }));
  }
};

// Idle.

TEST_F(TcpConnectionTimeoutTest, IdleItEndsOnTheMillisecond) {
  limits_.idle_timeout = absl::Seconds(60);
  Peer peer = Open();
  ExpectEndAfter(absl::Seconds(60), "idle for 1m");
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.ended()) << "in good order, as nothing was dropped";
}

TEST_F(TcpConnectionTimeoutTest, InputPutsIdlenessOff) {
  limits_.idle_timeout = absl::Seconds(60);
  Peer peer = Open();
  ExpectOpenAfter(absl::Seconds(59));
  SendByte(peer);
  ExpectEndAfter(absl::Seconds(60), "idle");
}

TEST_F(TcpConnectionTimeoutTest, OutputPutsIdlenessOff) {
  limits_.idle_timeout = absl::Seconds(60);
  Peer peer = Open();
  ExpectOpenAfter(absl::Seconds(59));
  conn().Send("x");
  Settle();
  ExpectEndAfter(absl::Seconds(60), "idle");
}

TEST_F(TcpConnectionTimeoutTest, OutputThatNobodyTakesDoesNot) {
  limits_.idle_timeout = absl::Seconds(60);
  limits_.write_timeout = absl::InfiniteDuration();
  Peer peer = OpenNarrow();
  conn().Send(std::string(50'000, 'x'));
  Settle();
  ExpectOpenAfter(absl::Seconds(59));
  conn().Send("more");
  ExpectEndAfter(absl::Seconds(1), "idle");
}

TEST_F(TcpConnectionTimeoutTest, APausedConnectionIsIdleToo) {
  limits_.idle_timeout = absl::Seconds(60);
  Peer peer = Open();
  conn().PauseReading();
  ExpectEndAfter(absl::Seconds(60), "idle");
}

TEST_F(TcpConnectionTimeoutTest, ADayOfMessagesTouchesNoTimer) {
  limits_.idle_timeout = absl::Hours(24);
  Peer peer = Open();
  const uint64_t fired = loop_->counters().timers_fired.value();
  const MonotonicTime next = loop_->timers().NextDeadline();
  for (int i = 0; i < 23; ++i) {
    loop_.clock().Advance(absl::Hours(1));
    SendByte(peer);
  }
  EXPECT_EQ(loop_->counters().timers_fired.value(), fired);
  EXPECT_EQ(loop_->timers().NextDeadline(), next);
  ExpectOpenAfter(absl::Hours(1));
  EXPECT_EQ(loop_->counters().timers_fired.value(), fired + 1) << "only to find out";
  ExpectEndAfter(absl::Hours(23), "idle for 24h");
}

TEST_F(TcpConnectionTimeoutTest, EveryLimitCanBeOff) {
  limits_.write_timeout = absl::InfiniteDuration();
  Peer peer = OpenNarrow();
  conn().Send(std::string(50'000, 'x'));
  Settle();
  ExpectOpenAfter(absl::Hours(24 * 365));
  EXPECT_EQ(Receive(peer, 50'000).size(), 50'000u);
  EXPECT_EQ(loop_->timers().NextDeadline(), MonotonicTime::InfiniteFuture());
}

TEST_F(TcpConnectionTimeoutTest, WhatPassesFortyNineDaysIsOff) {
  limits_.idle_timeout = absl::Hours(24 * 50);
  Peer peer = Open();
  ExpectOpenAfter(absl::Hours(24 * 51));
}

TEST_F(TcpConnectionTimeoutTest, PartsOfAMillisecondAreRoundedUp) {
  limits_.idle_timeout = absl::Microseconds(1'001);
  Peer peer = Open();
  ExpectEndAfter(absl::Milliseconds(2), "idle for 2ms");
}

// Reading.

TEST_F(TcpConnectionTimeoutTest, ASilentPeerEndsIt) {
  limits_.read_timeout = absl::Seconds(10);
  Peer peer = Open();
  ExpectOpenAfter(absl::Seconds(9));
  SendByte(peer);
  ExpectOpenAfter(absl::Seconds(9));
  conn().Send("that we write is no input");
  Settle();
  ExpectEndAfter(absl::Seconds(1), "no input for 10s");
}

TEST_F(TcpConnectionTimeoutTest, WhilePausedSilenceDoesNotCount) {
  limits_.read_timeout = absl::Seconds(10);
  Peer peer = Open();
  conn().PauseReading();
  ExpectOpenAfter(absl::Minutes(5));
  conn().ResumeReading();
  ExpectEndAfter(absl::Seconds(10), "no input");
}

TEST_F(TcpConnectionTimeoutTest, WhileOutputHoldsReadingBackSilenceDoesNotCount) {
  limits_.read_timeout = absl::Seconds(10);
  limits_.output_bytes_low = 10'000;
  limits_.output_bytes_high = 20'000;
  Peer peer = OpenNarrow();
  conn().Send(std::string(60'000, 'x'));
  Settle();
  for (int i = 0; i < 4; ++i) ExpectOpenAfter(absl::Seconds(9));
  EXPECT_EQ(Receive(peer, 60'000).size(), 60'000u);
  ExpectEndAfter(absl::Seconds(10), "no input");
}

TEST_F(TcpConnectionTimeoutTest, AfterThePeersEndSilenceDoesNotCount) {
  limits_.read_timeout = absl::Seconds(10);
  log_.on_end = [](TcpConnection&, Buffer&) {};
  Peer peer = Open();
  peer.CloseWrite();
  ASSERT_TRUE(StepUntil([&] { return log_.events.back() == "end"; }));
  ExpectOpenAfter(absl::Hours(1));
}

TEST_F(TcpConnectionTimeoutTest, WhileWeSayGoodbyeSilenceDoesNotCount) {
  limits_.read_timeout = absl::Seconds(10);
  Peer peer = OpenNarrow();
  const std::string bytes = Pattern(50'000);
  conn().PauseReading();  // While it works out a long answer.
  ExpectOpenAfter(absl::Seconds(30));
  conn().Send(bytes);
  conn().CloseAfterFlush();
  Settle();
  ExpectOpenAfter(absl::Seconds(30));
  EXPECT_EQ(ReceiveAll(peer), bytes);
}

// Writing.

TEST_F(TcpConnectionTimeoutTest, APeerThatTakesNothingIsReset) {
  limits_.write_timeout = absl::Seconds(20);
  Peer peer = Open();
  limits_.output_bytes_max = 100'000'000;
  while (conn().output_bytes() == 0) {
    conn().Send(std::string(1'000'000, 'x'));
    Settle();
  }
  ExpectEndAfter(absl::Seconds(20), "the peer took no output for 20s");
  ReceiveAll(peer);
  EXPECT_TRUE(peer.was_reset());
}

TEST_F(TcpConnectionTimeoutTest, EveryByteTakenPutsItOff) {
  limits_.write_timeout = absl::Seconds(20);
  Peer peer = OpenNarrow();
  conn().Send(std::string(50'000, 'x'));
  Settle();
  for (int i = 0; i < 3; ++i) {
    ExpectOpenAfter(absl::Seconds(19));
    ASSERT_NE(peer.ReceiveSome(), "");
    Settle();
  }
  ASSERT_GT(conn().output_bytes(), 0u);
  ExpectEndAfter(absl::Seconds(20), "took no output");
}

TEST_F(TcpConnectionTimeoutTest, InputDoesNotPutItOff) {
  limits_.write_timeout = absl::Seconds(20);
  Peer peer = OpenNarrow();
  conn().Send(std::string(50'000, 'x'));
  Settle();
  ExpectOpenAfter(absl::Seconds(19));
  SendByte(peer);
  conn().Send("more");
  ExpectEndAfter(absl::Seconds(1), "took no output");
}

TEST_F(TcpConnectionTimeoutTest, ItHoldsWhileFlushingToo) {
  limits_.write_timeout = absl::Seconds(20);
  Peer peer = OpenNarrow();
  conn().Send(std::string(50'000, 'x'));
  conn().CloseAfterFlush();
  Settle();
  ExpectEndAfter(absl::Seconds(20), "took no output");
}

TEST_F(TcpConnectionTimeoutTest, WhenNothingWaitsItDoesNotCount) {
  limits_.write_timeout = absl::Seconds(20);
  Peer peer = Open();
  conn().Send("taken at once");
  Settle();
  ExpectOpenAfter(absl::Hours(1));
}

// Lingering.

TEST_F(TcpConnectionTimeoutTest, APeerThatDoesNotEndIsNotWaitedForForEver) {
  limits_.linger_timeout = absl::Seconds(5);
  Peer peer = Open();
  conn().CloseAfterFlush();
  Settle();
  ExpectEndAfter(absl::Seconds(5), "the peer kept its end open for 5s");
}

TEST_F(TcpConnectionTimeoutTest, WhatItSendsMeanwhileDoesNotPutItOff) {
  limits_.linger_timeout = absl::Seconds(5);
  Peer peer = Open();
  conn().CloseAfterFlush();
  Settle();
  ExpectOpenAfter(absl::Seconds(4));
  peer.Send("x");
  Settle();
  ExpectEndAfter(absl::Seconds(1), "kept its end open");
}

TEST_F(TcpConnectionTimeoutTest, LingeringBeginsWithTheLastGoodbye) {
  limits_.linger_timeout = absl::Seconds(5);
  Peer peer = Open();
  conn().CloseWrite();
  Settle();
  ExpectOpenAfter(absl::Minutes(1));
  conn().CloseAfterFlush();
  Settle();
  ExpectEndAfter(absl::Seconds(5), "kept its end open");
}

TEST_F(TcpConnectionTimeoutTest, AfterItTheKernelStillDeliversWhatItHolds) {
  Peer peer = Open();
  const std::string bytes = Pattern(500'000);
  conn().Send(bytes);
  conn().CloseAfterFlush();
  Settle();
  ASSERT_EQ(conn().output_bytes(), 0u);
  ExpectEndAfter(limits_.linger_timeout, "kept its end open");
  EXPECT_TRUE(peer.ReceiveAll() == bytes);
  EXPECT_TRUE(peer.ended()) << "a slow reader must not lose what we said we had flushed";
}

// Overrides.

TEST_F(TcpConnectionTimeoutTest, EachConnectionMayHaveItsOwn) {
  limits_.idle_timeout = absl::Hours(1);
  Peer peer = Open();
  Peer neighbour = OpenNeighbour();
  ExpectOpenAfter(absl::Minutes(10));
  conn().SetIdleTimeout(absl::Seconds(3));
  ExpectEndAfter(absl::Seconds(3), "idle for 3s");
  EXPECT_FALSE(neighbour_log_.closed());
}

TEST_F(TcpConnectionTimeoutTest, AnOverrideMayBeLonger) {
  limits_.idle_timeout = absl::Seconds(3);
  Peer peer = Open();
  conn().SetIdleTimeout(absl::Seconds(30));
  ExpectEndAfter(absl::Seconds(30), "idle for 30s");
}

TEST_F(TcpConnectionTimeoutTest, AnOverrideMayTurnItOff) {
  limits_.idle_timeout = absl::Seconds(3);
  Peer peer = Open();
  conn().SetIdleTimeout(absl::InfiniteDuration());
  ExpectOpenAfter(absl::Hours(1));
}

TEST_F(TcpConnectionTimeoutTest, ReadAndWriteTimeoutsCanBeSetLater) {
  Peer peer = OpenNarrow();
  ExpectOpenAfter(absl::Hours(1));
  conn().SetReadTimeout(absl::Seconds(8));
  conn().Send(std::string(50'000, 'x'));
  Settle();
  ExpectOpenAfter(absl::Seconds(2));
  conn().SetWriteTimeout(absl::Seconds(4));
  ExpectEndAfter(absl::Seconds(4), "took no output for 4s");
}

TEST_F(TcpConnectionTimeoutTest, SettingTheIdleTimeoutDoesNotPutTheWriteTimeoutOff) {
  limits_.write_timeout = absl::Seconds(20);
  Peer peer = OpenNarrow();
  conn().Send(std::string(50'000, 'x'));
  Settle();
  ExpectOpenAfter(absl::Seconds(19));
  conn().SetIdleTimeout(absl::Seconds(60));
  ExpectEndAfter(absl::Seconds(1), "took no output");
}

TEST_F(TcpConnectionTimeoutTest, SettingTheIdleTimeoutDoesNotPutTheReadTimeoutOff) {
  limits_.read_timeout = absl::Seconds(20);
  limits_.write_timeout = absl::Hours(1);
  Peer peer = OpenNarrow();
  conn().Send(std::string(20'000, 'x'));
  Settle();
  ExpectOpenAfter(absl::Seconds(19));
  conn().SetIdleTimeout(absl::Seconds(60));
  ExpectEndAfter(absl::Seconds(1), "no input for");
}

TEST_F(TcpConnectionTimeoutTest, SettingTheReadTimeoutDoesNotPutTheIdleTimeoutOff) {
  limits_.idle_timeout = absl::Seconds(20);
  Peer peer = Open();
  ExpectOpenAfter(absl::Seconds(19));
  conn().SetReadTimeout(absl::Seconds(60));
  ExpectEndAfter(absl::Seconds(1), "idle for");
}

TEST_F(TcpConnectionTimeoutTest, SettingTheWriteTimeoutDoesNotPutTheIdleTimeoutOff) {
  limits_.idle_timeout = absl::Seconds(20);
  Peer peer = Open();
  ExpectOpenAfter(absl::Seconds(19));
  conn().SetWriteTimeout(absl::Seconds(60));
  ExpectEndAfter(absl::Seconds(1), "idle for");
}

TEST_F(TcpConnectionTimeoutTest, SettingTheIdleTimeoutDoesNotPutTheEndOff) {
  limits_.linger_timeout = absl::Seconds(5);
  Peer peer = Open();
  conn().CloseAfterFlush();
  Settle();
  ExpectOpenAfter(absl::Seconds(4));
  conn().SetIdleTimeout(absl::Seconds(60));
  ExpectEndAfter(absl::Seconds(1), "the peer kept");
}

TEST_F(TcpConnectionTimeoutTest, WhileOutputWaitsIdlenessCanStillBeSet) {
  limits_.write_timeout = absl::Seconds(20);
  Peer peer = OpenNarrow();
  conn().Send(std::string(50'000, 'x'));
  Settle();
  ExpectOpenAfter(absl::Seconds(10));
  conn().SetIdleTimeout(absl::Seconds(5));
  ExpectEndAfter(absl::Seconds(5), "idle for 5s");
}

TEST_F(TcpConnectionTimeoutTest, ARequestsTimeoutIsSetAndLifted) {
  Peer peer = Open();
  conn().SetReadTimeout(absl::Seconds(8));
  SendByte(peer);
  conn().SetReadTimeout(absl::InfiniteDuration());
  ExpectOpenAfter(absl::Hours(1));
  conn().SetReadTimeout(absl::Seconds(8));
  ExpectEndAfter(absl::Seconds(8), "no input for 8s");
}

TEST_F(TcpConnectionTimeoutTest, WhatIsShorterThanATickIsATick) {
  Peer peer = Open();
  conn().SetIdleTimeout(absl::ZeroDuration());
  ExpectEndAfter(kMillisecond, "idle for 1ms");
}

TEST_F(TcpConnectionTimeoutTest, AnAbortIsNotSoftenedByATimeoutOfTheSameTurn) {
  limits_.idle_timeout = absl::Seconds(3);
  Peer peer = Open();
  loop_.clock().Advance(absl::Seconds(3));
  conn().Abort(absl::AbortedError("enough"));
  loop_.Step();
  EXPECT_THAT(log_.closes, ElementsAre(absl::AbortedError("enough")));
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.was_reset());
}

}  // namespace
}  // namespace millrace
