// SPDX-License-Identifier: Apache-2.0
//
// A server that is stopped and continued, and one whose threads are hit by signals without end.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/thread.h"
#include "gtest/gtest.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "tests/stress/stress.h"
#include "tests/support/connection_test.h"
#include "tests/support/echo_process.h"
#include "tests/support/noise.h"
#include "tests/support/peer.h"

namespace millrace {
namespace {

// Everything that happens meanwhile waits in the kernel, and is done afterwards.
TEST(StopTest, StoppedAndContinuedNothingIsLost) {
  EchoProcess server({"--listen=127.0.0.1:0", "--threads=2"});
  const SocketAddress address = server.NextAddress();
  std::vector<Peer> peers;
  std::vector<std::string> unheard;  // By peer: what was sent, and has not come back.
  const std::string noise = Noise(5, 100'000);
  const int rounds = Scaled(20);
  for (int round = 0; round < rounds; ++round) {
    server.process().Signal(SIGSTOP);
    for (int i = 0; i < 5; ++i) {
      peers.push_back(Peer::ConnectedTo(address));  // By the kernel.
      unheard.emplace_back();
    }
    for (size_t i = 0; i < peers.size(); ++i) {
      const absl::string_view text = absl::string_view(noise).substr(i * 100);
      unheard[i] += text.substr(0, peers[i].SendSome(text));
    }
    if (round % 4 == 3)
      peers[0].Reset(), peers.erase(peers.begin()), unheard.erase(unheard.begin());
    server.process().Signal(SIGCONT);
    for (size_t i = 0; i < peers.size(); ++i) {
      EXPECT_TRUE(peers[i].Receive(unheard[i].size()) == unheard[i]);
      unheard[i].clear();
    }
  }
  for (Peer& peer : peers) {
    peer.CloseWrite();
    EXPECT_EQ(peer.ReceiveAll(), "");
  }
  server.process().Signal(SIGTERM);
  EXPECT_EQ(server.process().Wait().exit_code, 0);
}

TEST(StopTest, SignalsThatCameWhileItWasStoppedAreObeyedAfterwards) {
  EchoProcess server({"--listen=127.0.0.1:0", "--threads=2"});
  const SocketAddress address = server.NextAddress();
  Peer peer = Peer::ConnectedTo(address);
  peer.Send("hello");
  EXPECT_EQ(peer.Receive(5), "hello");
  server.process().Signal(SIGSTOP);
  server.process().Signal(SIGTERM);
  peer.Send("last words");
  peer.CloseWrite();
  server.process().Signal(SIGCONT);
  EXPECT_EQ(peer.ReceiveAll(), "last words");
  EXPECT_EQ(server.process().Wait().exit_code, 0);
}

// What came in the hour that the machine slept counts before the hour does.
class SleepTest : public ConnectionTest {};

TEST_F(SleepTest, WhoSpokeWhileWeSleptIsNotIdle) {
  limits_.idle_timeout = absl::Minutes(1);
  limits_.read_timeout = absl::Minutes(1);
  log_.on_data = [](TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); };
  Peer peer = Open();
  Peer silent = OpenNeighbour();
  peer.Send("hello");
  loop_.Advance(absl::Hours(1));
  EXPECT_TRUE(StepUntil([&] { return neighbour_log_.closed(); }));
  EXPECT_FALSE(log_.closed());
  EXPECT_EQ(Receive(peer, 5), "hello");
}

// No call is restarted: each that waits, and some that do not, say EINTR.
TEST(SignalStormTest, EveryByteIsRightUnderSignalsWithoutEnd) {
  static std::atomic<int64_t> caught;
  caught = 0;
  struct sigaction action = {}, before;
  action.sa_handler = [](int) { ++caught; };
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  const absl::Cleanup restore = [&] { sigaction(SIGUSR1, &before, nullptr); };
  StressServer server;
  std::atomic<bool> over = false;
  Thread bomber = Thread::Start({.name = "bomber", .blocks_signals = true}, [&] {
                    while (!over) kill(getpid(), SIGUSR1);
                  }).value();
  const int messages = Scaled(1'000);
  std::atomic<int> wrong = 0;
  RunOnThreads(2, [&](int client) {
    Peer peer = Peer::ConnectedTo(server.address(client));
    // However fast that is, there are signals meanwhile.
    for (int i = 0; i < messages || caught <= 100; ++i) {
      const auto size = static_cast<size_t>(1 + i % messages * 7);
      const std::string text = Noise(static_cast<uint64_t>(i), size);
      peer.Send(text);
      if (peer.Receive(text.size()) != text) ++wrong;
    }
  });
  over = true;
  bomber.Join();
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(Until([&] { return server.stats().open == 0; }));
  EXPECT_EQ(server.stats().closed_on_error, 0);
  EXPECT_EQ(server.stats().accepted, 2);
}

}  // namespace
}  // namespace millrace
