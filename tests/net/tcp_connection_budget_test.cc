// SPDX-License-Identifier: Apache-2.0
//
// What the memory budget does to connections that hold much, on one loop.
#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/ref.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "net/close_reason.h"
#include "net/connection_table.h"
#include "net/limits.h"
#include "net/memory_budget.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kKiB = 1024, kMiB = 1024 * kKiB;

class TcpConnectionBudgetTest : public ConnectionTest {
 protected:
  TcpConnectionBudgetTest() {
    budget_ = MemoryBudget::Create({.limit_bytes = kMiB, .report_bytes = 1}).value();
    limits_.output_bytes_low = limits_.output_bytes_high = kOutputBytesMax;
  }
  // Before the logs that its connections write to.
  ~TcpConnectionBudgetTest() override { loop_.Destroy(); }

  struct Slow {
    ConnectionLog log;
    std::vector<Peer> peer;  // One, that does not read.
  };
  // One whose output is blocked, and that waits with so many bytes, or a few less.
  Slow& OpenHolding(uint64_t bytes) {
    Slow& slow = slow_.emplace_back();
    slow.peer.push_back(Open(NarrowUnixPair(), slow.log));
    slow.log.connection->Send(std::string(bytes, 'x'));
    Settle();
    return slow;
  }
  void Look() {
    loop_.Advance(kBudgetLookAgain);
    Settle();
  }

  std::list<Slow> slow_;
};

TEST_F(TcpConnectionBudgetTest, CountsUnsentOutputAndUnreadInput) {
  Slow& writer = OpenHolding(200 * kKiB);
  log_.on_data = [](TcpConnection&, Buffer&) {};  // Leaves it.
  Peer peer = Open();
  Send(peer, std::string(100 * kKiB, 'x'));
  Settle();
  EXPECT_EQ(budget_->total_bytes(), writer.log.connection->output_bytes() + 100 * kKiB);
}

TEST_F(TcpConnectionBudgetTest, WhatIsGoneDoesNotCount) {
  Slow& writer = OpenHolding(200 * kKiB);
  log_.on_data = [](TcpConnection&, Buffer& input) {
    if (input.size() == 100 * kKiB) input.Clear();
  };
  Peer peer = Open();
  Send(peer, std::string(100 * kKiB, 'x'));
  Settle();
  EXPECT_EQ(budget_->total_bytes(), writer.log.connection->output_bytes()) << "it was consumed";
  Receive(writer.peer[0], 200 * kKiB);
  Settle();
  EXPECT_EQ(budget_->total_bytes(), 0u);
  Slow& other = OpenHolding(200 * kKiB);
  other.log.connection->Abort(absl::CancelledError("enough"));
  Settle();
  EXPECT_EQ(budget_->total_bytes(), 0u);
}

TEST_F(TcpConnectionBudgetTest, WhatIsWrittenInManyTurnsDoesNotCountInTheEnd) {
  Slow& writer = OpenHolding(0);
  Peer& peer = writer.peer[0];
  for (int i = 0; i < 10; ++i) {
    writer.log.connection->Send(std::string(50 * kKiB, 'x'));
    Receive(peer, 50 * kKiB);
  }
  Settle();
  EXPECT_EQ(budget_->total_bytes(), 0u);
}

TEST_F(TcpConnectionBudgetTest, SmallOnesAreLeftAlone) {
  log_.on_data = [](TcpConnection&, Buffer&) {};
  Peer peer = Open();
  Send(peer, std::string(kBudgetHolderBytes - 1, 'x'));
  Settle();
  EXPECT_EQ(budget_->total_bytes(), 0u);
  Send(peer, "x");
  Settle();
  EXPECT_EQ(budget_->total_bytes(), kBudgetHolderBytes);
}

TEST_F(TcpConnectionBudgetTest, LittleOutputAndLittleInputAreMuchTogether) {
  limits_.rate = {.write = {.bytes_per_second = 1, .burst_bytes = 1}};
  log_.on_data = [](TcpConnection& conn, Buffer& input) {
    if (conn.output_bytes() == 0) conn.Send(std::string(kBudgetHolderBytes - 1, 'x'));
    if (input.size() == 1) input.Clear();
  };
  Peer peer = Open();
  Send(peer, "1");
  Settle();
  EXPECT_EQ(budget_->total_bytes(), 0u);
  Send(peer, "22");
  Settle();
  EXPECT_EQ(budget_->total_bytes(), log_.connection->output_bytes() + 2);
  EXPECT_GE(budget_->total_bytes(), kBudgetHolderBytes);
}

TEST_F(TcpConnectionBudgetTest, AboveTheFirstMarkTheLargestIsNotRead) {
  Slow& small = OpenHolding(100 * kKiB);
  Slow& large = OpenHolding(700 * kKiB);
  Look();
  EXPECT_FALSE(large.log.connection->reads());
  EXPECT_TRUE(small.log.connection->reads());
  EXPECT_EQ(budget_->stats().stops, 1u);
  Receive(large.peer[0], 400 * kKiB);
  Look();
  EXPECT_TRUE(large.log.connection->reads());
  EXPECT_EQ(budget_->stats().resumes, 1u);
  EXPECT_EQ(budget_->stats().closes, 0u);
}

