// SPDX-License-Identifier: Apache-2.0
//
// What a connection carries. How it ends is in tcp_connection_close_test, how it holds back in
// _flow_test and _pause_test, how it loses patience in _timeout_test, what other transports ask of
// it in _handshake_test, what a handler may do to it in _calls_test, and all at once in
// _model_test.
#include "net/tcp_connection.h"

#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/connection_test.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

void Echo(TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); }

UniqueFd FileWith(absl::string_view bytes) {
  UniqueFd file(memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  return file;
}

class TcpConnectionTest : public ConnectionTest {
 protected:
  // All memory for output was given back, and no queue holds any.
  bool NoOutputMemory() {
    OutputQueue::Pools& pools = memory().output_pools();
    return pools.blocks.in_use() == 0 && pools.pieces.in_use() == 0;
  }
};

TEST_F(TcpConnectionTest, Echoes) {
  log_.on_data = Echo;
  Peer peer = Open();
  peer.Send("hello");
  EXPECT_EQ(Receive(peer, 5), "hello");
  peer.CloseWrite();
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.ended());
  EXPECT_TRUE(StepUntilClosed());
  EXPECT_THAT(log_.events, ElementsAre("open", "data 5", "end", "close OK"));
}

TEST_F(TcpConnectionTest, EchoesMuchBothWaysAtOnce) {
  log_.on_data = Echo;
  Peer peer = Open();
  const std::string bytes = Pattern(20'000'000);
  absl::string_view rest = bytes;
  std::string received;
  ASSERT_TRUE(StepUntil([&] {
    rest.remove_prefix(peer.SendSome(rest));
    received += peer.ReceiveSome();
    return received.size() >= bytes.size();
  }));
  EXPECT_TRUE(received == bytes);
  EXPECT_TRUE(NoOutputMemory());
}

TEST_F(TcpConnectionTest, OneByteAtATimeIsAsGoodAsAll) {
  std::string message;
  log_.on_data = [&](TcpConnection& conn, Buffer& input) {
    if (input.size() < 20) return;
    message = input.ReadString(20);
    conn.Send(message);
  };
  Peer peer = Open();
  const std::string sent = "twenty bytes, slowly";
  for (size_t i = 0; i < 20; ++i) {
    peer.Send(sent.substr(i, 1));
    ASSERT_TRUE(StepUntil([&] { return log_.events.size() == 2 + i; }));
    EXPECT_EQ(log_.events.back(), absl::StrCat("data ", i + 1)) << "what was left is offered again";
  }
  EXPECT_EQ(Receive(peer, 20), sent);
}

TEST_F(TcpConnectionTest, WhatACallSendsGoesOutInOneWrite) {
  log_.on_data = [](TcpConnection& conn, Buffer& input) {
    conn.Send("one ");
    conn.SendOwned(std::string(2000, 'o'));
    conn.Send(absl::Cord(std::string(3000, 'c')));
    conn.Send(std::move(input));
    conn.Send(" last");
  };
  Peer peer = Open();
  Settle();
  const ScopedFault sendmsg(Call::kSendmsg, {.fd = fd()});
  const ScopedFault send(Call::kSend, {.fd = fd()});
  peer.Send("input");
  EXPECT_EQ(Receive(peer, 5014),
            absl::StrCat("one ", std::string(2000, 'o'), std::string(3000, 'c'), "input last"));
  EXPECT_EQ(sendmsg.hits(), 1);
  EXPECT_EQ(send.hits(), 0);
}

TEST_F(TcpConnectionTest, WhatOnOpenSendsGoesOutInOneWrite) {
  std::pair<Socket, Socket> ends = TcpPair();
  const ScopedFault send(Call::kSend, {.fd = ends.first.fd()});
  log_.on_open = [](TcpConnection& conn) {
    conn.Send("220 ");
    conn.Send("ready");
  };
  Peer peer = Open(std::move(ends), log_);
  EXPECT_EQ(peer.Receive(9), "220 ready") << "without another turn";
  EXPECT_EQ(send.hits(), 1);
}

TEST_F(TcpConnectionTest, WhatPostsSendGoesOutInOneWriteATurn) {
  Peer peer = Open();
  const ScopedFault send(Call::kSend, {.fd = fd()});
  for (int i = 0; i < 10; ++i) {
    conn().handle().Run([i](TcpConnection& conn) { conn.Send(absl::StrCat(i)); });
  }
  loop_.Step();
  EXPECT_EQ(peer.Receive(10), "0123456789");
  EXPECT_EQ(send.hits(), 1);
}

