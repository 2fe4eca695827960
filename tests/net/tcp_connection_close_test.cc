// SPDX-License-Identifier: Apache-2.0
//
// How a connection ends: by whom, in what order, for which reason, and that it is told once.
#include <errno.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TcpConnectionCloseTest : public ConnectionTest {
 protected:
  static void EchoAll(TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); }
  static void StayOpen(TcpConnection&, Buffer&) {}

  // It is gone, with its memory, and so is its descriptor.
  void ExpectGone() {
    ASSERT_EQ(log_.closes.size(), 1u);
    EXPECT_EQ(table().size(), 0u);
    Settle();
    EXPECT_EQ(log_.closes.size(), 1u) << "told once";
    EXPECT_EQ(memory().output_pools().blocks.in_use(), 0u);
    EXPECT_EQ(memory().output_pools().pieces.in_use(), 0u);
    EXPECT_EQ(counters_.closed.value(), 1u);
    EXPECT_EQ(counters_.closed_on_error.value(), log_.closes[0].ok() ? 0u : 1u);
  }
};

// The peer ends its stream.

TEST_F(TcpConnectionCloseTest, OutputIsDeliveredInFullAfterThePeersHalfClose) {
  log_.on_data = EchoAll;
  Peer peer = OpenNarrow();
  const std::string bytes = Pattern(300'000);
  Send(peer, bytes.substr(0, 10'000));
  std::string received;
  absl::string_view rest = absl::string_view(bytes).substr(10'000);
  ASSERT_TRUE(StepUntil([&] {
    rest.remove_prefix(peer.SendSome(rest));
    if (!rest.empty()) received += peer.ReceiveSome();
    return rest.empty();
  }));
  peer.CloseWrite();
  Settle();
  received += ReceiveAll(peer);
  EXPECT_TRUE(received == bytes);
  EXPECT_TRUE(peer.ended());
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_TRUE(log_.closes[0].ok());
  ExpectGone();
}

TEST_F(TcpConnectionCloseTest, APeerThatClosesAtOnceEndsInGoodOrder) {
  Peer peer = Open();
  peer.Close();
  EXPECT_TRUE(StepUntilClosed());
  EXPECT_THAT(log_.events, ElementsAre("open", "end", "close OK"));
  ExpectGone();
}

TEST_F(TcpConnectionCloseTest, AfterThePeersEndClosingIsGoodbyeEnough) {
  log_.on_data = EchoAll;
  Peer peer = Open();
  const ScopedFault shutdown(Call::kShutdown, {.fd = fd()});
  peer.Send("hello");
  peer.CloseWrite();
  EXPECT_EQ(ReceiveAll(peer), "hello");
  EXPECT_TRUE(peer.ended());
  EXPECT_EQ(shutdown.hits(), 0) << "it would only cost a system call";
}

TEST_F(TcpConnectionCloseTest, BytesBeforeTheEndComeBeforeTheEnd) {
  Peer peer = Open();
  peer.Send("last words");
  peer.Close();
  EXPECT_TRUE(StepUntilClosed());
  EXPECT_THAT(log_.events, ElementsAre("open", "data 10", "end", "close OK"));
}

TEST_F(TcpConnectionCloseTest, WhatIsUnreadAtTheEndIsHandedOver) {
  std::string rest;
  log_.on_data = [](TcpConnection&, Buffer&) {};
  log_.on_end = [&](TcpConnection& conn, Buffer& input) {
    rest = input.ReadString(input.size());
    conn.CloseAfterFlush();
  };
  Peer peer = Open();
  peer.Send("half a messa");
  peer.CloseWrite();
  EXPECT_TRUE(StepUntilClosed());
  EXPECT_EQ(rest, "half a messa");
}

TEST_F(TcpConnectionCloseTest, WhatIsUnreadAtTheEndCanBeSentOn) {
  log_.on_data = [](TcpConnection&, Buffer&) {};
  log_.on_end = [&](TcpConnection& conn, Buffer& input) {
    conn.Send(std::move(input));
    conn.CloseAfterFlush();
  };
  Peer peer = Open();
  const std::string bytes = Pattern(3000);
  peer.Send(bytes);
  peer.CloseWrite();
  EXPECT_EQ(ReceiveAll(peer), bytes);
}

TEST_F(TcpConnectionCloseTest, AHandlerThatOverridesTheEndKeepsOurHalfOpen) {
  log_.on_end = StayOpen;
  Peer peer = Open();
  peer.CloseWrite();
  ASSERT_TRUE(StepUntil([&] { return log_.events.back() == "end"; }));
  Settle();
  EXPECT_FALSE(log_.closed());
  EXPECT_TRUE(conn().Send("still here"));
  EXPECT_EQ(Receive(peer, 10), "still here");
  conn().CloseAfterFlush();
  EXPECT_EQ(ReceiveAll(peer), "");
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_TRUE(log_.closes[0].ok());
  ExpectGone();
}

TEST_F(TcpConnectionCloseTest, AfterThePeersEndNothingIsOfferedAgain) {
  log_.on_data = [](TcpConnection&, Buffer&) {};
  log_.on_end = StayOpen;
  Peer peer = Open();
  peer.Send("unread");
  peer.CloseWrite();
  ASSERT_TRUE(StepUntil([&] { return log_.events.back() == "end"; }));
  conn().PauseReading();
  conn().ResumeReading();
  Settle();
  EXPECT_THAT(log_.events, ElementsAre("open", "data 6", "end"));
}

// We end ours.

TEST_F(TcpConnectionCloseTest, AfterCloseWriteThePeerMayGoOn) {
  Peer peer = Open();
  conn().Send("our last");
  conn().CloseWrite();
  EXPECT_EQ(ReceiveAll(peer), "our last");
  EXPECT_TRUE(peer.ended());
  peer.Send("but not mine");
  EXPECT_TRUE(StepUntil([&] { return log_.received == "but not mine"; }));
  EXPECT_FALSE(log_.closed());
  peer.Close();
  EXPECT_TRUE(StepUntilClosed());
  EXPECT_THAT(log_.events, ElementsAre("open", "data 12", "end", "close OK"));
  ExpectGone();
}

TEST_F(TcpConnectionCloseTest, CloseWriteFromTheEndOfInputIsTheEnd) {
  log_.on_end = [](TcpConnection& conn, Buffer&) { conn.CloseWrite(); };
  Peer peer = Open();
  peer.CloseWrite();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_TRUE(log_.closes[0].ok());
}

TEST_F(TcpConnectionCloseTest, CloseWriteComesAfterWhatWaits) {
  Peer peer = OpenNarrow();
  const std::string bytes = Pattern(50'000);
  conn().Send(bytes);
  conn().CloseWrite();
  EXPECT_EQ(ReceiveAll(peer), bytes);
  EXPECT_FALSE(log_.closed());
}

TEST_F(TcpConnectionCloseTest, ClosingTwiceIsClosingOnce) {
  Peer peer = Open();
  const ScopedFault shutdown(Call::kShutdown, {.fd = fd()});
  conn().CloseWrite();
  conn().CloseWrite();
  Settle();
  EXPECT_EQ(shutdown.hits(), 1);
  conn().CloseAfterFlush();
  conn().CloseAfterFlush();
  conn().CloseWrite();
  Settle();
  EXPECT_EQ(shutdown.hits(), 1);
  peer.Close();
  EXPECT_TRUE(StepUntilClosed());
  ExpectGone();
}

TEST_F(TcpConnectionCloseTest, CloseAfterFlushWaitsForThePeersEnd) {
  Peer peer = Open();
  conn().Send("goodbye");
  conn().CloseAfterFlush();
  EXPECT_EQ(ReceiveAll(peer), "goodbye");
  EXPECT_TRUE(peer.ended());
  EXPECT_FALSE(log_.closed());
  peer.Close();
  EXPECT_TRUE(StepUntilClosed());
  EXPECT_THAT(log_.events, ElementsAre("open", "close OK"));
  ExpectGone();
}

TEST_F(TcpConnectionCloseTest, WhileItLingersInputIsDropped) {
  Peer peer = Open();
  conn().CloseAfterFlush();
  Settle();
  Send(peer, std::string(1'000'000, 'x'));
  EXPECT_FALSE(peer.was_reset());
  peer.CloseWrite();
  EXPECT_TRUE(StepUntilClosed());
  EXPECT_THAT(log_.events, ElementsAre("open", "close OK"));
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.ended()) << "and not reset, though it sent what nobody wanted";
}

TEST_F(TcpConnectionCloseTest, EvenPausedItWaitsForThePeersEnd) {
  Peer peer = Open();
  conn().PauseReading();
  conn().CloseAfterFlush();
  Settle();
  peer.Close();
  EXPECT_TRUE(StepUntilClosed());
}

TEST_F(TcpConnectionCloseTest, WhileItFlushesInputIsDroppedAndDoesNotBlockThePeer) {
  Peer peer = OpenNarrow();
  const std::string bytes = Pattern(100'000);
  conn().Send(bytes);
  conn().CloseAfterFlush();
  Send(peer, std::string(100'000, 'x'));
  EXPECT_EQ(ReceiveAll(peer), bytes);
  EXPECT_EQ(log_.received, "");
}

TEST_F(TcpConnectionCloseTest, InputLeftInTheCallThatClosesIsNobodysFault) {
  limits_.input_bytes_max = 100;
  log_.on_data = [](TcpConnection& conn, Buffer& input) {
    if (input.size() < 100) return;
    conn.Send("that is too much");
    conn.CloseAfterFlush();
  };
  Peer peer = Open();
  peer.Send("some first");
  ASSERT_TRUE(StepUntil([&] { return log_.events.back() == "data 10"; }));
  peer.Send(std::string(5'000, 'x'));
  EXPECT_EQ(ReceiveAll(peer), "that is too much");
  EXPECT_TRUE(peer.ended());
  peer.Close();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_TRUE(log_.closes[0].ok()) << log_.closes[0];
}

TEST_F(TcpConnectionCloseTest, BothCloseAtOnce) {
  Peer peer = Open();
  peer.CloseWrite();
  conn().CloseAfterFlush();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_TRUE(log_.closes[0].ok());
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.ended());
  ExpectGone();
}

TEST_F(TcpConnectionCloseTest, OnceClosingWhatIsSentIsDropped) {
  const std::function<void()> closes[] = {
      [&] { conn().CloseWrite(); },
      [&] { conn().CloseAfterFlush(); },
      [&] { conn().Abort(absl::AbortedError("enough")); },
  };
  for (const auto& close : closes) {
    Peer peer = Open();
    close();
    EXPECT_FALSE(conn().Send("x"));
    EXPECT_FALSE(conn().SendOwned("x"));
    EXPECT_FALSE(conn().Send(absl::Cord("x")));
    Buffer buffer;
    buffer.Append("x");
    EXPECT_FALSE(conn().Send(std::move(buffer)));
    EXPECT_FALSE(conn().SendFile(UniqueFd(), 0, 1));
    EXPECT_FALSE(conn().Send("")) << "nothing can follow";
    EXPECT_EQ(conn().output_bytes(), 0u);
    EXPECT_EQ(ReceiveAll(peer), "");
  }
}

// Aborts and resets.

TEST_F(TcpConnectionCloseTest, AbortDropsWhatWaitsAndResetsThePeer) {
  Peer peer = Open();
  conn().Send("never sent");
  conn().Abort(absl::AbortedError("enough"));
  EXPECT_FALSE(log_.closed()) << "never from inside";
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_EQ(log_.closes[0], absl::AbortedError("enough"));
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.was_reset());
  ExpectGone();
}

TEST_F(TcpConnectionCloseTest, TheFirstReasonCounts) {
  Peer peer = Open();
  conn().Abort(absl::AbortedError("first"));
  conn().Abort(absl::AbortedError("second"));
  conn().CloseAfterFlush();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_EQ(log_.closes[0], absl::AbortedError("first"));
}

TEST_F(TcpConnectionCloseTest, AbortWhileItLingersEndsItAtOnce) {
  Peer peer = Open();
  conn().CloseAfterFlush();
  Settle();
  conn().Abort(absl::AbortedError("no patience"));
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_EQ(log_.closes[0], absl::AbortedError("no patience"));
}

struct ResetCase {
  const char* name;
  std::function<void(TcpConnection&)> before;  // Brings the connection into its state.
};

class TcpConnectionResetTest : public TcpConnectionCloseTest,
                               public ::testing::WithParamInterface<ResetCase> {};

TEST_P(TcpConnectionResetTest, IsToldOnceAndAsAnError) {
  limits_.output_bytes_max = 100'000'000;
  Peer peer = Open();
  GetParam().before(conn());
  Settle();
  peer.Reset();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_EQ(log_.closes[0].code(), absl::StatusCode::kUnavailable) << log_.closes[0];
  ExpectGone();
}

INSTANTIATE_TEST_SUITE_P(
    States, TcpConnectionResetTest,
    ::testing::Values(ResetCase{"Idle", [](TcpConnection&) {}},
                      ResetCase{"OutputBlocked",
                                [](TcpConnection& conn) {
                                  conn.SendOwned(std::string(50'000'000, 'x'));
                                }},
                      ResetCase{"OutputBlockedAndPaused",
                                [](TcpConnection& conn) {
                                  conn.PauseReading();
                                  conn.SendOwned(std::string(50'000'000, 'x'));
                                }},
                      ResetCase{"Flushing",
                                [](TcpConnection& conn) {
                                  conn.SendOwned(std::string(50'000'000, 'x'));
                                  conn.CloseAfterFlush();
                                }},
                      ResetCase{"Lingering", [](TcpConnection& conn) { conn.CloseAfterFlush(); }},
                      ResetCase{"OurHalfClosed", [](TcpConnection& conn) { conn.CloseWrite(); }}),
    [](const auto& info) { return info.param.name; });

TEST_F(TcpConnectionCloseTest, AResetInTheMiddleOfTheHandlersCallIsToldAfterIt) {
  std::unique_ptr<Peer> peer;
  log_.on_data = [&](TcpConnection& conn, Buffer& input) {
    peer->Reset();
    conn.Send(std::move(input));
    EXPECT_FALSE(log_.closed());
  };
  peer = std::make_unique<Peer>(Open());
  peer->Send("hello");
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_FALSE(log_.closes[0].ok());
  ExpectGone();
}

TEST_F(TcpConnectionCloseTest, AResetAfterThePeersHalfCloseIsMetWhenWriting) {
  log_.on_end = StayOpen;
  Peer peer = Open();
  peer.CloseWrite();
  ASSERT_TRUE(StepUntil([&] { return log_.events.back() == "end"; }));
  peer.Reset();
  conn().Send("anybody?");
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_FALSE(log_.closes[0].ok());
  ExpectGone();
}

// System calls that fail.

TEST_F(TcpConnectionCloseTest, AFailedReadIsTheReason) {
  for (int error : {ETIMEDOUT, EHOSTUNREACH, ENOMEM, ECONNRESET, EBADF}) {
    log_.closes.clear();
    Peer peer = Open();
    const ScopedFault fault(Call::kRecv, {.error = error, .fd = fd()});
    peer.Send("x");
    ASSERT_TRUE(StepUntilClosed());
    EXPECT_EQ(log_.closes[0].code(), absl::ErrnoToStatusCode(error));
    EXPECT_THAT(log_.closes[0].message(), HasSubstr("recv"));
    EXPECT_EQ(fault.hits(), 1);
  }
}

TEST_F(TcpConnectionCloseTest, AFailedWriteIsTheReasonAndResetsThePeer) {
  for (int error : {EPIPE, ENOBUFS, ENOMEM, EHOSTUNREACH}) {
    log_.closes.clear();
    Peer peer = Open();
    const ScopedFault fault(Call::kSend, {.error = error, .fd = fd()});
    conn().Send("x");
    ASSERT_TRUE(StepUntilClosed());
    EXPECT_EQ(log_.closes[0].code(), absl::ErrnoToStatusCode(error));
    EXPECT_THAT(log_.closes[0].message(), HasSubstr("send"));
    EXPECT_EQ(fault.hits(), 1);
    EXPECT_EQ(ReceiveAll(peer), "");
    EXPECT_TRUE(peer.was_reset());
  }
}

TEST_F(TcpConnectionCloseTest, AFailedShutdownIsTheReason) {
  Peer peer = Open();
  const ScopedFault fault(Call::kShutdown, {.error = ENOTCONN, .fd = fd()});
  conn().CloseAfterFlush();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_THAT(log_.closes[0].message(), HasSubstr("shutdown"));
  ExpectGone();
}

TEST_F(TcpConnectionCloseTest, APollerWithoutMemoryIsTheReason) {
  Peer peer = OpenNarrow();
  const ScopedFault fault(Call::kEpollCtl, {.error = ENOSPC, .times = 1});
  conn().Send(std::string(50'000, 'x'));
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_THAT(log_.closes[0].message(), HasSubstr("epoll_ctl"));
  EXPECT_TRUE(fault.spent());
  ExpectGone();
}

TEST_F(TcpConnectionCloseTest, WhatNeverOpenedIsNeverClosed) {
  const ScopedFault fault(Call::kEpollCtl, {.error = ENOMEM, .times = 1});
  Peer peer = Open();
  Settle();
  EXPECT_THAT(log_.events, ElementsAre());
  EXPECT_EQ(table().size(), 0u);
  EXPECT_EQ(counters_.failed_to_open.value(), 1u);
  EXPECT_EQ(counters_.closed.value(), 0u);
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.was_reset()) << "an orderly end would look like an empty answer";
}

}  // namespace
}  // namespace millrace
