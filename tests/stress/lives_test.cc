// SPDX-License-Identifier: Apache-2.0
//
// Bug list, 12: loops, pools and servers that come and go, made and ended by many threads at once.
// A deadlock fails the test by its timeout; ThreadSanitizer looks for the rest.
#include <atomic>
#include <barrier>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "base/thread.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/function_handler.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "net/timer_wheel.h"
#include "tests/stress/stress.h"
#include "tests/support/peer.h"
#include "tests/support/process_figures.h"

namespace millrace {
namespace {

// Each runs on one thread, is posted to by another, and stopped by a third.
TEST(LivesTest, AThousandLoopsRunArePostedToAndStoppedByOthers) {
  const int before = OpenDescriptors();
  const int rounds = Scaled(1'000) / 4 + 1;
  std::atomic<int> accepted = 0, run = 0;
  RunOnThreads(4, [&](int) {
    for (int i = 0; i < rounds; ++i) {
      auto loop = EventLoop::Create().value();
      int ticks = 0;
      Timer tick(loop->timers(), [&] { ++ticks; });
      tick.ArmEvery(absl::Milliseconds(1));
      Thread other = Thread::Start({.name = "other"}, [&, ref = loop->ref()] {
                       while (!ref.Post([&] { ++run; })) {
                       }
                       ++accepted;
                       for (int j = 0; j < 10; ++j) accepted += ref.Post([&] { ++run; });
                       ref.Stop();
                     }).value();
      loop->Run();
      other.Join();
    }
  });
  EXPECT_EQ(run, accepted) << "what was accepted has run";
  EXPECT_EQ(OpenDescriptors(), before);
}

struct Tally {
  std::atomic<int64_t> opened = 0, closed = 0;
};

TcpServer::Options TallyingEcho(Tally& tally) {
  return {.addresses = {SocketAddress::Loopback(0)},
          .handler = FunctionHandlers(
              {.on_open = [&tally](TcpConnection&) { ++tally.opened; },
               .on_data = [](TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); },
               .on_close = [&tally](TcpConnection&, const absl::Status&) { ++tally.closed; }})};
}

// Knocks, talks and goes, over and over, whoever answers.
class Knocker {
 public:
  Knocker(SocketAddress address, int threads) : address_(std::move(address)) {
    for (int i = 0; i < threads; ++i) {
      threads_.push_back(Thread::Start({.name = "knocker"}, [this] { Knock(); }).value());
    }
  }
  ~Knocker() { over_ = true; }

 private:
  void Knock() {
    while (!over_) {
      Socket socket = Socket::CreateFor(address_).value();
      if (!socket.Connect(address_).ok()) continue;
      Peer peer(std::move(socket));
      peer.SendSome("hello");
      peer.ReceiveSome();
    }
  }

  const SocketAddress address_;
  std::atomic<bool> over_ = false;
  std::vector<Thread> threads_;  // Last.
};

TEST(LivesTest, ServersComeAndGoUnderAStorm) {
  const int before = OpenDescriptors();
  const int rounds = Scaled(200);
  Random random(11);
  Tally tally;
  for (int round = 0; round < rounds; ++round) {
    auto main = EventLoop::Create().value();
    std::unique_ptr<EventLoopThreadPool> pool;
    const int workers = round % 4;
    if (workers > 0) pool = EventLoopThreadPool::Start({.threads = workers}).value();
    TcpServer::Options options = TallyingEcho(tally);
    if (workers > 1 && round % 8 > 3) options.accepting = TcpServer::Accepting::kOnEachWorker;
    auto server = TcpServer::Start(*main, pool.get(), std::move(options)).value();
    const Knocker knocker(server->addresses()[0], 2);
    for (uint64_t turns = random.Below(20); turns > 0; --turns) {
      main->RunOnce(absl::Milliseconds(1));
    }
    // Whichever goes first.
    if (round % 3 == 0 && pool != nullptr) pool->Stop();
    if (round % 3 == 1) main->Stop(), main->Run();
    server.reset();
    EXPECT_EQ(tally.opened, tally.closed) << "once it is gone nothing is called";
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

// Drained and stopped by many threads, several times, at the same moment.
TEST(LivesTest, EverybodyEndsItAtOnce) {
  const int before = OpenDescriptors();
  const int rounds = Scaled(100);
  for (int round = 0; round < rounds; ++round) {
    Tally tally;
    auto main = EventLoop::Create().value();
    auto pool = EventLoopThreadPool::Start({.threads = 2}).value();
    auto server = TcpServer::Start(*main, pool.get(), TallyingEcho(tally)).value();
    std::vector<Peer> peers;
    for (int i = 0; i < 8; ++i) peers.push_back(Peer::ConnectedTo(server->addresses()[0]));
    std::atomic<int> drained = 0;
    std::barrier ready(6);
    std::vector<Thread> enders;
    for (int i = 0; i < 6; ++i) {
      enders.push_back(Thread::Start({.name = "ender"}, [&, i] {
                         ready.arrive_and_wait();
                         if (i < 4)
                           server->Drain(absl::Milliseconds(i), [&](const DrainReport&) {
                             if (++drained == 4) main->Stop();
                           });
                         if (i == 4) peers[0].Reset();
                         if (i == 5 && round % 2 == 0) pool->Stop();
                       }).value());
    }
    main->Run();  // Until each of the four was told.
    enders.clear();
    EXPECT_EQ(drained, 4);
    server.reset();
    EXPECT_EQ(tally.opened, tally.closed);
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

}  // namespace
}  // namespace millrace
