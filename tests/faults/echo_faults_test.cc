// SPDX-License-Identifier: Apache-2.0
//
// What others got wrong (docs/testing.md), asked of a whole echo server over real sockets: main
// loop, no workers, stepped by hand, so that each turn is the test's.

#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "net/function_handler.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "tests/support/fault_injection.h"
#include "tests/support/noise.h"
#include "tests/support/peer.h"
#include "tests/support/process_figures.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

class EchoFaultsTest : public ::testing::Test {
 protected:
  EchoFaultsTest() { Start({}); }
  void Start(const ConnectionLimits& limits) {
    server_ =
        TcpServer::Start(*loop_, nullptr,
                         {.addresses = {SocketAddress::Loopback(0)},
                          .handler = FunctionHandlers(
                              {.on_open = [this](TcpConnection& conn) { open_.push_back(&conn); },
                               .on_data = [](TcpConnection& conn,
                                             Buffer& input) { conn.Send(std::move(input)); },
                               .on_close =
                                   [this](TcpConnection& conn, const absl::Status& why) {
                                     std::erase(open_, &conn);
                                     closes_.push_back(why);
                                   }}),
                          .limits = limits})
            .value();
  }
  std::vector<Peer> Connect(int count) {
    std::vector<Peer> peers;
    for (int i = 0; i < count; ++i) peers.push_back(Peer::ConnectedTo(server_->addresses()[0]));
    EXPECT_TRUE(loop_.StepUntil([&] { return open_.size() == peers.size(); }));
    return peers;
  }

  std::vector<TcpConnection*> open_;
  std::vector<absl::Status> closes_;
  TestLoop loop_;
  std::unique_ptr<TcpServer> server_;
};

// Bug list, 1: the end of the peer's stream must not end what we still owe it.
TEST_F(EchoFaultsTest, OutputQueuedAtHalfCloseIsDeliveredInFull) {
  std::vector<Peer> peers = Connect(16);
  std::vector<std::string> sent(peers.size()), received(peers.size());
  for (size_t i = 0; i < peers.size(); ++i) {
    const std::string noise = Noise(i, 4 * kMiB);
    // As much as goes in without being read, and then the end.
    while (true) {
      const size_t n = peers[i].SendSome(absl::string_view(noise).substr(sent[i].size()));
      sent[i] += noise.substr(sent[i].size(), n);
      if (sent[i].size() == noise.size()) break;
      const uint64_t before = server_->stats().bytes_read;
      loop_.Steps(4);
      if (n == 0 && static_cast<uint64_t>(server_->stats().bytes_read) == before) break;
    }
    peers[i].CloseWrite();
  }
  loop_.Steps(4);
  EXPECT_TRUE(loop_.StepUntil([&] {
    size_t ended = 0;
    for (size_t i = 0; i < peers.size(); ++i) {
      received[i] += peers[i].ReceiveSome();
      ended += peers[i].ended();
    }
    return ended == peers.size();
  }));
  for (size_t i = 0; i < peers.size(); ++i) {
    EXPECT_GT(sent[i].size(), kMiB / 4);
    EXPECT_TRUE(received[i] == sent[i])
        << i << ": " << received[i].size() << " bytes came back of " << sent[i].size();
  }
}

// Bug list, 2: 20 peers that send and never read cost less than 64 MiB in all.
TEST_F(EchoFaultsTest, TwentyPeersThatNeverReadAreNotReadFrom) {
  [[maybe_unused]] const int64_t before = ResidentBytes();
  std::vector<Peer> peers = Connect(20);
  const std::string flood(kMiB, 'x');
  size_t sent;
  do {
    sent = 0;
    for (Peer& peer : peers) sent += peer.SendSome(flood);
    loop_.Steps(3);
  } while (sent > 0);
  uint64_t queued = 0;
  for (TcpConnection* conn : open_) queued += conn->output_bytes();
  EXPECT_EQ(open_.size(), 20u) << "slow is no crime";
  EXPECT_GT(queued, 0u);
  EXPECT_LE(queued, 20 * (kOutputBytesHigh + kReceiveBufferBytes));
#if !defined(ABSL_HAVE_ADDRESS_SANITIZER) && !defined(ABSL_HAVE_THREAD_SANITIZER)
  EXPECT_LT(ResidentBytes() - before, int64_t{64} * static_cast<int64_t>(kMiB));
#endif
  // And the loop sleeps meanwhile.
  const int64_t events = loop_->counters().events.value();
  loop_.Steps(50);
  EXPECT_LE(loop_->counters().events.value() - events, 1);
  // Once they read, everything comes.
  size_t received = 0;
  const size_t expected = static_cast<size_t>(server_->stats().bytes_read);
  EXPECT_TRUE(loop_.StepUntil([&] {
    for (Peer& peer : peers) received += peer.ReceiveSome().size();
    return received >= expected;
  }));
}

