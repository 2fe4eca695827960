// SPDX-License-Identifier: Apache-2.0
//
// Peers that keep their connections and do next to nothing: silent ones, ones that send a byte now
// and then, that announce much and send little, that never read. In one thread with a fake clock,
// but for the last.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "net/codec/framed_handler.h"
#include "net/codec/length_prefix_codec.h"
#include "net/codec/line_codec.h"
#include "net/connection_limits.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "tests/stress/stress.h"
#include "tests/support/noise.h"
#include "tests/support/peer.h"
#include "tests/support/process_figures.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

constexpr int64_t kKiB = 1 << 10;

// Counts how its connections end.
template <typename C>
class CountingHandler final : public FramedHandler<C> {
 public:
  explicit CountingHandler(std::vector<absl::Status>& closes) : closes_(closes) {}
  void OnMessage(TcpConnection& conn, const absl::string_view& message) override {
    FramedHandler<C>::Send(conn, message).IgnoreError();
  }
  void OnClose(TcpConnection&, const absl::Status& why) override { closes_.push_back(why); }

 private:
  std::vector<absl::Status>& closes_;
};

class SlowPeersTest : public ::testing::Test {
 protected:
  template <typename C>
  void Serve(ConnectionLimits limits = {}) {
    server_ = TcpServer::Start(
                  *loop_, nullptr,
                  {.addresses = {SocketAddress::Loopback(0)},
                   .handler = [this] { return std::make_unique<CountingHandler<C>>(closes_); },
                   .limits = limits})
                  .value();
    descriptors_before_ = OpenDescriptors();
  }
  Peer Connect() { return Peer::ConnectedTo(server_->addresses()[0]); }
  std::vector<Peer> ConnectMany(int count) {
    std::vector<Peer> peers;
    for (int i = 0; i < count; ++i) peers.push_back(Connect());
    EXPECT_TRUE(loop_.StepUntil([&] { return server_->stats().opened >= count; }));
    return peers;
  }
  // Turns until this one has its answer.
  int TurnsToServe(Peer& peer) {
    peer.Send("?\n");
    int turns = 0;
    EXPECT_TRUE(loop_.StepUntil([&] { return ++turns, !peer.ReceiveSome().empty(); }));
    return turns;
  }
  void ExpectQuiet() {
    loop_.Steps(5);
    const int64_t before = loop_->counters().events.value();
    loop_.Steps(50);
    EXPECT_EQ(loop_->counters().events.value(), before);
  }

  std::vector<absl::Status> closes_;
  TestLoop loop_;
  std::unique_ptr<TcpServer> server_;
  int descriptors_before_ = 0;
};

