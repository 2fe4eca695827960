// SPDX-License-Identifier: Apache-2.0
//
// What TcpServer's tests cannot see from outside: the order in which a shard tells of its end.
#include "net/server_shard.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/close_reason.h"
#include "net/socket.h"
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
        *loop_, ServerShard::Plan{handler_, transport_, limits_}, counters_,
        ServerShard::Listeners{
            .on_connection_end = [this] { log_.events.push_back("told end"); },
            .on_drained = [this] { log_.events.push_back("told drained"); },
            .on_destroyed = [this] { log_.events.push_back("told destroyed"); }}));
  }
  Peer Open() {
    auto [ours, theirs] = Socket::Pair().value();
    shard_->Open(std::move(ours), SocketAddress::Any(0));
    return Peer(std::move(theirs));
  }

  ConnectionLog log_;
  HandlerFactory handler_ = RecordingHandlers(log_);
  TransportFactory transport_;
  ConnectionLimits limits_;
  ServerShard::Counters counters_;
  TestLoop loop_;  // Destroyed first: it keeps the shard.
  ServerShard* shard_;
};

TEST_F(ServerShardTest, DrainTellsHandlersAndReportsTheLastEnd) {
  Peer peer = Open();
  shard_->Drain(absl::Hours(1));
  peer.Close();
  ASSERT_TRUE(loop_.StepUntil([&] { return log_.closed(); }));
  EXPECT_THAT(log_.events,
              ElementsAre("open", "drain", "end", "close OK", "told end", "told drained"));
  shard_->Drain(absl::Hours(1));
  EXPECT_EQ(log_.events.size(), 6u) << "drained is told once";
}

TEST_F(ServerShardTest, NearerGraceCounts) {
  Peer peer = Open();
  shard_->Drain(absl::Seconds(10));
  shard_->Drain(absl::Seconds(20));
  loop_.Advance(absl::Seconds(9));
  EXPECT_FALSE(log_.closed());
  loop_.Advance(absl::Seconds(1));
  ASSERT_TRUE(log_.closed());
  EXPECT_TRUE(absl::IsDeadlineExceeded(log_.closes[0]));
  EXPECT_EQ(log_.reasons[0].cause, CloseCause::kDrainTimeout);
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
              ElementsAre("open", "close CANCELLED", "told end", "told drained", "told destroyed"));
}

}  // namespace
}  // namespace millrace
