// SPDX-License-Identifier: Apache-2.0
#include "net/connection_handle.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash_testing.h"
#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

class ConnectionHandleTest : public ConnectionTest {
 protected:
  // Says when it is destroyed.
  struct Guard {
    explicit Guard(bool* gone) : gone(gone) {}
    ~Guard() { *gone = true; }
    bool* const gone;
  };
};

TEST_F(ConnectionHandleTest, TheDefaultOneNamesNobody) {
  const ConnectionHandle handle;
  EXPECT_FALSE(handle.Run([](TcpConnection&) { ADD_FAILURE(); }));
  EXPECT_FALSE(handle.Send(std::string("x")));
  EXPECT_FALSE(handle.Send(absl::Cord("x")));
  EXPECT_FALSE(handle.Close());
  EXPECT_FALSE(handle.Abort(absl::AbortedError("x")));
}

TEST_F(ConnectionHandleTest, RunsWorkOnTheLoopInALaterTurn) {
  Peer peer = Open();
  TcpConnection* found = nullptr;
  EXPECT_TRUE(conn().handle().Run([&](TcpConnection& conn) { found = &conn; }));
  EXPECT_EQ(found, nullptr) << "never inside the call";
  loop_.Step();
  EXPECT_EQ(found, &conn());
}

TEST_F(ConnectionHandleTest, FromACallOfTheHandlerItComesAfterThatCall) {
  std::vector<std::string> order;
  log_.on_data = [&](TcpConnection& conn, Buffer& input) {
    input.Clear();
    conn.handle().Run([&](TcpConnection&) { order.push_back("posted"); });
    order.push_back("data");
  };
  Peer peer = Open();
  peer.Send("x");
  EXPECT_TRUE(StepUntil([&] { return order.size() == 2; }));
  EXPECT_THAT(order, ElementsAre("data", "posted"));
}

TEST_F(ConnectionHandleTest, CallsArriveInOrder) {
  Peer peer = Open();
  const ConnectionHandle handle = conn().handle();
  for (int i = 0; i < 100; ++i) {
    const std::string bytes = absl::StrCat(i, " ");
    EXPECT_TRUE(i % 2 == 0 ? handle.Send(bytes) : handle.Send(absl::Cord(bytes)));
  }
  EXPECT_TRUE(handle.Close());
  std::string expected;
  for (int i = 0; i < 100; ++i) absl::StrAppend(&expected, i, " ");
  EXPECT_EQ(ReceiveAll(peer), expected);
  EXPECT_TRUE(peer.ended());
}

TEST_F(ConnectionHandleTest, CloseTakesItsLeaveOfThePeer) {
  Peer peer = Open();
  EXPECT_TRUE(conn().handle().Close());
  EXPECT_EQ(ReceiveAll(peer), "");
  peer.Send("dropped");
  peer.CloseWrite();
  EXPECT_TRUE(StepUntilClosed());
  EXPECT_EQ(log_.received, "");
}

TEST_F(ConnectionHandleTest, AbortGivesTheReason) {
  Peer peer = Open();
  EXPECT_TRUE(conn().handle().Abort(absl::PermissionDeniedError("banned")));
  EXPECT_TRUE(StepUntilClosed());
  EXPECT_EQ(log_.closes[0], absl::PermissionDeniedError("banned"));
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.was_reset());
}

TEST_F(ConnectionHandleTest, OnceClosedCallsAreTakenAndSkipped) {
  Peer peer = Open();
  const ConnectionHandle handle = conn().handle();
  conn().Abort(absl::AbortedError("enough"));
  Settle();
  bool work_gone = false;
  auto guard = std::make_unique<Guard>(&work_gone);
  EXPECT_TRUE(handle.Run([guard = std::move(guard)](TcpConnection&) { ADD_FAILURE(); }))
      << "the loop is still there";
  EXPECT_TRUE(handle.Send(std::string("x")));
  EXPECT_TRUE(handle.Send(absl::Cord("x")));
  EXPECT_TRUE(handle.Close());
  EXPECT_TRUE(handle.Abort(absl::AbortedError("again")));
  Settle();
  EXPECT_TRUE(work_gone);
  EXPECT_EQ(log_.closes.size(), 1u);
}