// As those do whose machine has gone without a word: no end and no reset ever comes.
TEST_F(SlowPeersTest, WhoHasGoneWithoutAWordIsClosedWhenIdle) {
  Serve<LineCodec>();
  std::vector<Peer> peers = ConnectMany(ScaledAtOnce(2'000));
  for (Peer& peer : peers) peer.Send("hello\n");
  loop_.Steps(20);
  ExpectQuiet();
  loop_.Advance(absl::Minutes(9));
  EXPECT_EQ(closes_.size(), 0u);
  EXPECT_LE(TurnsToServe(peers[0]), 3);
  loop_.Advance(absl::Minutes(1) + absl::Milliseconds(1));
  EXPECT_EQ(closes_.size(), peers.size() - 1) << "all but the one that spoke";
  for (const absl::Status& why : closes_) EXPECT_TRUE(absl::IsDeadlineExceeded(why)) << why;
  peers.clear();
  loop_.Steps(5);
  EXPECT_EQ(server_->stats().open, 0);
  EXPECT_EQ(OpenDescriptors(), descriptors_before_);
}

// They end their half and leave it at that: what they are owed is sent, and that is the end.
TEST_F(SlowPeersTest, HalfClosedOnesAreNotKept) {
  Serve<LineCodec>();
  std::vector<Peer> peers = ConnectMany(ScaledAtOnce(2'000));
  for (Peer& peer : peers) peer.Send("last words\n"), peer.CloseWrite();
  EXPECT_TRUE(loop_.StepUntil([&] { return server_->stats().open == 0; }));
  for (const absl::Status& why : closes_) EXPECT_TRUE(why.ok()) << why;
  for (Peer& peer : peers) EXPECT_EQ(peer.ReceiveAll(), "last words\n");
  peers.clear();
  EXPECT_EQ(OpenDescriptors(), descriptors_before_);
}

// Never a whole line: each costs a small buffer, the others wait for nobody, and a line that is too
// long ends it.
TEST_F(SlowPeersTest, AByteNowAndThenCostsLittleAndHindersNobody) {
  Serve<LineCodec>();
  [[maybe_unused]] const int64_t before = ResidentBytes();
  std::vector<Peer> lorises = ConnectMany(ScaledAtOnce(1'000));
  Peer neighbour = Connect();
  for (int round = 0; round < 30; ++round) {
    for (Peer& loris : lorises) loris.Send("x");
    EXPECT_LE(TurnsToServe(neighbour), 5);
    loop_.Advance(absl::Seconds(10));
  }
  EXPECT_EQ(closes_.size(), 0u);
  if (!kSanitized) {
    EXPECT_LT(ResidentBytes() - before, static_cast<int64_t>(lorises.size()) * 16 * kKiB);
  }
  ExpectQuiet();
  for (Peer& loris : lorises) loris.Send(std::string(8'192, 'x'));
  EXPECT_TRUE(loop_.StepUntil([&] { return closes_.size() == lorises.size(); }));
  for (const absl::Status& why : closes_) EXPECT_TRUE(absl::IsResourceExhausted(why)) << why;
}

// Bug list, 15: nothing is set aside for what is only announced.
TEST_F(SlowPeersTest, WhoOnlyAnnouncesAMegabyteCostsNone) {
  Serve<LengthPrefixCodec>();
  [[maybe_unused]] const int64_t before = ResidentBytes();
  std::vector<Peer> peers = ConnectMany(ScaledAtOnce(1'000));
  constexpr char kMost[] = {0x00, 0x0f, '\xff', '\xf8', 'a', 'b', 'c'};
  for (Peer& peer : peers) peer.Send({kMost, sizeof(kMost)});
  EXPECT_TRUE(loop_.StepUntil([&] {
    return server_->stats().bytes_read == static_cast<int64_t>(peers.size() * sizeof(kMost));
  }));
  EXPECT_EQ(closes_.size(), 0u);
  if (!kSanitized) {
    EXPECT_LT(ResidentBytes() - before, static_cast<int64_t>(peers.size()) * 16 * kKiB);
  }
}

TEST_F(SlowPeersTest, WhoAnnouncesTooMuchIsAbortedAtOnce) {
  Serve<LengthPrefixCodec>();
  std::vector<Peer> peers = ConnectMany(ScaledAtOnce(1'000));
  for (Peer& peer : peers) peer.Send("\xff\xff\xff\xff");
  EXPECT_TRUE(loop_.StepUntil([&] { return closes_.size() == peers.size(); }));
  for (const absl::Status& why : closes_) EXPECT_TRUE(absl::IsResourceExhausted(why)) << why;
}

// Bug list, 2, with many and on threads: who sends and never reads is not read from; his memory is
// bounded, the loops sleep, others are served; and when he reads at last, every byte is right.
TEST(NeverReadingTest, FloodersAreHeldOffAndLoseNothing) {
  StressServer server;
  [[maybe_unused]] const int64_t before = ResidentBytes();
  const int count = ScaledAtOnce(100);
  const std::string flood = Noise(7, size_t{8} << 20);
  std::vector<Peer> peers;
  std::vector<size_t> sent;
  for (int i = 0; i < count; ++i) {
    peers.push_back(Peer::ConnectedTo(server.address(i)));
    // What the kernel holds in between is not what this is about. But with less room than a segment
    // of the loopback interface (64 KiB) its window would open only when a timer looks.
    EXPECT_TRUE(peers.back().socket().SetReceiveBufferBytes(256 << 10).ok());
    EXPECT_TRUE(peers.back().socket().SetSendBufferBytes(32 << 10).ok());
  }
  sent.resize(peers.size());
  // Until nobody could send for as long as the server did not read, either.
  int64_t read = -1;
  while (std::exchange(read, server.stats().bytes_read) != server.stats().bytes_read) {
    for (size_t i = 0; i < peers.size(); ++i) {
      sent[i] += peers[i].SendSome(absl::string_view(flood).substr(sent[i]));
    }
    server.Turns();  // Lets each loop have its say.
  }
  const int64_t turns = server.Turns();
  if (!kSanitized) {
    EXPECT_LT(ResidentBytes() - before, count * 600 * kKiB);
  }
  Peer neighbour = Peer::ConnectedTo(server.address());
  neighbour.Send("hello");
  EXPECT_EQ(neighbour.Receive(5), "hello");
  EXPECT_LT(server.Turns() - turns, 100) << "the loops sleep meanwhile";
  for (size_t i = 0; i < peers.size(); ++i) {
    peers[i].CloseWrite();
    EXPECT_TRUE(peers[i].ReceiveAll() == flood.substr(0, sent[i])) << i;
  }
  neighbour.CloseWrite();
  EXPECT_TRUE(Until([&] { return server.stats().open == 0; }));
  EXPECT_EQ(server.stats().bytes_read, server.stats().bytes_written);
  EXPECT_EQ(server.stats().closed_on_error, 0);
}

}  // namespace
}  // namespace millrace
