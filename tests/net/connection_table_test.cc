// SPDX-License-Identifier: Apache-2.0
#include "net/connection_table.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/limits.h"
#include "net/plain_transport.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ConnectionTableTest : public ConnectionTest {
 protected:
  void CountEnds() {
    table().set_on_end([this](const ConnectionTable::End&) { ++ends_; });
  }
  // The peer finds its connection closed at once, in whichever way.
  void ExpectClosed(Peer& peer) {
    EXPECT_EQ(peer.ReceiveAll(), "");
    EXPECT_TRUE(peer.ended() || peer.was_reset());
  }

  int ends_ = 0;
};

TEST_F(ConnectionTableTest, OwnsWhatItOpensUntilItEnds) {
  CountEnds();
  Peer one = Open(), two = OpenNeighbour();
  EXPECT_EQ(table().size(), 2u);
  one.Close();
  EXPECT_TRUE(StepUntilClosed());
  EXPECT_EQ(table().size(), 1u);
  EXPECT_EQ(ends_, 1);
  EXPECT_FALSE(neighbour_log_.closed());
}

TEST_F(ConnectionTableTest, AHandlerFactoryMayRefuse) {
  CountEnds();
  auto [ours, theirs] = TcpPair();
  table().Open(std::move(ours), SocketAddress(), {}, [] { return nullptr; });
  EXPECT_EQ(table().size(), 0u);
  EXPECT_EQ(counters_.failed_to_open.value(), 1u);
  EXPECT_EQ(ends_, 1);
  Peer peer(std::move(theirs));
  ExpectClosed(peer);
  EXPECT_TRUE(peer.was_reset()) << "an orderly end would look like an empty answer";
}

TEST_F(ConnectionTableTest, AnEmptyHandlerFactoryRefuses) {
  auto [ours, theirs] = TcpPair();
  table().Open(std::move(ours), SocketAddress(), {}, {});
  EXPECT_EQ(counters_.failed_to_open.value(), 1u);
  Peer peer(std::move(theirs));
  ExpectClosed(peer);
}

TEST_F(ConnectionTableTest, ATransportFactoryMayRefuse) {
  transport_ = [](Socket) -> absl::StatusOr<std::unique_ptr<Transport>> {
    return absl::UnavailableError("no keys");
  };
  CountEnds();
  Peer peer = Open();
  EXPECT_EQ(counters_.failed_to_open.value(), 1u);
  EXPECT_EQ(ends_, 1);
  EXPECT_FALSE(log_.opened());
  ExpectClosed(peer);
}

TEST_F(ConnectionTableTest, ATransportFactoryMakesTheTransport) {
  int made = 0;
  transport_ = [&](Socket socket) -> absl::StatusOr<std::unique_ptr<Transport>> {
    ++made;
    return std::make_unique<PlainTransport>(std::move(socket));
  };
  Peer peer = Open();
  EXPECT_EQ(made, 1);
  EXPECT_TRUE(log_.opened());
}

TEST_F(ConnectionTableTest, CloseAllTellsEveryHandlerBeforeItReturns) {
  CountEnds();
  std::vector<Peer> peers;
  for (int i = 0; i < 5; ++i) peers.push_back(Open());
  table().CloseAll(absl::CancelledError("closing time"));
  EXPECT_EQ(table().size(), 0u);
  EXPECT_EQ(ends_, 5);
  EXPECT_EQ(log_.closes.size(), 5u);
  for (const absl::Status& why : log_.closes) EXPECT_EQ(why, absl::CancelledError("closing time"));
  for (Peer& peer : peers) ExpectClosed(peer);
}

TEST_F(ConnectionTableTest, CloseAllThatDropsOutputResets) {
  Peer idle = Open();
  EXPECT_FALSE(log_.closed());
  Peer busy = Open(TcpPair(), neighbour_log_);
  neighbour_log_.connection->Send("never sent");
  table().CloseAll(absl::CancelledError("closing time"));
  EXPECT_EQ(busy.ReceiveAll(), "");
  EXPECT_TRUE(busy.was_reset());
  EXPECT_EQ(idle.ReceiveAll(), "");
  EXPECT_TRUE(idle.ended());
}

TEST_F(ConnectionTableTest, OnceClosedItOpensNoMore) {
  table().CloseAll(absl::CancelledError("closing time"));
  Peer peer = Open();
  EXPECT_FALSE(log_.opened());
  EXPECT_EQ(table().size(), 0u);
  EXPECT_EQ(counters_.failed_to_open.value(), 1u);
  ExpectClosed(peer);
}

