// SPDX-License-Identifier: Apache-2.0
//
// Every way in which a connection can end, and what it then says of who, why and errno.
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/close_reason.h"
#include "net/plain_transport.h"
#include "net/progress_limits.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

constexpr auto kHour = absl::Hours(1);

class TcpConnectionReasonTest : public ConnectionTest {
 public:
  ConnectionLimits& limits() { return limits_; }
  ConnectionLog& log() { return log_; }
  Peer& peer() { return *peer_; }
  void OpenOne() { peer_.emplace(ConnectionTest::Open()); }
  void OpenOneNarrow() { peer_.emplace(ConnectionTest::OpenNarrow()); }
  // Opens it, and then has the next `call` on it fail.
  void OpenFailing(Call call, int error) {
    OpenOne();
    fault_.emplace(call, Fault{.error = error, .fd = fd()});
  }
  void FailEpoll(int error) { fault_.emplace(Call::kEpollCtl, Fault{.error = error, .times = 1}); }

  using ConnectionTest::conn;
  using ConnectionTest::loop_;
  using ConnectionTest::Settle;
  using ConnectionTest::table;

 protected:
  uint64_t Ended(CloseCause cause) const {
    return counters_.ended[static_cast<size_t>(cause)].value();
  }
  uint64_t EndedInAll() const {
    uint64_t sum = 0;
    for (const Counter& counter : counters_.ended) sum += counter.value();
    return sum;
  }

 private:
  std::optional<Peer> peer_;
  std::optional<ScopedFault> fault_;
};

using Test = TcpConnectionReasonTest;

struct EndCase {
  const char* name;
  std::function<void(Test&)> end;
  CloseCause cause;
  int error;
  std::string text;
};

// In good order.

void PeerEndsFirst(Test& test) {
  test.OpenOne();
  test.peer().Close();
}

void HandlerClosesFirst(Test& test) {
  test.OpenOne();
  test.conn().CloseAfterFlush();
  test.Settle();
  test.peer().Close();
}

void OurHalfClosesFirst(Test& test) {
  test.OpenOne();
  test.conn().CloseWrite();
  test.Settle();
  test.peer().Close();
}

void ItIsIdleInADrain(Test& test) {
  test.OpenOne();
  test.table().TellDrain(absl::Seconds(1));
  test.loop_.Advance(absl::Seconds(1));
  test.peer().Close();
}

void WeGoOnAfterThePeersEnd(Test& test) {
  test.log().on_end = [](TcpConnection&, Buffer&) {};
  test.OpenOne();
  test.peer().CloseWrite();
  test.Settle();
  test.conn().CloseAfterFlush();
}

// Broken.

void PeerResets(Test& test) {
  test.OpenOne();
  test.peer().Reset();
}

void AReadFindsNoRoute(Test& test) {
  test.OpenFailing(Call::kRecv, EHOSTUNREACH);
  test.peer().Send("x");
}

void KeepAliveGivesUp(Test& test) {
  test.OpenFailing(Call::kRecv, ETIMEDOUT);
  test.peer().Send("x");
}

void AWriteFindsThePipeBroken(Test& test) {
  test.OpenFailing(Call::kSend, EPIPE);
  test.conn().Send("x");
}

void TheKernelHasNoBuffers(Test& test) {
  test.OpenFailing(Call::kSend, ENOBUFS);
  test.conn().Send("x");
}

void OurEndCannotBeSent(Test& test) {
  test.OpenFailing(Call::kShutdown, ENOTCONN);
  test.conn().CloseAfterFlush();
}

void TheFileCannotBeRead(Test& test) {
  test.OpenFailing(Call::kSendfile, EIO);
  test.conn().SendFile(UniqueFd(), 0, 1);
}

