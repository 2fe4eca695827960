// SPDX-License-Identifier: Apache-2.0
//
// What a connection tells of itself, and what its flight recorder has kept.
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/flight_recorder.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class TcpConnectionReportTest : public ConnectionTest {
 protected:
  TcpConnectionReportTest() { limits_.flight_recorder = true; }

  static std::string Events(const TcpConnection& conn) {
    return conn.flight_recorder()->ToString(conn.loop().now());
  }
  // What the recorder kept, without when it was.
  static std::vector<std::string> EventsOf(const TcpConnection& conn) {
    std::vector<std::string> events;
    for (absl::string_view line : absl::StrSplit(Events(conn), '\n', absl::SkipEmpty())) {
      events.emplace_back(line.substr(line.find(' ') + 1));
    }
    return events;
  }
  std::vector<std::string> EventsOfConn() { return EventsOf(conn()); }
  std::vector<std::string> EventsAtTheEnd() {
    std::vector<std::string> events;
    log_.on_close = [&](TcpConnection& conn, const absl::Status&) { events = EventsOf(conn); };
    StepUntilClosed();
    return events;
  }
  void Say(Peer& peer, absl::string_view bytes) {
    const uint64_t before = counters_.bytes_read.value();
    peer.Send(bytes);
    ASSERT_TRUE(StepUntil([&] { return counters_.bytes_read.value() == before + bytes.size(); }));
  }
};

TEST_F(TcpConnectionReportTest, AMessageAndItsAnswerAreKept) {
  log_.on_data = [](TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); };
  Peer peer = Open();
  Say(peer, "hello");
  EXPECT_EQ(Receive(peer, 5), "hello");
  EXPECT_THAT(EventsOfConn(), ElementsAre("opened", "read 5", "wrote 5"));
}

TEST_F(TcpConnectionReportTest, EachIsToldWithItsTime) {
  Peer peer = Open();
  loop_.Advance(absl::Seconds(2));
  Say(peer, "hello");
  loop_.Advance(absl::Milliseconds(500));
  EXPECT_EQ(Events(conn()), "-2.5s opened\n-500ms read 5\n");
}

TEST_F(TcpConnectionReportTest, PausesAndWhatIsLeftUnreadAreKept) {
  log_.on_data = [](TcpConnection&, Buffer& input) { input.Consume(1); };
  Peer peer = Open();
  Say(peer, "hello");
  Say(peer, "you");
  conn().PauseReading();
  conn().PauseReading();
  conn().ResumeReading();
  conn().ResumeReading();
  EXPECT_THAT(EventsOfConn(),
              ElementsAre("opened", "read 5", "handler left unread 4", "read 3",
                          "handler left unread 6", "reading paused", "reading resumed"));
}

TEST_F(TcpConnectionReportTest, OutputThatWaitsIsKept) {
  limits_.output_bytes_low = 10'000;
  limits_.output_bytes_high = 20'000;
  Peer peer = OpenNarrow();
  conn().Send(std::string(60'000, 'x'));
  Settle();
  const std::vector<std::string> blocked = EventsOfConn();
  ASSERT_GE(blocked.size(), 4u);
  EXPECT_EQ(blocked[1], "above high mark, waiting 60000");
  EXPECT_THAT(blocked[2], StartsWith("wrote "));
  EXPECT_THAT(blocked.back(), StartsWith("write blocked, waiting "));
  EXPECT_EQ(Receive(peer, 60'000).size(), 60'000u);
  const std::vector<std::string> drained = EventsOfConn();
  EXPECT_THAT(drained, ::testing::Contains(StartsWith("below low mark, waiting ")));
  EXPECT_THAT(drained, ::testing::Contains("told writable"));
}

TEST_F(TcpConnectionReportTest, AnOrderlyEndIsKept) {
  Peer peer = Open();
  conn().CloseWrite();
  conn().CloseAfterFlush();
  Settle();
  peer.Close();
  EXPECT_THAT(EventsAtTheEnd(),
              ElementsAre("opened", "ending output", "closing", "our end sent", "end of input"));
}

TEST_F(TcpConnectionReportTest, AFailureIsKeptWithItsErrno) {
  Peer peer = Open();
  peer.Reset();
  EXPECT_THAT(EventsAtTheEnd(), ElementsAre("opened", "failed ECONNRESET"));
}

TEST_F(TcpConnectionReportTest, ATimeoutIsKept) {
  limits_.idle_timeout = absl::Seconds(10);
  Peer peer = Open();
  std::vector<std::string> events;
  log_.on_close = [&](TcpConnection& conn, const absl::Status&) { events = EventsOf(conn); };
  loop_.Advance(absl::Seconds(10));
  EXPECT_THAT(events, ElementsAre("opened", "timer", "nothing to read", "failed"));
}

TEST_F(TcpConnectionReportTest, OffThereIsNone) {
  limits_.flight_recorder = false;
  Peer peer = Open();
  Say(peer, "hello");
  EXPECT_EQ(conn().flight_recorder(), nullptr);
  EXPECT_THAT(conn().Report(), StartsWith(absl::StrCat(conn().peer_address(), " open; ")));
}

TEST_F(TcpConnectionReportTest, SetTimeoutsAndTheRecorderLiveTogether) {
  Peer peer = Open();
  conn().SetIdleTimeout(absl::Seconds(3));
  Say(peer, "hello");
  EXPECT_THAT(EventsOfConn(), ElementsAre("opened", "read 5"));
  loop_.Advance(absl::Seconds(3));
  EXPECT_TRUE(log_.closed());
}

// The line above it.

TEST_F(TcpConnectionReportTest, SaysWhatWaitsAndForHowLong) {
  log_.on_data = [](TcpConnection&, Buffer&) {};
  Peer peer = OpenNarrow();
  Say(peer, "half a messa");
  loop_.Advance(absl::Seconds(3));
  conn().Send(std::string(50'000, 'x'));
  conn().PauseReading();
  Settle();
  loop_.Advance(absl::Seconds(4));
  const std::string report = conn().Report();
  EXPECT_THAT(report, HasSubstr(" open, paused, output blocked, a message under way; "));
  EXPECT_THAT(report, HasSubstr(absl::StrCat("; ", conn().output_bytes(), " bytes unsent, 12 ")));
  EXPECT_THAT(report, HasSubstr(" unread; read 7s ago, wrote 4s ago; 7s old, "));
  EXPECT_THAT(report, HasSubstr("\n-7s opened\n"));
}

TEST_F(TcpConnectionReportTest, SaysHowFarItsEndIs) {
  Peer peer = OpenNarrow();
  conn().Send(std::string(50'000, 'x'));
  conn().CloseAfterFlush();
  Settle();
  EXPECT_THAT(conn().Report(), HasSubstr(" flushing, output blocked; "));
  EXPECT_EQ(Receive(peer, 50'000).size(), 50'000u);
  Settle();
  EXPECT_THAT(conn().Report(), HasSubstr(" lingering, our end sent; 0 bytes unsent"));
}

}  // namespace
}  // namespace millrace
