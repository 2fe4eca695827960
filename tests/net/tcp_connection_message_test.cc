// SPDX-License-Identifier: Apache-2.0
//
// Peers that speak too slowly: no first byte, a message that never becomes whole, or one that comes
// in drips. And peers that only seem to be slow, because it is we who do not read.
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/close_reason.h"
#include "net/progress_limits.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::Duration kMillisecond = absl::Milliseconds(1);

class TcpConnectionMessageTest : public ConnectionTest {
 protected:
  // A message is a line; what comes of the next one is left unread.
  TcpConnectionMessageTest() {
    limits_.idle_timeout = absl::InfiniteDuration();
    log_.on_data = [](TcpConnection&, Buffer& input) {
      const size_t end = input.readable().rfind('\n');
      if (end != absl::string_view::npos) input.Consume(end + 1);
    };
  }

  // The handler takes what comes as it comes; "<" begins a message and ">" ends it.
  void TakePieceByPiece() {
    log_.on_data = [](TcpConnection& conn, Buffer& input) {
      const std::string piece = input.ReadString(input.size());
      if (piece.find('<') != std::string::npos) conn.BeginMessage();
      if (piece.find('>') != std::string::npos) conn.EndMessage();
    };
  }

  // Has the peer send this, and the connection read it.
  void Say(Peer& peer, absl::string_view bytes) {
    const uint64_t before = counters_.bytes_read.value();
    peer.Send(bytes);
    ASSERT_TRUE(StepUntil([&] { return counters_.bytes_read.value() == before + bytes.size(); }));
  }
  void ExpectOpenAfter(absl::Duration time) {
    loop_.Advance(time);
    Settle();
    ASSERT_FALSE(log_.closed()) << log_.closes[0];
  }
  void ExpectEndAfter(absl::Duration time, CloseCause cause, absl::string_view reason) {
    ExpectOpenAfter(time - kMillisecond);
    loop_.Advance(kMillisecond);
    ASSERT_TRUE(log_.closed());
    EXPECT_EQ(log_.reasons[0].cause, cause) << log_.reasons[0];
    EXPECT_EQ(log_.closes[0].code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_THAT(log_.closes[0].message(), HasSubstr(reason));
    EXPECT_EQ(counters_.ended[static_cast<size_t>(cause)].value(), 1u);
  }
};

// The first byte.

TEST_F(TcpConnectionMessageTest, WithoutAFirstByteItEnds) {
  limits_.progress.first_byte_timeout = absl::Seconds(10);
  Peer peer = Open();
  ExpectEndAfter(absl::Seconds(10), CloseCause::kFirstByteTimeout, "no first byte for 10s");
}

TEST_F(TcpConnectionMessageTest, WhatWeSendIsNoFirstByte) {
  limits_.progress.first_byte_timeout = absl::Seconds(10);
  Peer peer = Open();
  ExpectOpenAfter(absl::Seconds(9));
  conn().Send("who is there?");
  Settle();
  ExpectEndAfter(absl::Seconds(1), CloseCause::kFirstByteTimeout, "no first byte");
}

TEST_F(TcpConnectionMessageTest, AfterTheFirstByteThereMayBeSilence) {
  limits_.progress.first_byte_timeout = absl::Seconds(10);
  Peer peer = Open();
  ExpectOpenAfter(absl::Seconds(9));
  Say(peer, "hello\n");
  ExpectOpenAfter(absl::Hours(24));
}

TEST_F(TcpConnectionMessageTest, AFirstByteInTheTurnOfOpeningCounts) {
  limits_.progress.first_byte_timeout = absl::Seconds(10);
  auto ends = TcpPair();
  ends.second.Write("early\n");
  Peer peer = Open(std::move(ends), log_);
  ASSERT_TRUE(StepUntil([&] { return log_.received == "early\n"; }));
  ExpectOpenAfter(absl::Hours(24));
}

TEST_F(TcpConnectionMessageTest, WhileWeDoNotReadNoFirstByteCanCome) {
  limits_.progress.first_byte_timeout = absl::Seconds(10);
  log_.on_open = [](TcpConnection& conn) { conn.PauseReading(); };
  Peer peer = Open();
  ExpectOpenAfter(absl::Hours(1));
  conn().ResumeReading();
  ExpectEndAfter(absl::Seconds(10), CloseCause::kFirstByteTimeout, "no first byte");
}

TEST_F(TcpConnectionMessageTest, APeerThatHasEndedOwesNoFirstByte) {
  limits_.progress.first_byte_timeout = absl::Seconds(10);
  log_.on_end = [](TcpConnection&, Buffer&) {};
  Peer peer = Open();
  peer.CloseWrite();
  ASSERT_TRUE(StepUntil([&] { return log_.events.back() == "end"; }));
  ExpectOpenAfter(absl::Hours(1));
}

// A whole message.

TEST_F(TcpConnectionMessageTest, AMessageThatIsNotWholeInTimeEndsIt) {
  limits_.progress.message_timeout = absl::Seconds(30);
  Peer peer = Open();
  ExpectOpenAfter(absl::Hours(1));
  Say(peer, "GET /");
  ExpectEndAfter(absl::Seconds(30), CloseCause::kMessageTimeout,
                 "a message was not whole after 30s");
}

TEST_F(TcpConnectionMessageTest, AByteNowAndThenDoesNotPutItOff) {
  limits_.progress.message_timeout = absl::Seconds(30);
  Peer peer = Open();
  Say(peer, "G");
  for (int i = 0; i < 29; ++i) {
    ExpectOpenAfter(absl::Seconds(1));
    Say(peer, "x");
  }
  ExpectEndAfter(absl::Seconds(1), CloseCause::kMessageTimeout, "not whole");
}

TEST_F(TcpConnectionMessageTest, BetweenMessagesNoClockRuns) {
  limits_.progress = ProgressLimits::Strict();
  Peer peer = Open();
  for (int i = 0; i < 3; ++i) {
    Say(peer, "GET");
    ExpectOpenAfter(absl::Seconds(9));
    Say(peer, " /\n");
    ExpectOpenAfter(absl::Hours(1));
  }
}

TEST_F(TcpConnectionMessageTest, EachMessageHasItsOwnTime) {
  limits_.progress.message_timeout = absl::Seconds(30);
  Peer peer = Open();
  Say(peer, "first");
  for (int i = 0; i < 10; ++i) {
    ExpectOpenAfter(absl::Seconds(29));
    Say(peer, "\nnext");  // The end of one and the beginning of another.
  }
  ExpectEndAfter(absl::Seconds(30), CloseCause::kMessageTimeout, "not whole");
}

TEST_F(TcpConnectionMessageTest, APauseStopsItsClock) {
  limits_.progress.message_timeout = absl::Seconds(30);
  Peer peer = Open();
  Say(peer, "GET /");
  ExpectOpenAfter(absl::Seconds(20));
  conn().PauseReading();
  ExpectOpenAfter(absl::Hours(1));
  conn().ResumeReading();
  ExpectEndAfter(absl::Seconds(10), CloseCause::kMessageTimeout, "not whole");
}

TEST_F(TcpConnectionMessageTest, APauseInTheCallThatLeavesItUnreadStopsItsClock) {
  limits_.progress.message_timeout = absl::Seconds(30);
  log_.on_data = [](TcpConnection& conn, Buffer&) { conn.PauseReading(); };
  Peer peer = Open();
  Say(peer, "GET /");
  ExpectOpenAfter(absl::Hours(1));
  log_.on_data = [](TcpConnection&, Buffer&) {};
  conn().ResumeReading();
  ExpectEndAfter(absl::Seconds(30), CloseCause::kMessageTimeout, "not whole");
}

TEST_F(TcpConnectionMessageTest, PausesThatOverlapStopItOnce) {
  limits_.progress.message_timeout = absl::Seconds(30);
  Peer peer = Open();
  Say(peer, "GET /");
  ExpectOpenAfter(absl::Seconds(20));
  conn().PauseReading();
  ExpectOpenAfter(absl::Seconds(100));
  conn().PauseReading();
  ExpectOpenAfter(absl::Seconds(100));
  conn().ResumeReading();
  ExpectOpenAfter(absl::Seconds(100));
  conn().ResumeReading();
  ExpectEndAfter(absl::Seconds(10), CloseCause::kMessageTimeout, "not whole");
}

TEST_F(TcpConnectionMessageTest, APauseThatIsOverInTheSameTurnChangesNothing) {
  limits_.progress.message_timeout = absl::Seconds(30);
  Peer peer = Open();
  Say(peer, "GET /");
  ExpectOpenAfter(absl::Seconds(20));
  conn().PauseReading();
  conn().ResumeReading();
  ExpectEndAfter(absl::Seconds(10), CloseCause::kMessageTimeout, "not whole");
}

TEST_F(TcpConnectionMessageTest, OutputThatHoldsReadingBackStopsItsClock) {
  limits_.progress.message_timeout = absl::Seconds(30);
  limits_.write_timeout = absl::InfiniteDuration();
  limits_.output_bytes_low = 10'000;
  limits_.output_bytes_high = 20'000;
  Peer peer = OpenNarrow();
  Say(peer, "GET /");
  ExpectOpenAfter(absl::Seconds(20));
  conn().Send(std::string(60'000, 'x'));
  Settle();
  ExpectOpenAfter(absl::Hours(1));
  EXPECT_EQ(Receive(peer, 60'000).size(), 60'000u);
  Settle();
  ExpectEndAfter(absl::Seconds(10), CloseCause::kMessageTimeout, "not whole");
}

TEST_F(TcpConnectionMessageTest, AfterThePeersEndNothingIsUnderWay) {
  limits_.progress.message_timeout = absl::Seconds(30);
  log_.on_end = [](TcpConnection&, Buffer&) {};
  Peer peer = Open();
  Say(peer, "GET /");
  peer.CloseWrite();
  ASSERT_TRUE(StepUntil([&] { return log_.events.back() == "end"; }));
  ExpectOpenAfter(absl::Hours(1));
}

// Its rate.

TEST_F(TcpConnectionMessageTest, DripsEndIt) {
  limits_.progress.bytes_per_second_min = 100;
  limits_.progress.rate_grace = absl::Seconds(10);
  Peer peer = Open();
  Say(peer, std::string(50, 'x'));  // Half a second's worth.
  ExpectOpenAfter(absl::Seconds(10));
  Say(peer, std::string(100, 'x'));
  ExpectEndAfter(absl::Milliseconds(1'500), CloseCause::kRateTimeout,
                 "slower than 100 bytes a second: 150 in 11.5s");
}

TEST_F(TcpConnectionMessageTest, AtTheRateItMayTakeForEver) {
  limits_.progress.bytes_per_second_min = 100;
  limits_.progress.rate_grace = absl::Seconds(10);
  Peer peer = Open();
  for (int i = 0; i < 1'000; ++i) {
    Say(peer, std::string(100, 'x'));
    ExpectOpenAfter(absl::Seconds(1));
  }
  ExpectEndAfter(absl::Seconds(10), CloseCause::kRateTimeout, "slower than");
}

TEST_F(TcpConnectionMessageTest, APauseDoesNotSlowItDown) {
  limits_.progress.bytes_per_second_min = 100;
  limits_.progress.rate_grace = absl::Seconds(10);
  Peer peer = Open();
  Say(peer, std::string(100, 'x'));
  ExpectOpenAfter(absl::Seconds(4));
  conn().PauseReading();
  ExpectOpenAfter(absl::Hours(1));
  conn().ResumeReading();
  ExpectEndAfter(absl::Seconds(7), CloseCause::kRateTimeout, "slower than");
}

// The timer stood at the deadline of the long one.
TEST_F(TcpConnectionMessageTest, AShortMessageBehindALongOneHasItsOwnTime) {
  limits_.progress.bytes_per_second_min = 100;
  limits_.progress.rate_grace = absl::Seconds(10);
  Peer peer = Open();
  Say(peer, std::string(100'000, 'x'));
  Say(peer, "\nx");
  ExpectEndAfter(absl::Milliseconds(10'010), CloseCause::kRateTimeout, "slower than");
}

// Messages that are taken piece by piece.

TEST_F(TcpConnectionMessageTest, AMessageThatWasBegunHasToEnd) {
  limits_.progress.message_timeout = absl::Seconds(30);
  TakePieceByPiece();
  Peer peer = Open();
  Say(peer, "no message");
  ExpectOpenAfter(absl::Hours(1));
  Say(peer, "<piece");
  ExpectOpenAfter(absl::Seconds(29));
  Say(peer, "piece");
  ExpectEndAfter(absl::Seconds(1), CloseCause::kMessageTimeout, "not whole");
}

TEST_F(TcpConnectionMessageTest, OnceItHasEndedNoClockRuns) {
  limits_.progress = ProgressLimits::Strict();
  TakePieceByPiece();
  Peer peer = Open();
  Say(peer, "<piece");
  Say(peer, "piece>");
  ExpectOpenAfter(absl::Hours(1));
  Say(peer, "<all of it>");
  ExpectOpenAfter(absl::Hours(1));
}

TEST_F(TcpConnectionMessageTest, PiecesCountForTheRate) {
  limits_.progress.bytes_per_second_min = 100;
  limits_.progress.rate_grace = absl::Seconds(10);
  TakePieceByPiece();
  Peer peer = Open();
  Say(peer, "<");
  for (int i = 0; i < 100; ++i) {
    ExpectOpenAfter(absl::Seconds(1));
    Say(peer, std::string(100, 'x'));
  }
  ExpectEndAfter(absl::Seconds(10), CloseCause::kRateTimeout, "10000 in 1m50s");
}

TEST_F(TcpConnectionMessageTest, ItMayBeBegunWhilePausedAndThenItsClockStands) {
  limits_.progress.message_timeout = absl::Seconds(30);
  TakePieceByPiece();
  Peer peer = Open();
  conn().PauseReading();
  Settle();
  conn().BeginMessage();
  ExpectOpenAfter(absl::Hours(1));
  conn().ResumeReading();
  ExpectEndAfter(absl::Seconds(30), CloseCause::kMessageTimeout, "not whole");
}

TEST_F(TcpConnectionMessageTest, APieceMayBeLeftUnreadAndTheMessageEndInTheCallThatTakesIt) {
  std::string read;
  log_.on_data = [&](TcpConnection& conn, Buffer& input) {
    if (log_.events.size() == 2) return conn.BeginMessage();  // "open", "data".
    read += input.ReadString(input.size());
    conn.EndMessage();
    EXPECT_TRUE(input.empty()) << "the buffer outlives its message until the call is over";
  };
  limits_.progress.message_timeout = absl::Seconds(30);
  Peer peer = Open();
  Say(peer, "one ");
  Say(peer, "two");
  EXPECT_EQ(read, "one two");
  ExpectOpenAfter(absl::Hours(1));
  Say(peer, "three");
  EXPECT_EQ(read, "one twothree");
}

TEST_F(TcpConnectionMessageTest, WhatIsLeftOfAPieceIsOfferedWithTheNextOne) {
  log_.on_open = [](TcpConnection& conn) { conn.BeginMessage(); };
  log_.on_data = [](TcpConnection&, Buffer& input) { input.Consume(input.size() / 2); };
  Peer peer = Open();
  Say(peer, "1234");
  Say(peer, "5678");
  EXPECT_THAT(log_.events, ElementsAre("open", "data 4", "data 6"));
  EXPECT_EQ(log_.received, "12345");
}

TEST_F(TcpConnectionMessageTest, EndingWhatNeverBeganAndBeginningWhatIsClosedIsHarmless) {
  log_.on_end = [](TcpConnection& conn, Buffer& rest) {
    EXPECT_EQ(rest.readable(), "res");
    conn.EndMessage();
    EXPECT_EQ(rest.readable(), "res");
    rest.Clear();
    conn.EndMessage();
    conn.BeginMessage();
    conn.CloseAfterFlush();
  };
  log_.on_close = [](TcpConnection& conn, const absl::Status&) {
    conn.BeginMessage();
    conn.EndMessage();
  };
  Peer peer = Open();
  conn().EndMessage();
  Say(peer, "res");
  peer.Close();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_THAT(log_.events, ElementsAre("open", "data 3", "end", "close OK"));
}

// What it costs.

TEST_F(TcpConnectionMessageTest, AMessageInHalvesTouchesNoTimer) {
  limits_.idle_timeout = absl::Minutes(10);
  limits_.progress.message_timeout = absl::Seconds(30);
  limits_.progress.bytes_per_second_min = 100;
  Peer peer = Open();
  Say(peer, "first ha");
  Say(peer, "lf\n");
  const uint64_t fired = loop_->counters().timers_fired.value();
  const MonotonicTime next = loop_->timers().NextDeadline();
  for (int i = 0; i < 100; ++i) {
    loop_.clock().Advance(absl::Milliseconds(50));
    Say(peer, "first ha");
    Say(peer, "lf\n");
  }
  EXPECT_EQ(loop_->timers().NextDeadline(), next) << "armed by the first, and left at that";
  EXPECT_EQ(loop_->counters().timers_fired.value(), fired);
}

}  // namespace
}  // namespace millrace
