// SPDX-License-Identifier: Apache-2.0
//
// How a connection holds back: what it reads, what it lets wait, and who goes first.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/limits.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

class TcpConnectionFlowTest : public ConnectionTest {
 protected:
  TcpConnectionFlowTest() {
    limits_.output_bytes_low = 10'000;
    limits_.output_bytes_high = 40'000;
    limits_.output_bytes_max = 100'000;
  }

  int CountOf(absl::string_view event) const {
    return static_cast<int>(std::count(log_.events.begin(), log_.events.end(), event));
  }
  static void EchoAll(TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); }
};

// The marks.

TEST_F(TcpConnectionFlowTest, SendSaysFalseAboveTheHighMarkAndNotAtIt) {
  Peer peer = OpenNarrow();
  EXPECT_TRUE(conn().Send(std::string(39'999, 'a')));
  EXPECT_TRUE(conn().Send("b"));
  EXPECT_EQ(conn().output_bytes(), 40'000u);
  EXPECT_FALSE(conn().Send("c"));
  EXPECT_FALSE(conn().Send("")) << "still no room";
}

TEST_F(TcpConnectionFlowTest, OnWritableComesOnceWhenOutputIsDownAtTheLowMark) {
  Peer peer = OpenNarrow();
  uint64_t left = 0;
  log_.on_writable = [&](TcpConnection& conn) { left = conn.output_bytes(); };
  EXPECT_FALSE(conn().Send(std::string(60'000, 'x')));
  Settle();
  EXPECT_EQ(CountOf("writable"), 0);
  size_t received = 0;
  while (conn().output_bytes() > 10'000) {
    EXPECT_EQ(CountOf("writable"), 0) << "at " << conn().output_bytes();
    received += peer.ReceiveSome().size();
    loop_.Step();
  }
  EXPECT_EQ(CountOf("writable"), 1);
  EXPECT_LE(left, 10'000u);
  EXPECT_GT(left, 0u);
  EXPECT_TRUE(conn().Send(""));
  received += Receive(peer, 60'000 - received).size();
  Settle();
  EXPECT_EQ(received, 60'000u);
  EXPECT_EQ(CountOf("writable"), 1);
}

TEST_F(TcpConnectionFlowTest, EachCrossingIsToldAgain) {
  Peer peer = OpenNarrow();
  for (int i = 1; i <= 3; ++i) {
    EXPECT_FALSE(conn().Send(std::string(60'000, 'x')));
    EXPECT_EQ(Receive(peer, 60'000).size(), 60'000u);
    EXPECT_TRUE(StepUntil([&] { return CountOf("writable") == i; }));
  }
}

TEST_F(TcpConnectionFlowTest, BelowTheHighMarkNothingIsTold) {
  Peer peer = OpenNarrow();
  EXPECT_TRUE(conn().Send(std::string(40'000, 'x')));
  EXPECT_EQ(Receive(peer, 40'000).size(), 40'000u);
  Settle();
  EXPECT_EQ(CountOf("writable"), 0);
}

TEST_F(TcpConnectionFlowTest, AtTheLowMarkItIsTold) {
  Peer peer = OpenNarrow();
  const ScopedFault fault(Call::kSend, {.times = 1, .short_bytes = 50'000, .fd = fd()});
  ASSERT_TRUE(conn().transport()->socket().SetSendBufferBytes(200'000).ok());
  conn().SendOwned(std::string(60'000, 'x'));
  loop_.Step();
  EXPECT_EQ(conn().output_bytes(), 10'000u);
  EXPECT_EQ(CountOf("writable"), 1);
}

TEST_F(TcpConnectionFlowTest, OnceClosingNothingIsToldOfRoom) {
  for (bool half : {true, false}) {
    Peer peer = OpenNarrow();
    conn().Send(std::string(60'000, 'x'));
    half ? conn().CloseWrite() : conn().CloseAfterFlush();
    EXPECT_EQ(ReceiveAll(peer).size(), 60'000u);
    EXPECT_EQ(CountOf("writable"), 0);
  }
}

TEST_F(TcpConnectionFlowTest, WhatThePeerTakesAtOnceIsToldToo) {
  Peer peer = Open();
  EXPECT_FALSE(conn().Send(std::string(60'000, 'x'))) << "so somebody waits for OnWritable()";
  EXPECT_TRUE(StepUntil([&] { return CountOf("writable") == 1; }));
}

TEST_F(TcpConnectionFlowTest, AWriterDrivenByOnWritableSendsAll) {
  int rounds = 0;
  log_.on_writable = [&](TcpConnection& conn) {
    while (rounds < 100) {
      ++rounds;
      if (!conn.Send(std::string(7'000, 'x'))) return;
    }
    conn.CloseAfterFlush();
  };
  Peer peer = OpenNarrow();
  while (conn().Send(std::string(7'000, 'x'))) ++rounds;
  ++rounds;
  EXPECT_EQ(ReceiveAll(peer).size(), 700'000u);
}

TEST_F(TcpConnectionFlowTest, AnEndlessWriterLeavesTheLoopToOthers) {
  log_.on_open = log_.on_writable = [](TcpConnection& conn) {
    while (conn.Send(std::string(7'000, 'x'))) {
    }
  };
  Peer peer = Open();
  for (int i = 0; i < 20; ++i) {
    loop_.Step();  // Comes back, though the kernel may take megabytes.
    peer.ReceiveSome();
  }
  EXPECT_LT(CountOf("writable"), 25);
}

// Backpressure without the handler doing anything.

TEST_F(TcpConnectionFlowTest, AboveTheHighMarkInputIsLeftInTheKernel) {
  Peer peer = OpenNarrow();
  conn().Send(std::string(60'000, 'x'));
  Settle();
  peer.SendSome("hello");
  Settle();
  EXPECT_EQ(log_.received, "");
  EXPECT_EQ(Receive(peer, 60'000).size(), 60'000u);
  EXPECT_TRUE(StepUntil([&] { return log_.received == "hello"; }));
}

TEST_F(TcpConnectionFlowTest, AnEchoOfOneWhoDoesNotReadStaysBounded) {
  log_.on_data = EchoAll;
  limits_.read_bytes_per_turn = 5'000;
  Peer peer = OpenNarrow();
  const std::string bytes = Pattern(1'000'000);
  absl::string_view rest = bytes;
  for (int i = 0; i < 1'000; ++i) {
    rest.remove_prefix(peer.SendSome(rest));
    loop_.Step();
    ASSERT_LE(conn().output_bytes(), 45'000u);
  }
  EXPECT_GT(rest.size(), 900'000u);
  std::string received;
  EXPECT_TRUE(StepUntil([&] {
    rest.remove_prefix(peer.SendSome(rest));
    received += peer.ReceiveSome();
    return received.size() == bytes.size();
  }));
  EXPECT_TRUE(received == bytes);
}

TEST_F(TcpConnectionFlowTest, WhatAHandlerLeftForWantOfRoomIsOfferedOnceThereIsRoom) {
  log_.on_data = [](TcpConnection& conn, Buffer& input) {
    while (!input.empty()) {
      if (!conn.Send(std::string(10'000, input.ReadString(1)[0]))) return;
    }
  };
  Peer peer = OpenNarrow();
  peer.Send("abcdefghij");
  EXPECT_EQ(Receive(peer, 100'000).size(), 100'000u) << "and no more input came to remind it";
}

TEST_F(TcpConnectionFlowTest, WhatIsLeftForWantOfRoomComesBeforeThePeersEnd) {
  log_.on_data = [](TcpConnection& conn, Buffer& input) {
    while (!input.empty()) {
      if (!conn.Send(std::string(10'000, input.ReadString(1)[0]))) return;
    }
  };
  Peer peer = OpenNarrow();
  peer.Send("abcdefghij");
  peer.CloseWrite();
  EXPECT_EQ(ReceiveAll(peer).size(), 100'000u);
  EXPECT_TRUE(StepUntilClosed());
  EXPECT_EQ(log_.received, "abcdefghij");
  EXPECT_TRUE(log_.closes[0].ok());
}

// The bound.

TEST_F(TcpConnectionFlowTest, WhatPassesTheBoundAbortsNamingIt) {
  Peer peer = OpenNarrow();
  conn().Send(std::string(100'000, 'x'));
  EXPECT_EQ(conn().output_bytes(), 100'000u) << "up to the bound is fine";
  EXPECT_FALSE(conn().Send("y"));
  EXPECT_FALSE(log_.closed()) << "never from inside";
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_EQ(log_.closes[0].code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(log_.closes[0].message(), HasSubstr("output_bytes_max"));
  EXPECT_THAT(log_.closes[0].message(), HasSubstr("100000"));
}

TEST_F(TcpConnectionFlowTest, TheBoundHoldsForEveryKind) {
  const std::string bytes(100'001, 'x');
  Buffer buffer;
  buffer.Append(bytes);
  const std::function<bool()> sends[] = {
      [&] { return conn().Send(bytes); },
      [&] { return conn().SendOwned(bytes); },
      [&] { return conn().Send(absl::Cord(bytes)); },
      [&] { return conn().Send(std::move(buffer)); },
  };
  for (const auto& send : sends) {
    log_.closes.clear();
    Peer peer = Open();
    EXPECT_FALSE(send());
    ASSERT_TRUE(StepUntilClosed());
    EXPECT_EQ(log_.closes[0].code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(ReceiveAll(peer), "");
    EXPECT_TRUE(peer.was_reset());
  }
}

TEST_F(TcpConnectionFlowTest, FilesAreNotBoundBecauseTheyTakeNoMemory) {
  UniqueFd file(memfd_create("test", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(file.get(), 5'000'000), 0);
  Peer peer = OpenNarrow();
  EXPECT_FALSE(conn().SendFile(std::move(file), 0, 5'000'000)) << "but it holds our reading back";
  conn().Send(std::string(90'000, 'x'));
  EXPECT_EQ(Receive(peer, 5'090'000).size(), 5'090'000u);
  EXPECT_FALSE(log_.closed());
}

TEST_F(TcpConnectionFlowTest, BehindALargeFileTheBoundStillHolds) {
  UniqueFd file(memfd_create("test", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(file.get(), 5'000'000), 0);
  Peer peer = OpenNarrow();
  conn().SendFile(std::move(file), 0, 5'000'000);
  for (int i = 0; i < 11; ++i) conn().Send(std::string(10'000, 'x'));
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_EQ(log_.closes[0].code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(TcpConnectionFlowTest, InputThatTheHandlerLeavesIsBound) {
  limits_.input_bytes_max = 5'000;
  log_.on_data = [](TcpConnection&, Buffer&) {};
  Peer peer = Open();
  peer.Send(std::string(5'000, 'x'));
  EXPECT_TRUE(StepUntil([&] { return log_.events.back() == "data 5000"; }));
  EXPECT_FALSE(log_.closed());
  peer.Send("y");
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_EQ(log_.closes[0].code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(log_.closes[0].message(), HasSubstr("input_bytes_max"));
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.was_reset());
}

TEST_F(TcpConnectionFlowTest, WhatIsConsumedAtOnceIsNotBound) {
  limits_.input_bytes_max = 5'000;
  Peer peer = Open();
  Send(peer, std::string(100'000, 'x'));
  EXPECT_TRUE(StepUntil([&] { return log_.received.size() == 100'000; }));
  EXPECT_FALSE(log_.closed());
}

// Fairness.

TEST_F(TcpConnectionFlowTest, AFlooderGetsItsShareOfATurnAndItsNeighbourToo) {
  limits_.read_bytes_per_turn = 1'000;
  Peer flooder = Open();
  Peer neighbour = OpenNeighbour();
  flooder.Send(std::string(50'000, 'x'));
  neighbour.Send("hello");
  ASSERT_TRUE(StepUntil([&] { return neighbour_log_.received == "hello"; }));
  EXPECT_LE(log_.received.size(), 2'000u);
  for (int i = 0; i < 10; ++i) {
    const size_t before = log_.received.size();
    loop_.Step();
    EXPECT_EQ(log_.received.size() - before, 1'000u);
  }
  EXPECT_TRUE(StepUntil([&] { return log_.received.size() == 50'000; }));
}

TEST_F(TcpConnectionFlowTest, ManyPiecesGoInOneTurnWhileThereIsRoom) {
  Peer peer = Open();
  for (int i = 0; i < 90; ++i) conn().SendOwned(std::string(1'024, 'x'));
  loop_.Step();
  EXPECT_EQ(conn().output_bytes(), 0u);
}

TEST_F(TcpConnectionFlowTest, ASocketThatIsOnlyWritableIsNotReadFrom) {
  Peer peer = OpenNarrow();
  const ScopedFault recv(Call::kRecv, {.fd = fd()});
  conn().Send(std::string(30'000, 'x'));
  size_t received = 0;
  EXPECT_TRUE(StepUntil([&] {
    // By another call than the one that is counted.
    char bytes[10'000];
    const ssize_t n = read(peer.socket().fd(), bytes, sizeof(bytes));
    if (n > 0) received += static_cast<size_t>(n);
    return received == 30'000;
  }));
  EXPECT_EQ(recv.hits(), 0);
}

TEST_F(TcpConnectionFlowTest, SmallWritesOfOneConnectionAreBoundInATurn) {
  limits_.output_bytes_max = 20'000'000;
  Peer peer = Open();
  const ScopedFault sendmsg(Call::kSendmsg, {.short_bytes = 100'000, .fd = fd()});
  const ScopedFault send(Call::kSend, {.fd = fd()});
  for (int i = 0; i < 10'000; ++i) conn().SendOwned(std::string(1'024, 'x'));
  loop_.Step();
  EXPECT_LE(sendmsg.hits() + send.hits(), kWritesPerTurnMax);
  EXPECT_EQ(Receive(peer, 10'240'000).size(), 10'240'000u);
}

}  // namespace
}  // namespace millrace