TEST_F(ConnectionHandleTest, WorkPostedBeforeTheEndIsSkippedIfTheEndComesFirst) {
  Peer peer = Open();
  int ran = 0;
  const ConnectionHandle handle = conn().handle();
  log_.on_data = [&](TcpConnection& conn, Buffer&) {
    handle.Run([&](TcpConnection&) { ++ran; });
    conn.Abort(absl::AbortedError("enough"));
  };
  peer.Send("x");
  EXPECT_TRUE(StepUntilClosed());
  Settle();
  EXPECT_EQ(ran, 0);
}

TEST_F(ConnectionHandleTest, ItNeverFindsTheNextOneInTheSamePlace) {
  std::vector<ConnectionHandle> old;
  for (int i = 0; i < 50; ++i) {
    Peer peer = Open();
    old.push_back(conn().handle());
    conn().Abort(absl::AbortedError("enough"));
    ASSERT_TRUE(StepUntil([&] { return table().size() == 0; }));
  }
  Peer peer = Open();
  for (const ConnectionHandle& handle : old) {
    EXPECT_NE(handle, conn().handle());
    handle.Run([](TcpConnection&) { ADD_FAILURE(); });
  }
  Settle();
}

TEST_F(ConnectionHandleTest, InOnCloseItNamesNobody) {
  ConnectionHandle handle;
  log_.on_close = [&](TcpConnection& conn, const absl::Status&) { handle = conn.handle(); };
  Peer peer = Open();
  peer.Close();
  EXPECT_TRUE(StepUntilClosed());
  EXPECT_TRUE(handle.Run([](TcpConnection&) { ADD_FAILURE(); })) << "though it knows the loop";
  Settle();
}

TEST_F(ConnectionHandleTest, OnceTheLoopHasStoppedCallsAreRefused) {
  Peer peer = Open();
  const ConnectionHandle handle = conn().handle();
  loop_->Stop();
  loop_.Step();
  bool work_gone = false;
  auto guard = std::make_unique<Guard>(&work_gone);
  EXPECT_FALSE(handle.Run([guard = std::move(guard)](TcpConnection&) { ADD_FAILURE(); }));
  EXPECT_TRUE(work_gone);
  loop_.Destroy();
  EXPECT_TRUE(log_.closed());
  EXPECT_FALSE(handle.Send(std::string("x"))) << "and for ever";
  EXPECT_FALSE(handle.Close());
  const ConnectionHandle copy = handle;
  EXPECT_EQ(copy, handle);
}

TEST_F(ConnectionHandleTest, AnyThreadMaySend) {
  Peer peer = Open();
  const ConnectionHandle handle = conn().handle();
  constexpr int kThreads = 4, kMessages = 500;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([copy = handle, t] {
      for (int i = 0; i < kMessages; ++i) copy.Send(std::string(1, static_cast<char>('a' + t)));
    });
  }
  const std::string received = Receive(peer, kThreads * kMessages);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(received.size(), size_t{kThreads * kMessages});
  for (int t = 0; t < kThreads; ++t) {
    EXPECT_EQ(std::count(received.begin(), received.end(), 'a' + t), kMessages);
  }
}

TEST_F(ConnectionHandleTest, AnyThreadMayAskWhileTheConnectionAndTheLoopGo) {
  std::optional<Peer> peer = Open();
  const ConnectionHandle handle = conn().handle();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([copy = handle] {
      while (copy.Run([](TcpConnection& conn) { conn.Send("x"); })) {
      }
    });
  }
  loop_.Steps(10);
  peer->Reset();
  loop_.Steps(10);
  loop_->Stop();
  loop_.Step();
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(log_.closed());
}

TEST_F(ConnectionHandleTest, IsAValueToCompareAndHash) {
  static_assert(sizeof(ConnectionHandle) == 16);
  Peer peer = Open(), neighbour = OpenNeighbour();
  const ConnectionHandle one = conn().handle(), two = neighbour_log_.connection->handle();
  EXPECT_EQ(one, conn().handle());
  EXPECT_NE(one, two);
  EXPECT_NE(one, ConnectionHandle());
  EXPECT_EQ(one.loop(), two.loop());
  absl::flat_hash_set<ConnectionHandle> set = {one, two, one};
  EXPECT_EQ(set.size(), 2u);
  EXPECT_TRUE(set.contains(two));
  EXPECT_TRUE(absl::VerifyTypeImplementsAbslHashCorrectly({ConnectionHandle(), one, two}));
}

}  // namespace
}  // namespace millrace