TEST_F(ConnectionTableTest, TellsTheOpenOnesToDrain) {
  Peer one = Open(), two = OpenNeighbour();
  log_.on_drain = [](TcpConnection& conn) {
    conn.Send("bye");
    conn.CloseAfterFlush();
  };
  table().TellDrain();
  EXPECT_EQ(ReceiveAll(one), "bye");
  EXPECT_THAT(neighbour_log_.events, ElementsAre("open", "drain"));
  table().TellDrain();
  EXPECT_THAT(neighbour_log_.events, ElementsAre("open", "drain")) << "once is enough";
  EXPECT_THAT(log_.events, ElementsAre("open", "drain")) << "it is saying goodbye already";
}

TEST_F(ConnectionTableTest, WhatIsAbortedAlreadyIsNotToldToDrain) {
  Peer peer = Open();
  conn().Abort(absl::AbortedError("enough"));
  table().TellDrain();
  Settle();
  EXPECT_THAT(log_.events, ElementsAre("open", "close ABORTED"));
}

TEST_F(ConnectionTableTest, AHandlerMayCloseAllWhenToldToDrain) {
  std::vector<Peer> peers;
  for (int i = 0; i < 4; ++i) peers.push_back(Open());
  log_.on_drain = [&](TcpConnection&) { table().CloseAll(absl::CancelledError("all")); };
  table().TellDrain();
  EXPECT_EQ(std::count(log_.events.begin(), log_.events.end(), "drain"), 1);
  EXPECT_EQ(log_.closes.size(), 4u);
  Settle();
}

TEST_F(ConnectionTableTest, AHandlerMayCloseAllWhenItIsClosed) {
  CountEnds();
  log_.on_close = [&](TcpConnection&, const absl::Status&) {
    table().CloseAll(absl::CancelledError("then all"));
  };
  std::vector<Peer> peers;
  for (int i = 0; i < 4; ++i) peers.push_back(Open());
  peers[2].Close();
  EXPECT_TRUE(StepUntil([&] { return table().size() == 0; }));
  EXPECT_EQ(log_.closes.size(), 4u);
  EXPECT_EQ(ends_, 4);
  Settle();
}

TEST_F(ConnectionTableTest, AnEndMayOpenTheNext) {
  std::vector<Peer> peers;
  table().set_on_end([&](const ConnectionTable::End& end) {
    EXPECT_TRUE(end.failure.ok());
    if (peers.size() < 5) peers.push_back(Open());
  });
  peers.push_back(Open());
  while (peers.size() < 5) {
    const size_t before = peers.size();
    peers.back().Close();
    ASSERT_TRUE(StepUntil([&] { return peers.size() > before; }));
  }
  EXPECT_EQ(table().size(), 1u);
  EXPECT_EQ(counters_.closed.value(), 4u);
}

TEST_F(ConnectionTableTest, DestroyedItEndsWhatIsOpen) {
  CountEnds();
  Peer peer = Open();
  loop_->Release(table());
  loop_.Step();
  EXPECT_EQ(log_.closes.size(), 1u);
  EXPECT_EQ(log_.closes[0].code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(ends_, 0) << "who wants to hear of it is usually gone";
  ExpectClosed(peer);
  loop_.Steps(2);
}

TEST_F(ConnectionTableTest, WhatAConnectionSharesIsTheLoops) {
  Peer peer = Open();
  ConnectionCounters other_counters;
  auto other = std::make_unique<ConnectionTable>(*loop_, ConnectionLimits(), other_counters);
  EXPECT_EQ(&other->memory(), &table().memory());
}

TEST_F(ConnectionTableTest, AReportTellsFirstOfThoseWhoseBytesWait) {
  log_.on_data = [](TcpConnection&, Buffer&) {};
  std::vector<Peer> peers;
  for (size_t i = 0; i < kReportedConnectionsMax + 5; ++i) peers.push_back(OpenNeighbour());
  peers.push_back(Open());
  peers.back().Send("unread");
  ASSERT_TRUE(StepUntil([&] { return counters_.bytes_read.value() == 6; }));
  peers.push_back(OpenNarrow());
  conn().Send(std::string(50'000, 'x'));
  Settle();

  std::vector<std::string> pieces;
  table().Report([&](absl::string_view text) { pieces.emplace_back(text); });
  ASSERT_EQ(pieces.size(), 1 + kReportedConnectionsMax);
  EXPECT_EQ(pieces[0],
            absl::StrCat(kReportedConnectionsMax + 7, " connections, 2 with bytes waiting; ",
                         kReportedConnectionsMax, " follow\n"));
  EXPECT_THAT(pieces[1], HasSubstr(" 0 bytes unsent, 6 unread"));
  EXPECT_EQ(pieces[2], conn().Report());
  EXPECT_THAT(pieces[3], HasSubstr(" 0 bytes unsent, 0 unread"));
}

}  // namespace
}  // namespace millrace