TEST_F(EchoFaultsTest, StuckReadersTimeOutAndTheirMemoryComesBack) {
  std::vector<Peer> peers = Connect(4);
  const std::string flood(8 * kMiB, 'x');
  for (int i = 0; i < 100; ++i) {
    for (Peer& peer : peers) peer.SendSome(flood);
    loop_.Step();
  }
  loop_.Advance(kWriteTimeout + absl::Milliseconds(1));
  ASSERT_EQ(closes_.size(), 4u);
  for (const absl::Status& why : closes_) EXPECT_TRUE(absl::IsDeadlineExceeded(why)) << why;
  loop_.Step();
  EXPECT_EQ(loop_->Local<ConnectionMemory>().output_pools().blocks.in_use(), 0u);
  EXPECT_EQ(loop_->Local<ConnectionMemory>().output_pools().pieces.in_use(), 0u);
}

TEST_F(EchoFaultsTest, OneByteAtATime) {
  Peer peer = std::move(Connect(1)[0]);
  const std::string text = Noise(1, 1000);
  std::string received;
  for (const char byte : text) {
    peer.Send({&byte, 1});
    ASSERT_TRUE(loop_.StepUntil([&] {
      const std::string more = peer.ReceiveSome();
      received += more;
      return !more.empty();
    }));
  }
  EXPECT_EQ(received, text);
}

TEST_F(EchoFaultsTest, NeighbourOfAFlooderIsServedEachTurn) {
  std::vector<Peer> peers = Connect(2);
  const std::string flood(4 * kMiB, 'x');
  for (int i = 0; i < 50; ++i) {
    peers[0].SendSome(flood);
    peers[0].ReceiveSome();
    peers[1].Send("?");
    int turns = 0;
    ASSERT_TRUE(loop_.StepUntil([&] {
      ++turns;
      return peers[1].ReceiveSome() == "?";
    }));
    EXPECT_LE(turns, 4);
  }
}

// Bug list, 3, 6 and 13: each error that a call may give is survived, byte for byte or by closing.
struct Injected {
  Call call;
  int error;
};

class InjectedFaultTest : public EchoFaultsTest, public ::testing::WithParamInterface<Injected> {};

TEST_P(InjectedFaultTest, ServerSurvivesAndServesTheNext) {
  std::vector<Peer> peers = Connect(2);
  {
    ScopedFault fault(GetParam().call, {.error = GetParam().error, .times = 1});
    // The client's calls pass here, too, but they go by the same names: only the loop runs
    // meanwhile.
    ScopedFault spare(Call::kSend, {.times = 1});
    peers[0].Send("hello");
    if (GetParam().call == Call::kAccept4)
      peers.push_back(Peer::ConnectedTo(server_->addresses()[0]));
    for (int i = 0; i < 5; ++i) loop_.Advance(absl::Milliseconds(200));
    EXPECT_EQ(fault.hits(), 1);
  }
  peers[1].Send("alive");
  std::string received;
  EXPECT_TRUE(loop_.StepUntil([&] {
    received += peers[1].ReceiveSome();
    return received == "alive";
  }));
  EXPECT_LE(closes_.size(), 1u);
}

