// SPDX-License-Identifier: Apache-2.0
//
// A server runs out of descriptors, really: the echo program, whose limit is lowered from outside.
#include <sys/resource.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/socket_address.h"
#include "tests/stress/stress.h"
#include "tests/support/echo_process.h"
#include "tests/support/peer.h"
#include "tests/support/process_figures.h"

namespace millrace {
namespace {

class DescriptorsTest : public ::testing::TestWithParam<const char*> {
 protected:
  DescriptorsTest() : server_({"--listen=127.0.0.1:0", GetParam(), "--poller=epoll"}) {}

  void LimitDescriptors(rlim_t count) {
    const rlimit limit = {.rlim_cur = count, .rlim_max = count_max_};
    ASSERT_EQ(prlimit(server_.process().pid(), RLIMIT_NOFILE, &limit, nullptr), 0);
  }
  // Whether it is served, and not turned away.
  bool Served(Peer& peer) {
    peer.SendSome("hello");
    return peer.Receive(5) == "hello";
  }
  // `count` that connect at the same time; those that were served.
  std::vector<Peer> Crowd(int count) {
    std::vector<Peer> crowd;
    for (int i = 0; i < count; ++i) crowd.push_back(Peer::ConnectedTo(address_));
    std::erase_if(crowd, [this](Peer& peer) { return !Served(peer); });
    return crowd;
  }

  EchoProcess server_;
  const SocketAddress address_ = server_.NextAddress();
  const rlim_t count_max_ = 1000;
};

INSTANTIATE_TEST_SUITE_P(Threads, DescriptorsTest, ::testing::Values("--threads=1", "--threads=2"));

TEST_P(DescriptorsTest, OutOfThemItTurnsAwaySleepsAndRecovers) {
  LimitDescriptors(100);
  std::vector<Peer> served = Crowd(300);
  EXPECT_GT(served.size(), 20u);
  EXPECT_LT(served.size(), 100u);
  // Those that are in are served as ever, and it costs little to turn others away.
  const absl::Duration used = ProcessorTime(server_.process().pid());
  const absl::Time from = absl::Now();
  for (int i = 0; i < 10; ++i) {
    Peer late = Peer::ConnectedTo(address_);
    EXPECT_FALSE(Served(late)) << "there is no room";
    for (Peer& peer : served) EXPECT_TRUE(Served(peer));
  }
  EXPECT_LT(ProcessorTime(server_.process().pid()) - used,
            (absl::Now() - from) / 2 + absl::Milliseconds(50));
  // Some leave, and there is room again.
  served.erase(served.begin(), served.begin() + 10);
  std::vector<Peer> next;
  EXPECT_TRUE(Until([&] {
    for (Peer& peer : Crowd(1)) next.push_back(std::move(peer));
    return next.size() == 5;
  }));
  for (Peer& peer : served) EXPECT_TRUE(Served(peer));
  LimitDescriptors(1000);
  EXPECT_TRUE(Until([&] { return Crowd(200).size() == 200; }));
}

}  // namespace
}  // namespace millrace
