// SPDX-License-Identifier: Apache-2.0
//
// Crowds that come and go, in good order and otherwise, over real sockets and threads.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "net/tcp_server.h"
#include "tests/stress/stress.h"
#include "tests/support/noise.h"
#include "tests/support/peer.h"
#include "tests/support/process_figures.h"

namespace millrace {
namespace {

constexpr int kClients = 4;

class StormTest : public ::testing::Test {
 protected:
  // All connections have ended, each that was opened once, and the process holds no more than it
  // did. Whoever comes next is served.
  void ExpectNothingLeft(int64_t accepted) {
    EXPECT_TRUE(Until([&] { return server_.stats().accepted == accepted && open() == 0; }));
    const TcpServer::Stats stats = server_.stats();
    EXPECT_EQ(stats.accepted, accepted);
    EXPECT_EQ(stats.opened + stats.failed_to_open, stats.accepted);
    EXPECT_EQ(stats.closed, stats.opened);
    EXPECT_EQ(stats.accept_errors + stats.refused + stats.failed_to_open, 0);
    EXPECT_EQ(OpenDescriptors(), descriptors_before_);
    if (!kSanitized) {
      EXPECT_LT(ResidentBytes() - memory_before_, int64_t{8} << 20);
    }
    Visit(0, "and who comes next is served", /*says_goodbye=*/true);
    EXPECT_EQ(wrong_, 0);
  }

  int64_t open() const { return server_.stats().open; }

  // A client that says something, hears it back, and goes.
  void Visit(int i, const std::string& text, bool says_goodbye) {
    Peer peer = Peer::ConnectedTo(server_.address(i));
    peer.Send(text);
    bool right = peer.Receive(text.size()) == text;
    if (says_goodbye) peer.CloseWrite();
    if (says_goodbye) right = peer.ReceiveAll().empty() && peer.ended() && right;
    if (!right) ++wrong_;
  }

  // What the first few cost stays: threads, pools of blocks.
  void WarmUp() {
    RunOnThreads(kClients, [&](int) {
      for (int i = 0; i < 50; ++i) Visit(i, Noise(i, 500), true);
    });
    EXPECT_TRUE(Until([&] { return open() == 0; }));
    descriptors_before_ = OpenDescriptors();
    memory_before_ = ResidentBytes();
    warm_ = server_.stats();
  }

  StressServer server_;
  std::atomic<int> wrong_ = 0;
  int descriptors_before_ = 0;
  int64_t memory_before_ = 0;
  TcpServer::Stats warm_;
};

TEST_F(StormTest, FiftyThousandComeSayAWordAndGo) {
  WarmUp();
  const int each = Scaled(50'000) / kClients;
  std::atomic<int64_t> bytes = 0;
  RunOnThreads(kClients, [&](int client) {
    Random random(static_cast<uint64_t>(client) + 1);
    for (int i = 0; i < each; ++i) {
      const std::string text = Noise(random.Next(), 1 + random.Below(500));
      Visit(i, text, /*says_goodbye=*/random.Below(2) == 0);
      bytes += static_cast<int64_t>(text.size());
    }
  });
  ExpectNothingLeft(warm_.accepted + int64_t{each} * kClients);
  const TcpServer::Stats stats = server_.stats();
  EXPECT_EQ(stats.closed_on_error, 0);
  EXPECT_GE(stats.bytes_read - warm_.bytes_read, bytes);
  EXPECT_EQ(stats.bytes_read, stats.bytes_written);
}

// Before they are accepted, before and after they are answered, and with an answer unread.
TEST_F(StormTest, ThousandsResetAtAnyPointOfTheirLife) {
  WarmUp();
  const int each = Scaled(10'000) / kClients;
  RunOnThreads(kClients, [&](int client) {
    Random random(static_cast<uint64_t>(client) + 1);
    for (int i = 0; i < each; ++i) {
      Peer peer = Peer::ConnectedTo(server_.address(i));
      const uint64_t point = random.Below(4);
      if (point > 0) peer.SendSome(Noise(1, 1 + random.Below(20'000)));
      if (point > 1) peer.Receive(1);
      point == 3 ? peer.Close() : peer.Reset();  // Closing with input unread resets, too.
    }
  });
  ExpectNothingLeft(warm_.accepted + int64_t{each} * kClients);
}

// All in a moment, so that many die in one batch of events.
TEST_F(StormTest, ACrowdThatIsResetAtOnceIsGoneAtOnce) {
  WarmUp();
  const int rounds = Scaled(10);
  const int crowd_size = std::min(ScaledAtOnce(1'000 * (kSanitized ? 5 : 1)), 1'000);
  for (int round = 0; round < rounds; ++round) {
    std::vector<Peer> crowd;
    for (int i = 0; i < crowd_size; ++i) crowd.push_back(Peer::ConnectedTo(server_.address(i)));
    for (Peer& peer : crowd) peer.SendSome("a word that is not waited for");
    for (Peer& peer : crowd) peer.Reset();
  }
  ExpectNothingLeft(warm_.accepted + int64_t{rounds} * crowd_size);
}

}  // namespace
}  // namespace millrace