TEST_F(TcpConnectionTest, WhatATimerSendsGoesOutInTheSameTurn) {
  Peer peer = Open();
  Timer timer(loop_->timers(), [&] { conn().Send("tick"); });
  timer.Arm(absl::Seconds(1));
  loop_.Advance(absl::Seconds(1));
  EXPECT_EQ(peer.ReceiveSome(), "tick");
}

TEST_F(TcpConnectionTest, SendingNothingIsFine) {
  Peer peer = Open();
  const ScopedFault send(Call::kSend, {.fd = fd()});
  const ScopedFault shutdown(Call::kShutdown, {.fd = fd()});
  EXPECT_TRUE(conn().Send(""));
  EXPECT_TRUE(conn().SendOwned(""));
  EXPECT_TRUE(conn().Send(Buffer()));
  EXPECT_TRUE(conn().Send(absl::Cord()));
  EXPECT_TRUE(conn().SendFile(UniqueFd(), 0, 0));
  Settle();
  EXPECT_EQ(conn().output_bytes(), 0u);
  EXPECT_EQ(send.hits() + shutdown.hits(), 0);
  EXPECT_EQ(peer.ReceiveSome(), "");
  EXPECT_FALSE(peer.ended());
}

TEST_F(TcpConnectionTest, AHundredMegabytesInOneSend) {
  limits_.output_bytes_max = 200'000'000;
  const std::string bytes = Pattern(100'000'000);
  log_.on_data = [&](TcpConnection& conn, Buffer& input) {
    input.Clear();
    EXPECT_FALSE(conn.SendOwned(bytes));
    EXPECT_EQ(conn.output_bytes(), 100'000'000u);
  };
  Peer peer = Open();
  peer.Send("go");
  EXPECT_TRUE(Receive(peer, bytes.size()) == bytes);
  EXPECT_EQ(conn().output_bytes(), 0u);
  EXPECT_TRUE(NoOutputMemory());
}

TEST_F(TcpConnectionTest, TenMegabytesOfCopiesGiveTheirBlocksBack) {
  const std::string bytes = Pattern(10'000'000);
  Peer peer = Open();
  EXPECT_FALSE(conn().Send(bytes));
  EXPECT_TRUE(Receive(peer, bytes.size()) == bytes);
  EXPECT_TRUE(NoOutputMemory());
}