void ThePollerHasNoMemory(Test& test) {
  test.OpenOneNarrow();
  test.FailEpoll(ENOSPC);
  test.conn().Send(std::string(50'000, 'x'));
}

// Too slow.

void NobodySpeaks(Test& test) {
  test.limits().idle_timeout = absl::Seconds(10);
  test.OpenOne();
  test.loop_.Advance(kHour);
}

void ThePeerIsSilent(Test& test) {
  test.limits().read_timeout = absl::Seconds(10);
  test.OpenOne();
  test.loop_.Advance(kHour);
}

void NoFirstByteComes(Test& test) {
  test.limits().progress.first_byte_timeout = absl::Seconds(10);
  test.OpenOne();
  test.loop_.Advance(kHour);
}

void HalfAMessageComes(Test& test, const ProgressLimits& progress) {
  test.limits().progress = progress;
  test.log().on_data = [](TcpConnection&, Buffer&) {};
  test.OpenOne();
  test.peer().Send("half a messa");
  test.Settle();
  test.loop_.Advance(kHour);
}

void AMessageStaysHalf(Test& test) {
  HalfAMessageComes(test, {.message_timeout = absl::Seconds(10)});
}

void AMessageDrips(Test& test) { HalfAMessageComes(test, {.bytes_per_second_min = 4}); }

void ThePeerTakesNothing(Test& test) {
  test.OpenOneNarrow();
  test.conn().Send(std::string(50'000, 'x'));
  test.Settle();
  test.loop_.Advance(kHour);
}

void ThePeerDoesNotEnd(Test& test) {
  test.OpenOne();
  test.conn().CloseAfterFlush();
  test.Settle();
  test.loop_.Advance(kHour);
}

// Too much.

void TooMuchIsLeftUnread(Test& test) {
  test.limits().input_bytes_max = 5;
  test.log().on_data = [](TcpConnection&, Buffer&) {};
  test.OpenOne();
  test.peer().Send("123456");
}

void TooMuchIsSent(Test& test) {
  test.limits().output_bytes_low = test.limits().output_bytes_high = 5;
  test.limits().output_bytes_max = 5;
  test.OpenOne();
  test.conn().Send("123456");
}

// By decision.

void HandlerAborts(Test& test) {
  test.OpenOne();
  test.conn().Abort(absl::AbortedError("enough"));
}

void ACodecAborts(Test& test) {
  test.OpenOne();
  test.conn().Abort(absl::InvalidArgumentError("no such frame"), CloseCause::kBadInput);
}

void TheGraceIsOver(Test& test) {
  test.OpenOne();
  test.table().CloseAll(absl::DeadlineExceededError("the grace is over"),
                        CloseCause::kDrainTimeout);
}

void TheServerGoes(Test& test) {
  test.OpenOne();
  test.table().CloseAll(absl::CancelledError("the server was destroyed"));
}

// Two at once: the first is the cause of the others.

void AnAbortAndThenTheServerGoes(Test& test) {
  HandlerAborts(test);
  test.table().CloseAll(absl::CancelledError("the server was destroyed"));
}

void AResetWhileClosing(Test& test) {
  test.OpenOne();
  test.conn().CloseAfterFlush();
  test.Settle();
  test.peer().Reset();
}

const EndCase kEnds[] = {
    {"PeerEndsFirst", PeerEndsFirst, CloseCause::kPeerEnded, 0, "peer: ended"},
    {"HandlerClosesFirst", HandlerClosesFirst, CloseCause::kHandlerClosed, 0, "handler: closed"},
    {"OurHalfClosesFirst", OurHalfClosesFirst, CloseCause::kHandlerClosed, 0, "handler: closed"},
    {"ItIsIdleInADrain", ItIsIdleInADrain, CloseCause::kDrainIdle, 0,
     "server: drained it when idle"},
    {"WeGoOnAfterThePeersEnd", WeGoOnAfterThePeersEnd, CloseCause::kPeerEnded, 0, "peer: ended"},
    {"PeerResets", PeerResets, CloseCause::kPeerReset, ECONNRESET, "peer: reset (ECONNRESET)"},
    {"AReadFindsNoRoute", AReadFindsNoRoute, CloseCause::kPeerLost, EHOSTUNREACH,
     "network: does not reach the peer (EHOSTUNREACH)"},
    {"KeepAliveGivesUp", KeepAliveGivesUp, CloseCause::kPeerLost, ETIMEDOUT,
     "network: does not reach the peer (ETIMEDOUT)"},
    {"AWriteFindsThePipeBroken", AWriteFindsThePipeBroken, CloseCause::kPeerReset, EPIPE,
     "peer: reset (EPIPE)"},
    {"TheKernelHasNoBuffers", TheKernelHasNoBuffers, CloseCause::kSystemFailed, ENOBUFS,
     "system: send: No buffer space available (ENOBUFS)"},
    {"OurEndCannotBeSent", OurEndCannotBeSent, CloseCause::kPeerReset, ENOTCONN,
     "peer: reset (ENOTCONN)"},
    {"TheFileCannotBeRead", TheFileCannotBeRead, CloseCause::kFileFailed, EIO,
     "file: sendfile: Input/output error (EIO)"},
    {"ThePollerHasNoMemory", ThePollerHasNoMemory, CloseCause::kSystemFailed, ENOSPC,
     "No space left on device (ENOSPC)"},
    {"NobodySpeaks", NobodySpeaks, CloseCause::kIdleTimeout, 0, "timeout: idle for 10s"},
    {"ThePeerIsSilent", ThePeerIsSilent, CloseCause::kReadTimeout, 0, "timeout: no input for 10s"},
    {"NoFirstByteComes", NoFirstByteComes, CloseCause::kFirstByteTimeout, 0,
     "timeout: no first byte for 10s"},
    {"AMessageStaysHalf", AMessageStaysHalf, CloseCause::kMessageTimeout, 0,
     "timeout: a message was not whole after 10s"},
    {"AMessageDrips", AMessageDrips, CloseCause::kRateTimeout, 0,
     "timeout: a message came slower than 4 bytes a second"},
    {"ThePeerTakesNothing", ThePeerTakesNothing, CloseCause::kWriteTimeout, 0,
     "timeout: the peer took no output for 1m"},
    {"ThePeerDoesNotEnd", ThePeerDoesNotEnd, CloseCause::kLingerTimeout, 0,
     "timeout: the peer kept its end open for 5s"},
    {"TooMuchIsLeftUnread", TooMuchIsLeftUnread, CloseCause::kInputLimit, 0, "limit: the handler"},
    {"TooMuchIsSent", TooMuchIsSent, CloseCause::kOutputLimit, 0, "limit: to send 6 bytes"},
    {"HandlerAborts", HandlerAborts, CloseCause::kHandlerAborted, 0, "handler: enough"},
    {"ACodecAborts", ACodecAborts, CloseCause::kBadInput, 0, "protocol: no such frame"},
    {"TheGraceIsOver", TheGraceIsOver, CloseCause::kDrainTimeout, 0, "server: the grace is over"},
    {"TheServerGoes", TheServerGoes, CloseCause::kOwnerGone, 0, "owner: the server was destroyed"},
    {"AnAbortAndThenTheServerGoes", AnAbortAndThenTheServerGoes, CloseCause::kHandlerAborted, 0,
     "handler: enough"},
    {"AResetWhileClosing", AResetWhileClosing, CloseCause::kPeerReset, ECONNRESET, "peer: reset"},
};

class TcpConnectionEndTest : public TcpConnectionReasonTest,
                             public ::testing::WithParamInterface<EndCase> {};

TEST_P(TcpConnectionEndTest, NamesWhoWhyAndErrno) {
  GetParam().end(*this);
  ASSERT_TRUE(StepUntilClosed());
  const CloseReason& reason = log_.reasons[0];
  EXPECT_EQ(reason.cause, GetParam().cause) << NameOf(reason.cause);
  EXPECT_EQ(reason.error, GetParam().error);
  EXPECT_EQ(reason.status, log_.closes[0]) << "both tell the same";
  EXPECT_THAT(reason.ToString(), ::testing::HasSubstr(GetParam().text));
  EXPECT_EQ(Ended(GetParam().cause), 1u) << "and counts it";
  EXPECT_EQ(EndedInAll(), 1u);
}

INSTANTIATE_TEST_SUITE_P(All, TcpConnectionEndTest, ::testing::ValuesIn(kEnds),
                         [](const auto& info) { return info.param.name; });

TEST_F(TcpConnectionReasonTest, AnOpenConnectionHasNone) {
  OpenOne();
  EXPECT_EQ(conn().close_reason().cause, CloseCause::kNone);
}

// Those that never opened are counted by cause, too.

TEST_F(TcpConnectionReasonTest, WhatNoHandlerIsMadeForIsRefused) {
  auto [ours, theirs] = TcpPair();
  table().Open(std::move(ours), SocketAddress(), {},
               []() -> std::unique_ptr<ConnectionHandler> { return nullptr; });
  EXPECT_EQ(Ended(CloseCause::kRefused), 1u);
  EXPECT_EQ(counters_.failed_to_open.value(), 1u);
}

TEST_F(TcpConnectionReasonTest, WhatCannotBeWatchedIsTheSystemsFault) {
  FailEpoll(ENOMEM);
  OpenOne();
  EXPECT_EQ(Ended(CloseCause::kSystemFailed), 1u);
  EXPECT_EQ(EndedInAll(), 1u);
}

// Shakes hands for ever, or fails to.
class ColdTransport final : public Transport {
 public:
  ColdTransport(Socket socket, IoResult answer) : plain_(std::move(socket)), answer_(answer) {}

  Socket& socket() override { return plain_.socket(); }
  IoResult Handshake() override { return answer_; }
  IoResult Read(absl::Span<char> into) override { return plain_.Read(into); }
  IoResult Write(absl::Span<const iovec> from) override { return plain_.Write(from); }
  IoResult CloseWrite() override { return plain_.CloseWrite(); }

 private:
  PlainTransport plain_;
  const IoResult answer_;
};

TransportFactory ColdTransports(IoResult answer) {
  return [answer](Socket socket) -> absl::StatusOr<std::unique_ptr<Transport>> {
    return std::make_unique<ColdTransport>(std::move(socket), answer);
  };
}

TEST_F(TcpConnectionReasonTest, AHandshakeThatFailsIsThatWhateverTheErrno) {
  transport_ = ColdTransports(IoResult::Failed(IoCall::kRecv, ECONNRESET));
  OpenOne();
  EXPECT_EQ(Ended(CloseCause::kHandshakeFailed), 1u);
}

TEST_F(TcpConnectionReasonTest, APeerThatLeavesDuringTheHandshakeFailsIt) {
  transport_ = ColdTransports(IoResult::kEnd);
  OpenOne();
  EXPECT_EQ(Ended(CloseCause::kHandshakeFailed), 1u);
}

TEST_F(TcpConnectionReasonTest, AHandshakeThatStallsIsATimeout) {
  transport_ = ColdTransports(IoResult::kWantRead);
  OpenOne();
  loop_.Advance(kHour);
  EXPECT_EQ(Ended(CloseCause::kHandshakeTimeout), 1u);
  EXPECT_EQ(EndedInAll(), 1u);
}

}  // namespace
}  // namespace millrace
