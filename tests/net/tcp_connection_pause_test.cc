// SPDX-License-Identifier: Apache-2.0
//
// When a connection does not read, by its handler's wish or because output waits: what it gives
// back when reading goes on, and that whatever the peer does meanwhile does not spin the loop.
#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

class TcpConnectionPauseTest : public ConnectionTest {
 protected:
  TcpConnectionPauseTest() {
    limits_.output_bytes_low = 10'000;
    limits_.output_bytes_high = 40'000;
  }

  int CountOf(absl::string_view event) const {
    return static_cast<int>(std::count(log_.events.begin(), log_.events.end(), event));
  }
  // How often the loop was woken in some turns in which nothing ought to happen.
  uint64_t EventsWhileIdle() {
    Settle();
    const uint64_t before = loop_->counters().events.value();
    loop_.Steps(20);
    return loop_->counters().events.value() - before;
  }
};

TEST_F(TcpConnectionPauseTest, PausedItReadsNothing) {
  Peer peer = Open();
  conn().PauseReading();
  peer.Send("hello");
  EXPECT_EQ(EventsWhileIdle(), 0u);
  EXPECT_EQ(log_.received, "");
  conn().ResumeReading();
  EXPECT_TRUE(StepUntil([&] { return log_.received == "hello"; }));
}

TEST_F(TcpConnectionPauseTest, PausedItIsNotEvenWokenByInput) {
  Peer peer = Open();
  conn().PauseReading();
  Settle();
  const uint64_t before = loop_->counters().events.value();
  peer.Send("hello");
  Settle();
  EXPECT_EQ(loop_->counters().events.value(), before);
}

TEST_F(TcpConnectionPauseTest, OnceClosingResumedInputIsNotOffered) {
  for (bool abort : {true, false}) {
    log_.events.clear();
    log_.on_data = [](TcpConnection& conn, Buffer&) { conn.PauseReading(); };
    Peer peer = Open();
    peer.Send("abc");
    ASSERT_TRUE(StepUntil([&] { return log_.events.size() == 2; }));
    conn().ResumeReading();
    abort ? conn().Abort(absl::AbortedError("enough")) : conn().CloseAfterFlush();
    peer.CloseWrite();
    EXPECT_TRUE(StepUntil([&] { return table().size() == 0; }));
    EXPECT_EQ(CountOf("data 3"), 1);
  }
}

TEST_F(TcpConnectionPauseTest, PausesCount) {
  Peer peer = Open();
  conn().PauseReading();
  conn().PauseReading();
  conn().ResumeReading();
  peer.Send("hello");
  Settle();
  EXPECT_EQ(log_.received, "");
  conn().ResumeReading();
  EXPECT_TRUE(StepUntil([&] { return log_.received == "hello"; }));
}

TEST_F(TcpConnectionPauseTest, ResumingWhatWasNotPausedIsABug) {
  Peer peer = Open();
  EXPECT_DEATH(conn().ResumeReading(), "ResumeReading.. without PauseReading");
}

TEST_F(TcpConnectionPauseTest, ResumingOffersWhatIsUnread) {
  log_.on_data = [](TcpConnection& conn, Buffer& input) {
    input.Consume(1);
    conn.PauseReading();
  };
  Peer peer = Open();
  peer.Send("abc");
  EXPECT_TRUE(StepUntil([&] { return log_.received == "a"; }));
  conn().ResumeReading();
  Settle();
  EXPECT_EQ(log_.received, "ab");
  conn().ResumeReading();
  Settle();
  EXPECT_EQ(log_.received, "abc");
  conn().ResumeReading();
  Settle();
  EXPECT_THAT(log_.events, ElementsAre("open", "data 3", "data 2", "data 1"));
}

TEST_F(TcpConnectionPauseTest, ResumedInsideTheCallThatPausedItOffersWhatIsUnread) {
  log_.on_data = [](TcpConnection& conn, Buffer& input) {
    input.Consume(1);  // A message, whose answer comes at once.
    conn.PauseReading();
    conn.ResumeReading();
  };
  Peer peer = Open();
  peer.Send("abcde");
  EXPECT_TRUE(StepUntil([&] { return log_.received == "abcde"; }));
  EXPECT_EQ(CountOf("data 1"), 1);
  EXPECT_EQ(EventsWhileIdle(), 0u);
}

TEST_F(TcpConnectionPauseTest, WhatIsUnreadIsOfferedBeforeThePeersEnd) {
  log_.on_data = [](TcpConnection& conn, Buffer& input) {
    input.Consume(1);
    conn.PauseReading();
    conn.ResumeReading();
  };
  Peer peer = Open();
  peer.Send("abcde");
  peer.CloseWrite();
  EXPECT_TRUE(StepUntilClosed());
  EXPECT_EQ(log_.received, "abcde");
}

TEST_F(TcpConnectionPauseTest, ResumedAndPausedAgainItOffersNothing) {
  log_.on_data = [](TcpConnection& conn, Buffer&) { conn.PauseReading(); };
  Peer peer = Open();
  peer.Send("abc");
  EXPECT_TRUE(StepUntil([&] { return log_.events.size() == 2; }));
  conn().ResumeReading();
  conn().PauseReading();
  Settle();
  EXPECT_THAT(log_.events, ElementsAre("open", "data 3"));
  conn().ResumeReading();
  Settle();
  EXPECT_THAT(log_.events, ElementsAre("open", "data 3", "data 3"));
}

TEST_F(TcpConnectionPauseTest, APausedConnectionStillWrites) {
  Peer peer = OpenNarrow();
  conn().PauseReading();
  conn().Send(std::string(30'000, 'x'));
  EXPECT_EQ(Receive(peer, 30'000).size(), 30'000u);
}

TEST_F(TcpConnectionPauseTest, APeerThatHangsUpDoesNotSpinAPausedConnection) {
  Peer peer = Open();
  conn().PauseReading();
  Settle();
  peer.Close();
  EXPECT_EQ(EventsWhileIdle(), 0u);
  EXPECT_FALSE(log_.closed());
  conn().ResumeReading();
  EXPECT_TRUE(StepUntilClosed());
}

TEST_F(TcpConnectionPauseTest, ResetWhilePausedIsReportedOnResume) {
  Peer peer = Open();
  conn().PauseReading();
  Settle();
  peer.Reset();
  EXPECT_EQ(EventsWhileIdle(), 0u);
  EXPECT_FALSE(log_.closed());
  conn().ResumeReading();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_FALSE(log_.closes[0].ok());
}

TEST_F(TcpConnectionPauseTest, APeerThatHangsUpDoesNotSpinAHalfOpenConnection) {
  log_.on_end = [](TcpConnection&, Buffer&) {};
  Peer peer = Open();
  peer.CloseWrite();
  EXPECT_TRUE(StepUntil([&] { return log_.events.back() == "end"; }));
  peer.Close();
  EXPECT_EQ(EventsWhileIdle(), 0u);
}

TEST_F(TcpConnectionPauseTest, APeerThatNeitherReadsNorLeavesDoesNotSpinTheLoop) {
  Peer peer = OpenNarrow();
  conn().Send(std::string(60'000, 'x'));
  peer.SendSome("unread, since output stands above the high mark");
  EXPECT_EQ(EventsWhileIdle(), 0u);
}

}  // namespace
}  // namespace millrace
