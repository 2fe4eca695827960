// SPDX-License-Identifier: Apache-2.0
//
// What a connection does in a drain when nothing moves on it.
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/close_reason.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::Duration kMillisecond = absl::Milliseconds(1);
constexpr absl::Duration kSecond = absl::Seconds(1);

class TcpConnectionDrainTest : public ConnectionTest {
 protected:
  TcpConnectionDrainTest() { limits_.idle_timeout = absl::InfiniteDuration(); }

  void Pass(absl::Duration time) {
    loop_.Advance(time);
    Settle();
  }
  // Our end reaches the peer after `time`, and not a millisecond earlier.
  void ExpectHalfClosedAfter(Peer& peer, absl::Duration time) {
    Pass(time - kMillisecond);
    ExpectWhole(peer);
    Pass(kMillisecond);
    peer.ReceiveSome();
    EXPECT_TRUE(peer.ended());
    EXPECT_FALSE(log_.closed());
  }
  uint64_t half_closed() const {
    return counters_.ended[static_cast<size_t>(CloseCause::kDrainIdle)].value();
  }
  void ExpectWhole(Peer& peer) {
    peer.ReceiveSome();
    EXPECT_FALSE(peer.ended());
    EXPECT_FALSE(log_.closed());
  }
  void ExpectEndsInOrder() {
    ASSERT_TRUE(StepUntilClosed());
    EXPECT_EQ(log_.closes[0], absl::OkStatus());
  }
};

TEST_F(TcpConnectionDrainTest, IdleItIsHalfClosedAndEndsWithThePeer) {
  Peer peer = Open();
  table().TellDrain(kSecond);
  ExpectHalfClosedAfter(peer, kSecond);
  EXPECT_EQ(half_closed(), 0u);
  peer.Close();
  ExpectEndsInOrder();
  EXPECT_EQ(half_closed(), 1u);
}

TEST_F(TcpConnectionDrainTest, WhatWasIdleForLongIsHalfClosedAtOnce) {
  Peer peer = Open();
  Pass(absl::Hours(1));
  table().TellDrain(kSecond);
  Settle();
  peer.ReceiveSome();
  EXPECT_TRUE(peer.ended());
}

TEST_F(TcpConnectionDrainTest, WithoutADrainNothingIsHalfClosed) {
  Peer peer = Open();
  Pass(absl::Hours(1));
  ExpectWhole(peer);
}

TEST_F(TcpConnectionDrainTest, AMessagePutsItOff) {
  log_.on_data = [](TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); };
  Peer peer = Open();
  table().TellDrain(kSecond);
  for (int i = 0; i < 3; ++i) {
    Pass(absl::Milliseconds(900));
    peer.Send("x");
    EXPECT_EQ(Receive(peer, 1), "x");
  }
  ExpectHalfClosedAfter(peer, kSecond);
}

TEST_F(TcpConnectionDrainTest, AfterItReadingGoesOn) {
  Peer peer = Open();
  table().TellDrain(kSecond);
  ExpectHalfClosedAfter(peer, kSecond);
  peer.Send("last words");
  ASSERT_TRUE(StepUntil([&] { return log_.received == "last words"; }));
}

TEST_F(TcpConnectionDrainTest, AGoodbyeComesFirst) {
  log_.on_drain = [](TcpConnection& conn) { conn.Send("bye"); };
  Peer peer = Open();
  Pass(absl::Hours(1));
  table().TellDrain(kSecond);
  Settle();
  EXPECT_EQ(peer.ReceiveSome(), "bye");
  ExpectHalfClosedAfter(peer, kSecond);
}

TEST_F(TcpConnectionDrainTest, AHandlerThatClosesIsLeftToItsWay) {
  log_.on_drain = [](TcpConnection& conn) { conn.CloseAfterFlush(); };
  Peer peer = Open();
  table().TellDrain(kSecond);
  Settle();
  peer.ReceiveSome();
  EXPECT_TRUE(peer.ended());
  Pass(absl::Seconds(2));
  peer.Close();
  ExpectEndsInOrder();
  EXPECT_EQ(half_closed(), 0u);
}

// Busy.

