// SPDX-License-Identifier: Apache-2.0
//
// Deadlines after a loop stood still: its process was stopped or frozen, or a handler blocked it.
// What the peer did in time waits in the kernel, and the timers are due at once.
#include <cerrno>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "net/close_reason.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

class TcpConnectionLateTest : public ConnectionTest {
 protected:
  TcpConnectionLateTest() { limits_.idle_timeout = absl::InfiniteDuration(); }

  // So much time passes in which the loop does nothing; then it turns, and hears of its timers
  // before it hears of its peers.
  void StandStill(absl::Duration time) {
    const ScopedFault interrupted(Call::kEpollWait, {.error = EINTR, .times = 1});
    loop_.Advance(time);
    EXPECT_EQ(interrupted.hits(), 1);
  }
  void ExpectOpen() { EXPECT_FALSE(log_.closed()) << log_.closes[0]; }
  void ExpectClosed(CloseCause cause) {
    ASSERT_TRUE(log_.closed());
    EXPECT_EQ(log_.reasons[0].cause, cause);
  }
};

TEST_F(TcpConnectionLateTest, WhoSpokeInTimeWasNotIdle) {
  limits_.idle_timeout = absl::Seconds(2);
  Peer peer = Open();
  peer.Send("hello");
  StandStill(absl::Seconds(3));
  ExpectOpen();
  EXPECT_EQ(log_.received, "hello");
}

TEST_F(TcpConnectionLateTest, WhoSaidNothingWas) {
  limits_.idle_timeout = absl::Seconds(2);
  Peer peer = Open();
  StandStill(absl::Seconds(3));
  ExpectClosed(CloseCause::kIdleTimeout);
}

TEST_F(TcpConnectionLateTest, WhoSpokeInTimeWasNotSilent) {
  limits_.read_timeout = absl::Seconds(2);
  Peer peer = Open();
  peer.Send("hello");
  StandStill(absl::Seconds(3));
  ExpectOpen();
}

TEST_F(TcpConnectionLateTest, TheFirstByteWasThere) {
  limits_.progress.first_byte_timeout = absl::Seconds(2);
  Peer peer = Open();
  peer.Send("h");
  StandStill(absl::Seconds(3));
  ExpectOpen();
}

TEST_F(TcpConnectionLateTest, TheRestOfTheMessageWasThere) {
  limits_.progress.message_timeout = absl::Seconds(2);
  log_.on_data = [](TcpConnection&, Buffer& input) {
    if (input.size() == 5) input.Clear();
  };
  Peer peer = Open();
  peer.Send("hel");
  Settle();
  peer.Send("lo");
  StandStill(absl::Seconds(3));
  ExpectOpen();
}

TEST_F(TcpConnectionLateTest, APartOfItWasNotEnough) {
  limits_.progress.message_timeout = absl::Seconds(2);
  log_.on_data = [](TcpConnection&, Buffer&) {};
  Peer peer = Open();
  peer.Send("hel");
  Settle();
  peer.Send("l");
  StandStill(absl::Seconds(3));
  ExpectClosed(CloseCause::kMessageTimeout);
}

TEST_F(TcpConnectionLateTest, WhoHadGoneIsSaidToHaveGone) {
  limits_.idle_timeout = absl::Seconds(2);
  Peer peer = Open();
  peer.Reset();
  StandStill(absl::Seconds(3));
  ExpectClosed(CloseCause::kPeerReset);
}

TEST_F(TcpConnectionLateTest, OutputThatWasTakenInTimeWasTaken) {
  limits_.write_timeout = absl::Seconds(2);
  Peer peer = OpenNarrow();
  conn().Send(std::string(50'000, 'x'));
  Settle();
  EXPECT_FALSE(peer.ReceiveSome().empty());
  StandStill(absl::Seconds(3));
  ExpectOpen();
}

TEST_F(TcpConnectionLateTest, ATryInVainDoesNotPutTheWriteTimeoutOff) {
  limits_.write_timeout = absl::Seconds(2);
  Peer peer = OpenNarrow();
  conn().Send(std::string(50'000, 'x'));
  Settle();
  StandStill(absl::Seconds(3));
  ExpectClosed(CloseCause::kWriteTimeout);
}

TEST_F(TcpConnectionLateTest, TheGoodbyeOfThePeerWasThere) {
  limits_.linger_timeout = absl::Seconds(2);
  Peer peer = Open();
  conn().CloseAfterFlush();
  Settle();
  peer.CloseWrite();
  StandStill(absl::Seconds(3));
  ExpectClosed(CloseCause::kHandlerClosed);
}

TEST_F(TcpConnectionLateTest, TheGoodbyeBehindMoreWasThere) {
  limits_.linger_timeout = absl::Seconds(2);
  Peer peer = Open();
  conn().CloseAfterFlush();
  Settle();
  peer.Send("and another thing");
  peer.CloseWrite();
  StandStill(absl::Seconds(3));
  ExpectClosed(CloseCause::kHandlerClosed);
}

TEST_F(TcpConnectionLateTest, AMessageOfManyReadsWasThere) {
  limits_.read_bytes_per_turn = 100;
  limits_.progress.message_timeout = absl::Seconds(2);
  log_.on_data = [](TcpConnection&, Buffer& input) {
    if (input.size() == 1000) input.Clear();
  };
  Peer peer = Open();
  peer.Send(std::string(100, 'x'));
  Settle();
  peer.Send(std::string(900, 'x'));
  StandStill(absl::Seconds(3));
  ExpectOpen();
}

TEST_F(TcpConnectionLateTest, WhoGoesOnAndOnIsNotHeardForEver) {
  limits_.read_bytes_per_turn = 10;
  limits_.progress.message_timeout = absl::Seconds(2);
  log_.on_data = [](TcpConnection&, Buffer&) {};
  Peer peer = Open();
  peer.Send(std::string(1000, 'x'));
  loop_.Step();
  StandStill(absl::Seconds(3));
  ExpectClosed(CloseCause::kMessageTimeout);
}

TEST_F(TcpConnectionLateTest, InADrainWhoSpokeInTimeIsAnswered) {
  log_.on_data = [](TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); };
  Peer peer = Open();
  table().TellDrain(absl::Seconds(1));
  peer.Send("hello");
  StandStill(absl::Seconds(3));
  Settle();
  EXPECT_EQ(peer.ReceiveSome(), "hello");
  EXPECT_FALSE(peer.ended());
}

TEST_F(TcpConnectionLateTest, AHandlerMayCloseOnWhatItSeesThen) {
  limits_.idle_timeout = absl::Seconds(2);
  log_.on_data = [](TcpConnection& conn, Buffer&) { conn.Abort(absl::CancelledError("enough")); };
  Peer peer = Open();
  peer.Send("hello");
  StandStill(absl::Seconds(3));
  ASSERT_TRUE(log_.closed());
  EXPECT_EQ(log_.closes.size(), 1u);
}

}  // namespace
}  // namespace millrace