std::vector<Injected> AllFaults() {
  std::vector<Injected> all;
  for (int error : {EAGAIN, EINTR, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENOMEM, ENOBUFS, EIO}) {
    all.push_back({Call::kRecv, error});
  }
  for (int error : {EAGAIN, EINTR, ECONNRESET, EPIPE, ENETDOWN, ENETUNREACH, ENOBUFS, ENOMEM}) {
    all.push_back({Call::kSend, error});
  }
  for (int error : {EINTR, ENOMEM, EINVAL, EBADF}) all.push_back({Call::kEpollWait, error});
  for (int error : {ENOMEM, ENOSPC, EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, EPROTO, EPERM,
                    ENETDOWN, EHOSTUNREACH, ETIMEDOUT}) {
    all.push_back({Call::kAccept4, error});
  }
  return all;
}

std::string FaultName(const ::testing::TestParamInfo<Injected>& info) {
  const char* const call = info.param.call == Call::kRecv        ? "recv"
                           : info.param.call == Call::kSend      ? "send"
                           : info.param.call == Call::kEpollWait ? "epoll_wait"
                                                                 : "accept4";
  return std::string(call) + "_" + strerrorname_np(info.param.error);
}

INSTANTIATE_TEST_SUITE_P(Errno, InjectedFaultTest, ::testing::ValuesIn(AllFaults()), FaultName);

class ByteExactTest : public EchoFaultsTest {
 protected:
  // Short reads, short writes, interruptions and false alarms, all at once: not a byte is lost.
  void ExpectByteExact() {
    Peer peer = std::move(Connect(1)[0]);
    const std::string text = Noise(3, 200'000);
    const int fd = open_[0]->transport()->socket().fd();
    ScopedFault short_reads(Call::kRecv, {.short_bytes = 777, .fd = fd});
    ScopedFault short_writes(Call::kSend, {.short_bytes = 333, .fd = fd});
    ScopedFault short_gathers(Call::kSendmsg, {.short_bytes = 99, .fd = fd});
    std::string received;
    size_t sent = 0;
    for (int i = 0; received.size() < text.size() && i < 5000; ++i) {
      const int error = i % 2 == 0 ? EINTR : EAGAIN;
      ScopedFault interrupted(Call::kRecv, {.error = error, .times = i % 3, .fd = fd});
      ScopedFault blocked(Call::kSend, {.error = error, .times = 1, .fd = fd});
      ScopedFault blocked_gather(Call::kSendmsg, {.error = error, .times = i % 2, .fd = fd});
      sent += peer.SendSome(absl::string_view(text).substr(sent));
      loop_.Steps(2);
      received += peer.ReceiveSome();
    }
    EXPECT_TRUE(received == text) << received.size();
    EXPECT_GT(short_reads.hits(), 0);
    EXPECT_GT(short_writes.hits() + short_gathers.hits(), 0);
  }
};

TEST_F(ByteExactTest, UnderShortAndInterruptedCalls) { ExpectByteExact(); }

// Bug list, 13: reading stops and goes on all the time, and never for good.
TEST_F(ByteExactTest, WhereEveryFewBytesCrossTheMarks) {
  for (const uint64_t high : {0, 1, 100, 776}) {
    server_.reset();
    Start({.output_bytes_low = high / 2, .output_bytes_high = high});
    ExpectByteExact();
  }
}

// The figures of "Done when": system calls of a ping-pong and of a churned connection. In one
// thread, where the kernel brings a whole round before the loop's turn, they do not depend on
// timing.
TEST_F(EchoFaultsTest, AMessageCostsTwoSystemCallsAndAShareOfTheWait) {
  std::vector<Peer> peers = Connect(100);
  ScopedFault waits(Call::kEpollWait), controls(Call::kEpollCtl), receives(Call::kRecv),
      gathers(Call::kSendmsg), wakes(Call::kWrite);
  int sends = 0;
  for (int round = 0; round < 10; ++round) {
    for (Peer& peer : peers) peer.Send("0123456789abcdef");
    ScopedFault ours(Call::kSend);
    loop_.Step();
    sends += ours.hits();
  }
  for (Peer& peer : peers) EXPECT_EQ(peer.ReceiveSome().size(), 160u);
  // The peers' own receives are not the server's.
  const int calls = waits.hits() + controls.hits() + sends + gathers.hits() + wakes.hits() + 1000;
  EXPECT_EQ(sends, 1000);
  EXPECT_LE(calls, 2100);
}

}  // namespace
}  // namespace millrace