TEST_F(TcpConnectionDrainTest, WhileOutputWaitsItIsNotIdle) {
  limits_.write_timeout = absl::InfiniteDuration();
  Peer peer = OpenNarrow();
  conn().Send(std::string(50'000, 'x'));
  Settle();
  table().TellDrain(kSecond);
  Pass(absl::Milliseconds(10'300));
  EXPECT_FALSE(log_.closed());
  EXPECT_EQ(Receive(peer, 50'000).size(), 50'000u);
  ExpectHalfClosedAfter(peer, kSecond);
}

TEST_F(TcpConnectionDrainTest, WhileAHandlerWorksAndDoesNotReadItIsNotIdle) {
  Peer peer = Open();
  conn().PauseReading();
  table().TellDrain(kSecond);
  Pass(absl::Milliseconds(10'300));
  ExpectWhole(peer);
  conn().Send("the answer");
  conn().ResumeReading();
  EXPECT_EQ(Receive(peer, 10), "the answer");
  ExpectHalfClosedAfter(peer, kSecond);
}

TEST_F(TcpConnectionDrainTest, HalfAMessageIsNotIdle) {
  log_.on_data = [](TcpConnection&, Buffer& input) {
    if (input.size() == 2) input.Clear();
  };
  Peer peer = Open();
  peer.Send("h");
  ASSERT_TRUE(StepUntil([&] { return log_.events.back() == "data 1"; }));
  table().TellDrain(kSecond);
  Pass(absl::Seconds(10));
  ExpectWhole(peer);
  peer.Send("i");
  ASSERT_TRUE(StepUntil([&] { return log_.received == "hi"; }));
  ExpectHalfClosedAfter(peer, kSecond);
}

TEST_F(TcpConnectionDrainTest, WhoStillOwesAnAnswerAfterThePeersEndIsNotIdle) {
  log_.on_end = [](TcpConnection&, Buffer&) {};
  Peer peer = Open();
  peer.CloseWrite();
  ASSERT_TRUE(StepUntil([&] { return log_.events.back() == "end"; }));
  table().TellDrain(kSecond);
  Pass(absl::Minutes(1));
  ExpectWhole(peer);
  conn().Send("the answer");
  conn().CloseAfterFlush();
  EXPECT_EQ(ReceiveAll(peer), "the answer");
}

// Times.

TEST_F(TcpConnectionDrainTest, ItMayBeOff) {
  Peer peer = Open();
  table().TellDrain(absl::InfiniteDuration());
  Pass(absl::Hours(10));
  ExpectWhole(peer);
}

TEST_F(TcpConnectionDrainTest, TheShortestTimeCountsAndTheHandlerIsToldOnce) {
  Peer peer = Open();
  table().TellDrain(absl::Minutes(1));
  table().TellDrain(kSecond);
  table().TellDrain(absl::Minutes(1));
  EXPECT_THAT(log_.events, ElementsAre("open", "drain"));
  ExpectHalfClosedAfter(peer, kSecond);
}

TEST_F(TcpConnectionDrainTest, ANearerIdleTimeoutIsStillAFailure) {
  limits_.idle_timeout = absl::Milliseconds(500);
  Peer peer = Open();
  table().TellDrain(kSecond);
  Pass(absl::Milliseconds(500));
  ASSERT_TRUE(log_.closed());
  EXPECT_THAT(log_.closes[0].message(), HasSubstr("idle for 500ms"));
}

TEST_F(TcpConnectionDrainTest, AfterItTheOtherTimeoutsStillCount) {
  limits_.idle_timeout = absl::Seconds(60);
  Peer peer = Open();
  table().TellDrain(kSecond);
  ExpectHalfClosedAfter(peer, kSecond);
  Pass(absl::Seconds(60));  // Our end was sent a second after the last byte.
  ASSERT_TRUE(log_.closed());
  EXPECT_THAT(log_.closes[0].message(), HasSubstr("idle for 1m"));
  EXPECT_EQ(half_closed(), 0u) << "it did not end in order";
}

TEST_F(TcpConnectionDrainTest, AHandlerMayEndTheTableWhenTold) {
  log_.on_drain = [&](TcpConnection&) { table().CloseAll(absl::CancelledError("all")); };
  Peer peer = Open();
  table().TellDrain(kSecond);
  EXPECT_EQ(log_.closes.size(), 1u);
  Pass(kSecond);
}

}  // namespace
}  // namespace millrace
