// SPDX-License-Identifier: Apache-2.0
//
// What a connection does for a transport that is not plain: one that shakes hands in rounds, needs
// to write in order to read, or says goodbye in several steps, as TLS does.
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/io_result.h"
#include "net/plain_transport.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What the transport under test is to do. Outlives it.
struct Ceremony {
  using Kind = IoResult::Kind;

  // Each kWantRead is over when the peer has sent a byte; kWantWrite when it has been waited for.
  std::vector<Kind> handshake;
  absl::Status handshake_error;               // Of the last round, if not OK.
  std::vector<Kind> reads, writes, goodbyes;  // Said first by these calls, one each.
  absl::Status read_error;                    // Then said by reads.
  int handshakes = 0, read_calls = 0, write_calls = 0, goodbye_calls = 0;
};

class CeremoniousTransport final : public Transport {
 public:
  CeremoniousTransport(Socket socket, Ceremony& ceremony)
      : plain_(std::move(socket)), ceremony_(ceremony) {}

  Socket& socket() override { return plain_.socket(); }

  IoResult Handshake() override {
    ++ceremony_.handshakes;
    for (; round_ < ceremony_.handshake.size(); ++round_) {
      char byte;
      if (ceremony_.handshake[round_] == IoResult::kWantRead) {
        const IoResult result = plain_.Read({&byte, 1});
        if (result.kind() != IoResult::kDone) return result;
      } else if (!std::exchange(waited_, true)) {
        return ceremony_.handshake[round_];
      }
      waited_ = false;
    }
    return ceremony_.handshake_error.ok() ? IoResult() : Break(ceremony_.handshake_error);
  }

  IoResult Read(absl::Span<char> into) override {
    const size_t call = ceremony_.read_calls++;
    if (call < ceremony_.reads.size()) {
      if (ceremony_.reads[call] == IoResult::kWantWrite) TakeFromSocket();
      return ceremony_.reads[call];
    }
    if (!ceremony_.read_error.ok()) return Break(ceremony_.read_error);
    if (held_.empty()) return plain_.Read(into);
    const size_t n = held_.copy(into.data(), into.size());
    held_.erase(0, n);
    return {IoResult::kDone, n};
  }

  IoResult Write(absl::Span<const iovec> from) override {
    const size_t call = ceremony_.write_calls++;
    if (call < ceremony_.writes.size()) return ceremony_.writes[call];
    return plain_.Write(from);
  }

  IoResult CloseWrite() override {
    const size_t call = ceremony_.goodbye_calls++;
    if (call < ceremony_.goodbyes.size()) return ceremony_.goodbyes[call];
    return plain_.CloseWrite();
  }

  absl::Status WhyFailed(const IoResult& result) override {
    return broken_.ok() ? plain_.WhyFailed(result) : broken_;
  }

 private:
  // A failure of which an errno does not say enough.
  IoResult Break(const absl::Status& why) {
    broken_ = why;
    return IoResult::Failed(IoCall::kNone, EPROTO);
  }

  // Now nothing tells any more that there is something to read.
  void TakeFromSocket() {
    char bytes[1024];
    const IoResult result = plain_.Read(absl::MakeSpan(bytes));
    ASSERT_TRUE(result.ok()) << result;
    held_.append(bytes, result.bytes());
  }

  PlainTransport plain_;
  Ceremony& ceremony_;
  std::string held_;
  absl::Status broken_;
  size_t round_ = 0;
  bool waited_ = false;
};

constexpr IoResult::Kind kRead = IoResult::kWantRead, kWrite = IoResult::kWantWrite;

class TcpConnectionHandshakeTest : public ConnectionTest {
 protected:
  TcpConnectionHandshakeTest() {
    transport_ = [this](Socket socket) -> absl::StatusOr<std::unique_ptr<Transport>> {
      return std::make_unique<CeremoniousTransport>(std::move(socket), ceremony_);
    };
  }
  ~TcpConnectionHandshakeTest() override { loop_.Destroy(); }  // Before the ceremony goes.

  bool StepUntilOpen() {
    return StepUntil([&] { return log_.opened(); });
  }
  void ExpectFailedToOpen() {
    EXPECT_TRUE(StepUntil([&] { return table().size() == 0; }));
    EXPECT_THAT(log_.events, ElementsAre()) << "who was not told of it is not told of its end";
    EXPECT_EQ(counters_.failed_to_open.value(), 1u);
    EXPECT_EQ(counters_.opened.value() + counters_.closed.value(), 0u);
    Settle();
  }
  uint64_t EventsWhileIdle() {
    Settle();
    const uint64_t before = loop_->counters().events.value();
    loop_.Steps(20);
    return loop_->counters().events.value() - before;
  }

  Ceremony ceremony_;
};

