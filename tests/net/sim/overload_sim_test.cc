// SPDX-License-Identifier: Apache-2.0
//
// Rates are exact over a long time, and the memory budget holds, for many connections on several
// loops. See docs/overload.md.
#include <algorithm>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "gtest/gtest.h"
#include "net/backoff.h"
#include "net/buffer.h"
#include "net/close_reason.h"
#include "net/connection_handler.h"
#include "net/limits.h"
#include "net/memory_budget.h"
#include "net/rate_limit.h"
#include "net/sim/for_each_seed.h"
#include "net/sim/sim_peer.h"
#include "net/sim/simulation.h"
#include "net/socket_address.h"
#include "net/tcp_client.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "net/timer_wheel.h"

namespace millrace {
namespace {

// Sends without end, as fast as it is let; counts what comes.
class Flood final : public ConnectionHandler {
 public:
  Flood(bool sends, uint64_t& came) : sends_(sends), came_(came) {}

  void OnOpen(TcpConnection& conn) override LOOP_ONLY { SendMore(conn); }
  void OnWritable(TcpConnection& conn) override LOOP_ONLY { SendMore(conn); }
  void OnData(TcpConnection&, Buffer& input) override LOOP_ONLY {
    came_ += input.size();
    input.Clear();
  }

 private:
  void SendMore(TcpConnection& conn) LOOP_ONLY {
    while (sends_ && conn.Send(std::string(10'000, 'x'))) {
    }
  }

  const bool sends_;
  uint64_t& came_;
};

// A server with limits, and clients at the other end of the network.
class RatesTest : public ::testing::Test {
 protected:
  enum class Way { kUp, kDown };

  void Start(uint64_t seed, const ConnectionLimits& limits, int clients, Way way) {
    sim_ = std::make_unique<Simulation>(Simulation::Options{.seed = seed});
    AssertOnLoop();
    came_.assign(2 * clients, 0);
    server_ = TcpServer::Start(sim_->main(), &sim_->workers(),
                               {.addresses = {SocketAddress::Loopback(7007)},
                                .handler = Floods(way == Way::kDown),
                                .limits = limits})
                  .value();
    for (int i = 0; i < clients; ++i) {
      clients_.push_back(std::make_unique<TcpClient>(
          sim_->client(), TcpClient::Options{.address = server_->addresses()[0],
                                             .handler = Floods(way == Way::kUp)}));
      clients_.back()->Connect();
    }
    begin_ = sim_->now();
    sim_->RunFor(absl::Seconds(1));
  }
  void TearDown() override {
    clients_.clear();
    server_.reset();
    sim_.reset();
  }
  HandlerFactory Floods(bool sends) {
    return [this, sends] { return std::make_unique<Flood>(sends, came_.at(made_++)); };
  }
  double Seconds() const { return absl::ToDoubleSeconds(sim_->now() - begin_); }
  double Read() const { return server_->stats().limited_bytes_read; }
  double Written() const { return server_->stats().limited_bytes_written; }
  // No more than a burst and what came in since; less by what one waits for at most. Its start, by
  // a connection that had to be made, and a timer, may be late.
  void ExpectRate(double bytes, const RateLimit& rate, int buckets, double quanta) {
    const double due = rate.bytes_per_second * Seconds() + rate.burst();
    EXPECT_LE(bytes, buckets * due);
    const double late = 0.005 * rate.bytes_per_second;
    EXPECT_GE(bytes, buckets * (due - late) - quanta * kRateQuantumBytes);
  }

  std::vector<uint64_t> came_;
  size_t made_ = 0;
  MonotonicTime begin_;
  std::unique_ptr<Simulation> sim_;
  std::unique_ptr<TcpServer> server_;
  std::vector<std::unique_ptr<TcpClient>> clients_;
};

constexpr RateLimit kEach = {.bytes_per_second = 100'000};
constexpr RateLimit kAll = {.bytes_per_second = 200'000};

TEST_F(RatesTest, EachReadsExactlyAtItsRate) {
  Start(1, {.rate = {.read = kEach}}, 10, Way::kUp);
  sim_->RunFor(absl::Minutes(2));
  ExpectRate(Read(), kEach, 10, 10);
  EXPECT_GT(server_->stats().rate_pauses_read, 0);
}

TEST_F(RatesTest, EachWritesExactlyAtItsRate) {
  Start(2, {.rate = {.write = kEach}}, 10, Way::kDown);
  sim_->RunFor(absl::Minutes(2));
  ExpectRate(Written(), kEach, 10, 10);
  EXPECT_GT(server_->stats().rate_pauses_write, 0);
}

TEST_F(RatesTest, AGroupReadsExactlyAtItsRateAndFairly) {
  const Ref<RateLimitGroup> group = RateLimitGroup::Create({.read = kAll}).value();
  Start(3, {.rate_group = group}, 40, Way::kUp);
  sim_->RunFor(absl::Minutes(2));
  ExpectRate(Read(), kAll, 1, 41);
  EXPECT_EQ(group->stats().bytes_read, Read());
  std::vector<uint64_t> shares;
  for (const uint64_t came : came_) {
    if (came > 0) shares.push_back(came);
  }
  ASSERT_EQ(shares.size(), 40u);
  const auto [least, most] = std::minmax_element(shares.begin(), shares.end());
  EXPECT_LE(*most - *least, static_cast<uint64_t>(kAll.burst()) + 3 * kRateQuantumBytes);
}

TEST_F(RatesTest, AGroupWritesExactlyAtItsRate) {
  const Ref<RateLimitGroup> group = RateLimitGroup::Create({.write = kAll}).value();
  Start(4, {.rate_group = group}, 40, Way::kDown);
  sim_->RunFor(absl::Minutes(2));
  ExpectRate(Written(), kAll, 1, 41);
}

TEST_F(RatesTest, OwnRatesHoldWithinAGroup) {
  const Ref<RateLimitGroup> group =
      RateLimitGroup::Create({.read = {.bytes_per_second = 1e9}}).value();
  Start(5, {.rate = {.read = kEach}, .rate_group = group}, 10, Way::kUp);
  sim_->RunFor(absl::Minutes(1));
  ExpectRate(Read(), kEach, 10, 20);
}

TEST_F(RatesTest, InARoughWorldNoMoreGoesThanIsAllowed) {
  ForEachSeed(8, [this](uint64_t seed) {
    const Ref<RateLimitGroup> group = RateLimitGroup::Create({.read = kAll}).value();
    Start(seed, {.rate = {.read = kEach}, .rate_group = group}, 10, Way::kUp);
    sim_->SetFaults(RoughWorld(seed).faults);
    sim_->RunFor(absl::Minutes(1));
    // What is reserved and not used comes on top, a quantum each.
    EXPECT_LE(Read(), kAll.bytes_per_second * Seconds() + kAll.burst() + 10. * kRateQuantumBytes);
    TearDown();
    made_ = 0;
  });
}

// The budget.

constexpr uint64_t kKiB = 1024, kMiB = 1024 * kKiB;

struct Live {
  std::set<TcpConnection*> connections;  // Of all loops: there is but one thread.
  int closed_for_budget = 0;

  uint64_t output_bytes() const {
    AssertOnLoop();
    uint64_t sum = 0;
    for (const TcpConnection* conn : connections) sum += conn->output_bytes();
    return sum;
  }
};

// Answers each byte with 16 KiB, but "p" with one byte.
class Generous final : public ConnectionHandler {
 public:
  explicit Generous(Live& live) : live_(live) {}

  void OnOpen(TcpConnection& conn) override LOOP_ONLY { live_.connections.insert(&conn); }
  void OnData(TcpConnection& conn, Buffer& input) override LOOP_ONLY {
    for (const char byte : input.readable()) {
      conn.Send(std::string(byte == 'p' ? 1 : 16 * kKiB, 'x'));
    }
    input.Clear();
  }
  void OnClose(TcpConnection& conn, const absl::Status&) override LOOP_ONLY {
    live_.connections.erase(&conn);
    if (conn.close_reason().cause == CloseCause::kMemoryBudget) ++live_.closed_for_budget;
  }

 private:
  Live& live_;
};

// Asks for one answer after the other, and reads none.
class Glutton final : public ConnectionHandler {
 public:
  void OnOpen(TcpConnection& conn) override LOOP_ONLY {
    conn.PauseReading();
    Ask(conn);
  }
  void Ask(TcpConnection& conn) LOOP_ONLY {
    timer_.emplace(conn.loop().timers(), [&conn] {
      AssertOnLoop();
      conn.Send("aaaa");
    });
    timer_->ArmEvery(absl::Milliseconds(5));
  }
  void OnData(TcpConnection&, Buffer&) override LOOP_ONLY {}
  void OnClose(TcpConnection&, const absl::Status&) override LOOP_ONLY { timer_.reset(); }

 private:
  std::optional<Timer> timer_;
};

TEST(BudgetTest, TwentyWhoNeverReadStayWithinItOverTwoLoopsAndAnHonestOneIsServed) {
  ForEachSeed(10, [](uint64_t seed) {
    Simulation sim({.seed = seed});
    AssertOnLoop();
    Live live;
    const uint64_t limit = 4 * kMiB;
    const auto budget = MemoryBudget::Create({.limit_bytes = limit}).value();
    const auto server =
        TcpServer::Start(sim.main(), &sim.workers(),
                         {.addresses = {SocketAddress::Loopback(7007)},
                          .handler = [&] { return std::make_unique<Generous>(live); },
                          .limits = {.output_bytes_high = kOutputBytesMax},
                          .memory_budget = budget})
            .value();
    SimPeer honest(sim, server->addresses()[0]);
    std::list<TcpClient> gluttons;
    for (int i = 0; i < 20; ++i) {
      gluttons.emplace_back(
          sim.client(), TcpClient::Options{.address = server->addresses()[0],
                                           .handler = [] { return std::make_unique<Glutton>(); },
                                           .retry = Backoff::Options(),
                                           .reconnect = true});
      gluttons.back().Connect();
    }
    // Reports may be 64 KiB off on each loop, and a turn may add an answer for each of four bytes
    // of each before they are looked at.
    const uint64_t bound = limit + 2 * kBudgetReportBytes + 20 * 4 * 16 * kKiB;
    uint64_t peak = 0;
    for (int i = 0; i < 100; ++i) {
      const MonotonicTime end = sim.now() + absl::Milliseconds(100);
      sim.RunUntil(
          [&] {
            peak = std::max(peak, live.output_bytes());
            return sim.now() >= end;
          },
          absl::Milliseconds(100));
      ASSERT_TRUE(honest.Send("p"));
      ASSERT_EQ(honest.Read(1), "x");
    }
    EXPECT_LE(peak, bound);
    EXPECT_GT(peak, limit / 2) << "there was something to bound";
    EXPECT_GT(budget->stats().stops + budget->stats().closes, 0u);
    EXPECT_EQ(server->stats().ended[static_cast<size_t>(CloseCause::kMemoryBudget)],
              live.closed_for_budget);
    gluttons.clear();
    honest.Close();
    EXPECT_TRUE(sim.RunUntil([&] { return server->stats().open == 0; }, absl::Minutes(2)));
    EXPECT_LE(budget->total_bytes(), 2 * kBudgetReportBytes) << "all of it came back";
  });
}

TEST(BudgetTest, AClientKeepsToIt) {
  Simulation sim;
  AssertOnLoop();
  Live live;
  uint64_t came = 0;
  const auto server =
      TcpServer::Start(sim.main(), &sim.workers(),
                       {.addresses = {SocketAddress::Loopback(7007)},
                        .handler = [&] { return std::make_unique<Flood>(false, came); },
                        .limits = {.rate = {.read = {.bytes_per_second = 1000}}},
                        .memory_budget = {}})
          .value();
  const auto budget = MemoryBudget::Create({.limit_bytes = 100 * kKiB}).value();
  TcpClient client(sim.client(), {.address = server->addresses()[0],
                                  .handler = [&] { return std::make_unique<Flood>(true, came); },
                                  .limits = {.output_bytes_low = kMiB, .output_bytes_high = kMiB},
                                  .memory_budget = budget});
  client.Connect();
  sim.RunFor(absl::Seconds(1));
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(client.counters().ended[static_cast<size_t>(CloseCause::kMemoryBudget)].value(), 1u);
}

TEST(BudgetTest, ThereIsOneByDefault) {
  const TcpServer::Options server;
  const TcpClient::Options client;
  EXPECT_TRUE(server.memory_budget);
  EXPECT_EQ(server.memory_budget, client.memory_budget);
}

TEST(StartTest, WithoutALoopNobodyCanAcceptOnEach) {
  Simulation sim({.workers = 0});
  AssertOnLoop();
  Live live;
  const auto server = TcpServer::Start(sim.main(), &sim.workers(),
                                       {.addresses = {SocketAddress::Loopback(7007)},
                                        .handler = [&] { return std::make_unique<Generous>(live); },
                                        .accepting = TcpServer::Accepting::kOnEachWorker});
  EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace millrace