TEST_F(TcpConnectionBudgetTest, BetweenTheMarksWhoReadsGoesOnReading) {
  Slow& large = OpenHolding(700 * kKiB);
  Look();
  EXPECT_TRUE(large.log.connection->reads()) << "68 %, and it never was above 75";
}

TEST_F(TcpConnectionBudgetTest, AboveTheLimitTheLargestIsClosed) {
  Slow& small = OpenHolding(300 * kKiB);
  Slow& large = OpenHolding(700 * kKiB);
  Slow& last = OpenHolding(200 * kKiB);
  ASSERT_TRUE(large.log.closed());
  EXPECT_EQ(large.log.reasons[0].cause, CloseCause::kMemoryBudget);
  EXPECT_EQ(large.log.closes[0].code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(large.log.reasons[0].ToString(), HasSubstr("limit: all connections together hold"));
  EXPECT_FALSE(small.log.closed() || last.log.closed());
  EXPECT_EQ(counters_.ended[static_cast<int>(CloseCause::kMemoryBudget)].value(), 1u);
  EXPECT_LE(budget_->total_bytes(), kMiB);
}

TEST_F(TcpConnectionBudgetTest, OneCloseIsEnoughForATurn) {
  Slow& first = OpenHolding(600 * kKiB);
  Slow& second = OpenHolding(500 * kKiB);
  EXPECT_EQ(first.log.closed() + second.log.closed(), 1);
}

TEST_F(TcpConnectionBudgetTest, AHandlerMayCloseOthersWhenItIsClosed) {
  Slow& other = OpenHolding(400 * kKiB);
  Slow& large = OpenHolding(500 * kKiB);
  large.log.on_close = [&](TcpConnection&, const absl::Status&) {
    other.log.connection->Abort(absl::CancelledError("it goes, too"));
  };
  OpenHolding(300 * kKiB);
  Settle();
  EXPECT_TRUE(large.log.closed() && other.log.closed());
}

// Each message is within its own bound, and all of them are not.
TEST_F(TcpConnectionBudgetTest, AFloodOfPartialMessagesIsBounded) {
  log_.on_data = [](TcpConnection&, Buffer&) {};
  std::list<Peer> peers;
  for (int i = 0; i < 30; ++i) {
    peers.push_back(Open());
    peers.back().SendSome(std::string(100 * kKiB, 'x'));
    Settle();
    EXPECT_LE(budget_->total_bytes(), kMiB);
    Look();
  }
  const MemoryBudget::Stats stats = budget_->stats();
  EXPECT_GT(stats.stops + stats.closes, 0u);
  EXPECT_LE(stats.total_bytes, kMiB);
  Peer honest = OpenNeighbour();
  Send(honest, "hello");
  ASSERT_TRUE(StepUntil([&] { return neighbour_log_.received == "hello"; })) << "it is served";
}

// Stopping and closing come after a turn, which by itself could bring any multiple of the limit.
TEST_F(TcpConnectionBudgetTest, ATurnDoesNotBringFarMoreThanThereIsRoomFor) {
  constexpr int kPeers = 60;
  log_.on_data = [](TcpConnection&, Buffer&) {};
  std::list<Peer> peers;
  for (int i = 0; i < kPeers; ++i) peers.push_back(Open());
  Settle();
  for (Peer& peer : peers) peer.SendSome(std::string(60 * kKiB, 'x'));
  Settle();
  const uint64_t peak = budget_->stats().peak_bytes;
  EXPECT_GT(peak, kMiB * 3 / 4);
  EXPECT_LE(peak, kMiB + kPeers * kBudgetReadBytesMin);
}

TEST_F(TcpConnectionBudgetTest, TablesOfALoopHaveOneShareAndItGoesWithTheLastOfThem) {
  BudgetShare* const share = table().budget_share();
  {
    const ConnectionTable second(*loop_, limits_, counters_, budget_);
    EXPECT_EQ(second.budget_share(), share);
    const Ref<MemoryBudget> another = MemoryBudget::Create({.limit_bytes = kMiB}).value();
    const ConnectionTable third(*loop_, limits_, counters_, another);
    EXPECT_NE(third.budget_share(), share);
    const ConnectionTable without(*loop_, limits_, counters_);
    EXPECT_EQ(without.budget_share(), nullptr);
  }
  Slow& large = OpenHolding(2 * kMiB);
  EXPECT_TRUE(large.log.closed()) << "the share is at work";
}

TEST_F(TcpConnectionBudgetTest, WithoutOneNothingIsBounded) {
  budget_ = {};
  EXPECT_FALSE(OpenHolding(10 * kMiB).log.closed());
}

}  // namespace
}  // namespace millrace