TEST_F(TcpConnectionHandshakeTest, OpensWhenAllRoundsAreDone) {
  ceremony_.handshake = {kRead, kWrite, kRead, kWrite};
  Peer peer = Open();
  EXPECT_EQ(EventsWhileIdle(), 0u);
  EXPECT_FALSE(log_.opened());
  peer.Send("1");
  EXPECT_EQ((Settle(), EventsWhileIdle()), 0u);
  EXPECT_FALSE(log_.opened());
  peer.Send("2");
  EXPECT_TRUE(StepUntilOpen());
  EXPECT_EQ(counters_.opened.value(), 1u);
}

TEST_F(TcpConnectionHandshakeTest, WhatFollowsTheHandshakeIsOffered) {
  ceremony_.handshake = {kRead, kWrite, kRead};
  Peer peer = Open();
  peer.Send("12hello");
  EXPECT_TRUE(StepUntil([&] { return log_.received == "hello"; }));
  EXPECT_THAT(log_.events, ElementsAre("open", "data 5"));
}

TEST_F(TcpConnectionHandshakeTest, WhatOnOpenSendsComesAfterTheHandshake) {
  ceremony_.handshake = {kRead};
  log_.on_open = [](TcpConnection& conn) { conn.Send("welcome"); };
  Peer peer = Open();
  Settle();
  EXPECT_EQ(peer.ReceiveSome(), "");
  peer.Send("1");
  EXPECT_EQ(Receive(peer, 7), "welcome");
}

TEST_F(TcpConnectionHandshakeTest, AFailureIsCountedAndToldToNobody) {
  ceremony_.handshake = {kRead};
  ceremony_.handshake_error = absl::UnauthenticatedError("who are you");
  Peer peer = Open();
  peer.Send("1");
  ExpectFailedToOpen();
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.ended());
}

TEST_F(TcpConnectionHandshakeTest, AFailureAtOnceIsHarmless) {
  ceremony_.handshake_error = absl::UnauthenticatedError("who are you");
  Peer peer = Open();
  ExpectFailedToOpen();
}

TEST_F(TcpConnectionHandshakeTest, ThePeerMayLeaveInTheMiddle) {
  ceremony_.handshake = {kRead, kRead};
  Peer peer = Open();
  peer.Send("1");
  peer.Close();
  ExpectFailedToOpen();
}

TEST_F(TcpConnectionHandshakeTest, ThePeerMayResetInTheMiddle) {
  ceremony_.handshake = {kRead, kRead};
  Peer peer = Open();
  peer.Send("1");
  Settle();
  peer.Reset();
  ExpectFailedToOpen();
}

TEST_F(TcpConnectionHandshakeTest, ATableThatGoesTakesIt) {
  ceremony_.handshake = {kRead};
  Peer peer = Open();
  table().TellDrain();
  EXPECT_FALSE(log_.opened()) << "not told before it opened";
  table().CloseAll(absl::CancelledError("closing time"));
  ExpectFailedToOpen();
}

TEST_F(TcpConnectionHandshakeTest, InADrainItIsToldWhenItHasOpened) {
  ceremony_.handshake = {kRead};
  Peer peer = Open();
  table().TellDrain();
  EXPECT_FALSE(log_.opened());
  peer.Send("1");
  ASSERT_TRUE(StepUntil([&] { return log_.events.size() >= 2; }));
  EXPECT_EQ(log_.events[0], "open");
  EXPECT_EQ(log_.events[1], "drain");
}

