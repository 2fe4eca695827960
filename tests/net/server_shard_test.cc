// SPDX-License-Identifier: Apache-2.0
//
// What TcpServer's tests cannot see from outside: the order in which a shard tells of its end.
#include "net/server_shard.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/ref.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/admission.h"
#include "net/close_reason.h"
#include "net/drain.h"
#include "net/memory_budget.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "tests/support/peer.h"
#include "tests/support/recording_handler.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

class ServerShardTest : public ::testing::Test {
 protected:
  ServerShardTest() {
    shard_ = &loop_->Keep(std::make_unique<ServerShard>(
        *loop_, ServerShard::Plan{handler_, transport_, limits_, admission_, budget_}, counters_,
        ServerShard::Listeners{
            .on_room = [this](Admission::Room) { log_.events.push_back("told room"); },
            .on_drained =
                [this](const DrainReport& report) {
                  log_.events.push_back("told drained");
                  report_ = report;
                },
            .on_destroyed = [this] { log_.events.push_back("told destroyed"); }}));
  }
  Peer Open() {
    auto [ours, theirs] = Socket::Pair().value();
    const SocketAddress nobody = SocketAddress::Loopback(0);
    admission_.Enter(nobody, 0, loop_->now());
    shard_->Open(std::move(ours), nobody, 0);
    return Peer(std::move(theirs));
  }

  ConnectionLog log_;
  HandlerFactory handler_ = RecordingHandlers(log_);
  const Ref<MemoryBudget> budget_;
  TransportFactory transport_;
  ConnectionLimits limits_;
  Admission admission_{{}, /*connections_max=*/100, /*listeners=*/1};
  ServerShard::Counters counters_;
  DrainReport report_;
  TestLoop loop_;  // Destroyed first: it keeps the shard.
  ServerShard* shard_;
};

TEST_F(ServerShardTest, DrainTellsHandlersAndReportsTheLastEnd) {
  Peer peer = Open();
  shard_->Drain({.grace = absl::Hours(1)});
  peer.Close();
  ASSERT_TRUE(loop_.StepUntil([&] { return log_.closed(); }));
  EXPECT_THAT(log_.events, ElementsAre("open", "drain", "end", "close OK", "told drained"));
  EXPECT_EQ(report_, (DrainReport{.ended = 1}));
  shard_->Drain({.grace = absl::Hours(1)});
  EXPECT_EQ(log_.events.size(), 5u) << "drained is told once";
}

TEST_F(ServerShardTest, NearerGraceCounts) {
  Peer peer = Open();
  shard_->Drain({.grace = absl::Seconds(10), .idle = absl::Hours(1)});
  shard_->Drain({.grace = absl::Seconds(20), .idle = absl::Hours(1)});
  loop_.Advance(absl::Seconds(9));
  EXPECT_FALSE(log_.closed());
  loop_.Advance(absl::Seconds(1));
  ASSERT_TRUE(log_.closed());
  EXPECT_TRUE(absl::IsDeadlineExceeded(log_.closes[0]));
  EXPECT_EQ(log_.reasons[0].cause, CloseCause::kDrainTimeout);
}

TEST_F(ServerShardTest, TheReportSaysWhichWayEachWent) {
  log_.on_data = [](TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); };
  Peer over_before = Open();
  over_before.Close();
  ASSERT_TRUE(loop_.StepUntil([&] { return log_.closed(); }));
  Peer orderly = Open(), broken = Open(), idle = Open(), busy = Open(), deaf = Open();
  log_.connection->SendOwned(std::string(10'000'000, 'x'));  // To the deaf one.
  shard_->Drain({.grace = absl::Seconds(10), .idle = absl::Seconds(1)});
  orderly.CloseWrite();
  broken.Send("left unread");
  loop_.Step();
  broken.Close();
  for (int i = 0; i < 20; ++i) {
    busy.Send("x");
    loop_.Advance(absl::Milliseconds(495));
    if (idle.ReceiveSome().empty() && idle.ended()) idle.Close();
  }
  EXPECT_EQ(log_.closes.size(), 4u);
  loop_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(
      report_,
      (DrainReport{
          .ended = 1, .half_closed = 1, .failed = 1, .cut_off = 2, .cut_off_with_output = 1}));
  EXPECT_EQ(log_.events.back(), "told drained");
  EXPECT_EQ(admission_.open(), 0);
}

TEST_F(ServerShardTest, ASecondDrainMayShortenTheIdleTime) {
  Peer peer = Open();
  shard_->Drain({.grace = absl::Hours(1), .idle = absl::Minutes(1)});
  shard_->Drain({.grace = absl::Hours(1), .idle = absl::Seconds(1)});
  shard_->Drain({.grace = absl::Hours(1), .idle = absl::Minutes(1)});
  EXPECT_THAT(log_.events, ElementsAre("open", "drain"));
  loop_.Advance(absl::Seconds(1));
  peer.ReceiveSome();
  EXPECT_TRUE(peer.ended());
}

TEST_F(ServerShardTest, LoopThatEndsInADrainCutsOff) {
  Peer peer = Open();
  shard_->Drain({.grace = absl::Hours(1)});
  loop_.Destroy();
  EXPECT_EQ(report_, (DrainReport{.cut_off = 1}));
  EXPECT_EQ(admission_.open(), 0);
}

TEST_F(ServerShardTest, EndTellsHandlersAndThenIsSilent) {
  Peer peer = Open();
  shard_->End(absl::CancelledError("over"));
  EXPECT_THAT(log_.events, ElementsAre("open", "close CANCELLED"));
  Peer late = Open();
  EXPECT_EQ(counters_.connections.failed_to_open.value(), 1);
  loop_->Release(*shard_);
  loop_.Steps(2);
  EXPECT_THAT(log_.events, ElementsAre("open", "close CANCELLED", "told destroyed"));
}

TEST_F(ServerShardTest, LoopThatEndsFirstCountsAsDrainedAndDestroyed) {
  Peer peer = Open();
  loop_.Destroy();
  EXPECT_THAT(log_.events,
              ElementsAre("open", "close CANCELLED", "told drained", "told destroyed"));
}

}  // namespace
}  // namespace millrace