TEST_F(TcpConnectionTest, ACordsChunksAreSharedAndNotCopied) {
  Peer peer = OpenNarrow();
  const absl::Cord cord(Pattern(50'000));
  conn().Send(cord);
  Settle();
  ASSERT_GT(conn().output_bytes(), 0u);
  EXPECT_EQ(memory().output_pools().blocks.in_use(), 0u);
  EXPECT_EQ(Receive(peer, 50'000), std::string(cord));
}

TEST_F(TcpConnectionTest, AllKindsKeepTheirOrder) {
  Peer peer = OpenNarrow();
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const std::string small = absl::StrCat("<", i, ">"), large = Pattern(2000 + i, i);
    conn().Send(small);
    conn().SendOwned(large);
    conn().SendFile(FileWith(absl::StrCat("##", large, "##")), 2, large.size());
    conn().Send(absl::Cord(large));
    Buffer buffer;
    buffer.Append(large);
    conn().Send(std::move(buffer));
    absl::StrAppend(&expected, small, large, large, large, large);
  }
  EXPECT_EQ(conn().output_bytes(), expected.size());
  EXPECT_TRUE(Receive(peer, expected.size()) == expected);
  EXPECT_TRUE(NoOutputMemory());
}

TEST_F(TcpConnectionTest, FilesGoByTheKernel) {
  const std::string bytes = Pattern(1'000'000);
  Peer peer = Open();
  const ScopedFault sendfile(Call::kSendfile, {.fd = fd()});
  conn().Send("head ");
  conn().SendFile(FileWith(bytes), 1000, 900'000);
  conn().Send(" tail");
  EXPECT_EQ(conn().output_bytes(), 900'010u);
  EXPECT_TRUE(Receive(peer, 900'010) ==
              absl::StrCat("head ", bytes.substr(1000, 900'000), " tail"));
  EXPECT_GT(sendfile.hits(), 0);
}

TEST_F(TcpConnectionTest, AFileThatProvesShorterBreaksTheConnection) {
  Peer peer = Open();
  conn().SendFile(FileWith("0123456789"), 5, 6);
  EXPECT_EQ(ReceiveAll(peer), "56789");
  EXPECT_TRUE(peer.was_reset()) << "a clean end would make it look whole";
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_EQ(log_.closes[0],
            absl::DataLossError("a file being sent ended 1 bytes before its range did"));
  EXPECT_EQ(counters_.bytes_written.value(), 5u);
}

// Input that is sent on.

TEST_F(TcpConnectionTest, ItsOwnInputIsSentOnWithoutACopy) {
  log_.on_data = [&](TcpConnection& conn, Buffer& input) {
    EXPECT_TRUE(input.borrowed());
    conn.Send(std::move(input));
    EXPECT_EQ(memory().output_pools().blocks.in_use(), 0u);
  };
  Peer peer = Open();
  const std::string bytes = Pattern(5000);
  peer.Send(bytes);
  EXPECT_EQ(Receive(peer, 5000), bytes);
  EXPECT_EQ(memory().output_pools().blocks.kept(), 0u) << "not even for a moment";
}

TEST_F(TcpConnectionTest, WhatDoesNotGoAtOnceIsCopiedBeforeTheNextInputComes) {
  limits_.output_bytes_high = limits_.output_bytes_max - 1;
  log_.on_data = Echo;
  Peer peer = OpenNarrow();
  Peer neighbour = OpenNeighbour();
  const std::string bytes = Pattern(60'000);
  absl::string_view rest = bytes;
  EXPECT_TRUE(StepUntil([&] {
    rest.remove_prefix(peer.SendSome(rest));
    neighbour.SendSome("overwrites the receive buffer");
    return rest.empty() && conn().output_bytes() > 40'000;
  }));
  EXPECT_TRUE(Receive(peer, bytes.size()) == bytes);
}

TEST_F(TcpConnectionTest, AnotherConnectionsInputIsCopied) {
  Peer other = Open(NarrowUnixPair(), neighbour_log_);
  log_.on_data = [&](TcpConnection&, Buffer& input) {
    neighbour_log_.connection->Send(std::move(input));
    EXPECT_TRUE(input.empty());
  };
  Peer peer = Open();
  const std::string bytes = Pattern(100'000);
  Send(peer, bytes);
  EXPECT_TRUE(Receive(other, bytes.size()) == bytes);
}

TEST_F(TcpConnectionTest, AnotherConnectionsInputIsCopiedAlsoAfterItsOwnWasNot) {
  Peer other = OpenNeighbour();
  neighbour_log_.on_data = Echo;
  other.Send("own");
  ASSERT_EQ(Receive(other, 3), "own");
  // In one turn: input comes, is sent on elsewhere, and is written over by what comes next.
  log_.on_data = [&](TcpConnection&, Buffer& input) {
    neighbour_log_.connection->Send(std::move(input));
  };
  Peer one = Open(), two = Open();
  one.Send("from one");
  two.Send("FROM TWO");
  const std::string received = Receive(other, 16);
  EXPECT_TRUE(received == "from oneFROM TWO" || received == "FROM TWOfrom one") << received;
}

TEST_F(TcpConnectionTest, BytesBorrowedElsewhereAreCopied) {
  log_.on_data = [](TcpConnection& conn, Buffer& input) {
    input.Clear();
    std::string gone_with_this_call = "from the stack";
    Buffer buffer = Buffer::Borrow(absl::MakeSpan(gone_with_this_call), gone_with_this_call.size());
    conn.Send(std::move(buffer));
    gone_with_this_call.assign(gone_with_this_call.size(), '!');
  };
  Peer peer = Open();
  peer.Send("go");
  EXPECT_EQ(Receive(peer, 14), "from the stack");
}

TEST_F(TcpConnectionTest, InputThatTheHandlerMovedAwayStaysGood) {
  Buffer saved;
  log_.on_data = [&](TcpConnection&, Buffer& input) { saved = std::move(input); };
  Peer peer = Open();
  const std::string bytes = Pattern(3000);
  peer.Send(bytes);
  ASSERT_TRUE(StepUntil([&] { return !saved.empty(); }));
  Peer neighbour = OpenNeighbour();
  neighbour.Send(std::string(3000, '!'));
  ASSERT_TRUE(StepUntil([&] { return !neighbour_log_.received.empty(); }));
  EXPECT_EQ(saved.readable(), bytes);
}

TEST_F(TcpConnectionTest, KeptInputIsSentOnWithoutACopy) {
  log_.on_data = [&](TcpConnection& conn, Buffer& input) {
    if (input.size() < 6000) return;
    EXPECT_FALSE(input.borrowed());
    conn.Send(std::move(input));
    EXPECT_EQ(memory().output_pools().blocks.in_use(), 0u);
  };
  Peer peer = Open();
  const std::string bytes = Pattern(6000);
  peer.Send(bytes.substr(0, 3000));
  ASSERT_TRUE(StepUntil([&] { return log_.events.size() == 2; }));
  peer.Send(bytes.substr(3000));
  EXPECT_EQ(Receive(peer, 6000), bytes);
}

TEST_F(TcpConnectionTest, APartOfTheInputSentByViewIsCopied) {
  log_.on_data = [](TcpConnection& conn, Buffer& input) {
    conn.Send(input.readable().substr(1, 3));
    std::fill(input.data(), input.data() + input.size(), '!');
    input.Clear();
  };
  Peer peer = Open();
  peer.Send("hello");
  EXPECT_EQ(Receive(peer, 3), "ell");
}

// What it knows of itself.

TEST_F(TcpConnectionTest, TheHandlerIsItsUserDataByType) {
  struct Session final : ConnectionHandler {
    explicit Session(TcpConnection** where) : where(where) {}
    void OnOpen(TcpConnection& conn) override { *where = &conn; }
    void OnData(TcpConnection& conn, Buffer& input) override {
      EXPECT_EQ(&conn.handler<Session>(), this);
      user += input.ReadString(input.size());
    }
    TcpConnection** const where;
    std::string user;
  };
  TcpConnection* opened = nullptr;
  auto [ours, theirs] = TcpPair();
  table().Open(std::move(ours), SocketAddress(), {},
               [&] { return std::make_unique<Session>(&opened); });
  ASSERT_NE(opened, nullptr);
  Peer peer(std::move(theirs));
  peer.Send("alice");
  EXPECT_TRUE(StepUntil([&] { return opened->handler<Session>().user == "alice"; }));
}

TEST_F(TcpConnectionTest, KnowsBothAddresses) {
  Peer peer = Open();
  EXPECT_EQ(conn().peer_address(), peer.local_address());
  EXPECT_EQ(*conn().local_address(), *peer.socket().PeerAddress());
  EXPECT_EQ(&conn().loop(), &*loop_);
}

TEST_F(TcpConnectionTest, TellsWhatTheKernelKnows) {
  Peer peer = Open();
  const absl::StatusOr<tcp_info> info = conn().GetTcpInfo();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_GT(info->tcpi_snd_mss, 0u);
}

TEST_F(TcpConnectionTest, TakesTcpOptions) {
  Peer peer = Open();
  EXPECT_TRUE(conn().SetNoDelay(true).ok());
  EXPECT_TRUE(conn().SetKeepAlive({.idle = absl::Seconds(30), .count = 3}).ok());
  const auto option = [&](int level, int name) {
    int value = -1;
    socklen_t size = sizeof(value);
    EXPECT_EQ(getsockopt(fd(), level, name, &value, &size), 0);
    return value;
  };
  EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 30);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPCNT), 3);
  EXPECT_TRUE(conn().SetNoDelay(false).ok());
  EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 0);
}

TEST_F(TcpConnectionTest, OnceClosedItSaysSo) {
  log_.on_close = [](TcpConnection& conn, const absl::Status&) {
    EXPECT_TRUE(conn.closed());
    EXPECT_EQ(conn.transport(), nullptr);
    EXPECT_EQ(conn.SetNoDelay(true).code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(conn.SetKeepAlive({}).code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(conn.GetTcpInfo().status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(conn.local_address().status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(conn.output_bytes(), 0u);
  };
  Peer peer = Open();
  conn().Send("dropped");
  conn().Abort(absl::AbortedError("enough"));
  EXPECT_TRUE(StepUntilClosed());
}

TEST_F(TcpConnectionTest, CountsWhatItCarries) {
  log_.on_data = Echo;
  Peer peer = Open();
  EXPECT_EQ(counters_.opened.value(), 1u);
  peer.Send("hello");
  EXPECT_EQ(Receive(peer, 5), "hello");
  EXPECT_EQ(counters_.bytes_read.value(), 5u);
  EXPECT_EQ(counters_.bytes_written.value(), 5u);
  EXPECT_EQ(counters_.closed.value(), 0u);
  peer.CloseWrite();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_EQ(counters_.closed.value(), 1u);
  EXPECT_EQ(counters_.closed_on_error.value(), 0u);
}

TEST_F(TcpConnectionTest, IdleItHoldsNoBuffer) {
  log_.on_data = Echo;
  Peer peer = Open();
  const std::string bytes = Pattern(16 * 1024);
  peer.Send(bytes);
  EXPECT_EQ(Receive(peer, bytes.size()), bytes);
  EXPECT_TRUE(NoOutputMemory());
}

}  // namespace
}  // namespace millrace