TEST_F(TcpConnectionHandshakeTest, AStalledOneTimesOut) {
  limits_.handshake_timeout = absl::Seconds(10);
  limits_.idle_timeout = limits_.read_timeout = absl::Seconds(2);
  ceremony_.handshake = {kRead, kRead};
  Peer peer = Open();
  loop_.Advance(absl::Milliseconds(9'999));
  EXPECT_EQ(table().size(), 1u) << "the other limits are for open connections";
  loop_.Advance(absl::Milliseconds(1));
  ExpectFailedToOpen();
}

TEST_F(TcpConnectionHandshakeTest, BytesNowAndThenDoNotPutTheTimeoutOff) {
  limits_.handshake_timeout = absl::Seconds(10);
  ceremony_.handshake.assign(100, kRead);
  Peer peer = Open();
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(table().size(), 1u) << "after " << i << "s";
    peer.Send("1");
    Settle();
    loop_.Advance(absl::Seconds(1));
  }
  ExpectFailedToOpen();
}

TEST_F(TcpConnectionHandshakeTest, ASlowHandshakeIsNoIdleness) {
  limits_.handshake_timeout = absl::Seconds(10);
  limits_.idle_timeout = limits_.read_timeout = absl::Seconds(5);
  ceremony_.handshake = {kRead};
  Peer peer = Open();
  loop_.Advance(absl::Seconds(9));
  peer.Send("1");
  ASSERT_TRUE(StepUntilOpen());
  loop_.Advance(absl::Milliseconds(4'999));
  EXPECT_FALSE(log_.closed());
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_TRUE(log_.closed());
  EXPECT_THAT(log_.closes[0].message(), HasSubstr("5s"));
}

TEST_F(TcpConnectionHandshakeTest, OnceOpenANearerLimitIsKept) {
  limits_.handshake_timeout = absl::Seconds(10);
  limits_.idle_timeout = absl::Seconds(5);
  ceremony_.handshake = {kRead};
  Peer peer = Open();
  loop_.Advance(absl::Seconds(1));
  peer.Send("1");
  ASSERT_TRUE(StepUntilOpen());
  loop_.Advance(absl::Milliseconds(4'999));
  EXPECT_FALSE(log_.closed());
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_TRUE(log_.closed());
}

TEST_F(TcpConnectionHandshakeTest, OnceOpenItsTimeoutIsOver) {
  limits_.handshake_timeout = absl::Seconds(10);
  limits_.idle_timeout = absl::InfiniteDuration();
  ceremony_.handshake = {kRead};
  Peer peer = Open();
  peer.Send("1");
  ASSERT_TRUE(StepUntilOpen());
  loop_.Advance(absl::Hours(1));
  EXPECT_FALSE(log_.closed());
}

// Reads and writes that need each other.

TEST_F(TcpConnectionHandshakeTest, AReadMayNeedToWrite) {
  ceremony_.reads = {kWrite, kWrite};
  Peer peer = Open();
  peer.Send("hello");
  EXPECT_TRUE(StepUntil([&] { return log_.received == "hello"; }));
  EXPECT_EQ(EventsWhileIdle(), 0u) << "a socket that is always writable would spin";
}

TEST_F(TcpConnectionHandshakeTest, AWriteMayNeedToRead) {
  ceremony_.writes = {kRead};
  ceremony_.reads = {kRead};  // What made it readable was not for us.
  Peer peer = Open();
  conn().Send("answer");
  EXPECT_EQ(EventsWhileIdle(), 0u);
  EXPECT_EQ(peer.ReceiveSome(), "");
  peer.Send("x");
  EXPECT_EQ(Receive(peer, 6), "answer");
}

TEST_F(TcpConnectionHandshakeTest, AWriteThatNeedsToReadIsTriedAlsoWhilePaused) {
  ceremony_.writes = {kRead};
  Peer peer = Open();
  conn().PauseReading();
  conn().Send("answer");
  Settle();
  peer.Send("x");
  EXPECT_EQ(Receive(peer, 6), "answer");
  EXPECT_EQ(log_.received, "");
  EXPECT_EQ(ceremony_.read_calls, 0);
}

TEST_F(TcpConnectionHandshakeTest, AWriteThatNeedsToReadTimesOutAsAWrite) {
  limits_.write_timeout = absl::Seconds(3);
  ceremony_.writes.assign(10, kRead);
  Peer peer = Open();
  conn().Send("answer");
  Settle();
  loop_.Advance(absl::Seconds(3));
  ASSERT_TRUE(log_.closed());
  EXPECT_THAT(log_.closes[0].message(), HasSubstr("took no output"));
}

TEST_F(TcpConnectionHandshakeTest, ABrokenReadIsTheReason) {
  ceremony_.read_error = absl::DataLossError("bad record");
  Peer peer = Open();
  peer.Send("x");
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_EQ(log_.closes[0], absl::DataLossError("bad record"));
}

// Goodbyes in several steps.

TEST_F(TcpConnectionHandshakeTest, AGoodbyeMayTakeRounds) {
  ceremony_.goodbyes = {kWrite, kRead, kWrite};
  Peer peer = Open();
  conn().Send("bye");
  conn().CloseAfterFlush();
  EXPECT_EQ(Receive(peer, 3), "bye");
  EXPECT_EQ(EventsWhileIdle(), 0u);
  conn().PauseReading();
  Settle();
  EXPECT_EQ(ceremony_.goodbye_calls, 2) << "asked again only when what it waits for came";
  peer.Send("x");
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.ended());
  peer.Close();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_TRUE(log_.closes[0].ok());
}

TEST_F(TcpConnectionHandshakeTest, AGoodbyeThatStallsTimesOut) {
  limits_.write_timeout = absl::Seconds(3);
  ceremony_.goodbyes.assign(10, kRead);
  Peer peer = Open();
  conn().CloseAfterFlush();
  Settle();
  loop_.Advance(absl::Milliseconds(2'999));
  EXPECT_FALSE(log_.closed());
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_TRUE(log_.closed());
  EXPECT_EQ(log_.closes[0].code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(TcpConnectionHandshakeTest, FilesGoThroughTheTransportsWrite) {
  Peer peer = Open();
  UniqueFd file(memfd_create("test", MFD_CLOEXEC));
  const std::string bytes = Pattern(100'000);
  ASSERT_EQ(write(file.get(), bytes.data(), bytes.size()), 100'000);
  conn().SendFile(std::move(file), 0, 100'000);
  EXPECT_TRUE(Receive(peer, 100'000) == bytes);
  EXPECT_GT(ceremony_.write_calls, 1);
}

}  // namespace
}  // namespace millrace
