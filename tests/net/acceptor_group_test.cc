// SPDX-License-Identifier: Apache-2.0
#include "net/acceptor_group.h"

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/acceptor.h"
#include "net/admission.h"
#include "net/socket_address.h"
#include "net/socket_file.h"
#include "tests/support/peer.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

// Two listeners on one loop. What is let in stays until the test ends it.
class AcceptorGroupTest : public ::testing::Test {
 protected:
  struct Admitted {
    Socket socket;
    SocketAddress peer;
    uint16_t listener;
  };

  void Make(AdmissionOptions options, int connections_max = 100) {
    admission_.emplace(std::move(options), connections_max, /*listeners=*/2);
    group_.emplace(*loop_, *admission_, counters_,
                   [this](Admission::Room room) { group_->Resume(room); });
    for (uint16_t number = 0; number < 2; ++number) {
      Socket listener = ListenAt(SocketAddress::Loopback(0), {}).value();
      addresses_.push_back(listener.LocalAddress().value());
      ASSERT_TRUE(group_
                      ->Add(std::move(listener), SocketFile(), number,
                            [this, number](Socket socket, const SocketAddress& peer) {
                              admitted_.push_back({std::move(socket), peer, number});
                              if (on_admitted_) on_admitted_();
                            })
                      .ok());
    }
  }
  ~AcceptorGroupTest() override {
    if (group_) group_->StopListening();
  }

  Peer Connect(int listener = 0) { return Peer::ConnectedTo(addresses_[listener]); }
  std::vector<Peer> ConnectMany(int count, int listener = 0) {
    std::vector<Peer> peers;
    for (int i = 0; i < count; ++i) peers.push_back(Connect(listener));
    return peers;
  }
  Peer ConnectFrom(absl::string_view ip) {
    const SocketAddress from = SocketAddress::Parse(absl::StrCat(ip, ":0")).value();
    Socket socket = Socket::CreateFor(from).value();
    EXPECT_TRUE(socket.Bind(from).ok());
    EXPECT_TRUE(socket.Connect(addresses_[0]).ok());
    return Peer(std::move(socket));
  }
  bool AdmitsUntil(size_t count) {
    return loop_.StepUntil([&] { return admitted_.size() >= count; });
  }
  void ExpectNoMoreThan(size_t count) {
    loop_.Steps(10);
    EXPECT_EQ(admitted_.size(), count);
  }
  // One that was let in ends.
  void EndOne() {
    const Admission::Room room =
        admission_->Leave(admitted_.front().peer, admitted_.front().listener);
    admitted_.erase(admitted_.begin());
    if (room.any()) group_->Resume(room);
  }
  void EndMany(int count) {
    for (int i = 0; i < count; ++i) EndOne();
  }
  bool IsReset(Peer& peer) {
    return loop_.StepUntil([&] {
      peer.ReceiveSome();
      return peer.was_reset();
    });
  }

  TestLoop loop_;
  AcceptCounters counters_;
  std::optional<Admission> admission_;
  std::optional<AcceptorGroup> group_;
  std::vector<SocketAddress> addresses_;
  std::vector<Admitted> admitted_;
  std::function<void()> on_admitted_;
};

TEST_F(AcceptorGroupTest, TellsWhoCameAndWhere) {
  Make({});
  Peer peer = Connect(1);
  ASSERT_TRUE(AdmitsUntil(1));
  EXPECT_EQ(admitted_[0].peer, peer.local_address());
  EXPECT_EQ(admitted_[0].listener, 1);
  EXPECT_EQ(admission_->open(), 1);
}

// The places of the server.

TEST_F(AcceptorGroupTest, AtTheCapNobodyIsAcceptedUntilAFewHaveLeft) {
  Make({}, 64);
  const std::vector<Peer> peers = ConnectMany(70);
  ASSERT_TRUE(AdmitsUntil(64));
  ExpectNoMoreThan(64);
  EXPECT_EQ(counters_.accepted.value(), 64u) << "the others wait where nothing was spent on them";
  EXPECT_EQ(counters_.pauses_full.value(), 1u);
  EndOne();
  ExpectNoMoreThan(63);
  EndOne();
  ASSERT_TRUE(AdmitsUntil(64));
  ExpectNoMoreThan(64);
  EXPECT_EQ(counters_.pauses_full.value(), 2u);
}

TEST_F(AcceptorGroupTest, AtTheCapAllListenersPause) {
  Make({}, 1);
  Peer first = Connect(0);
  ASSERT_TRUE(AdmitsUntil(1));
  Peer second = Connect(1);
  ExpectNoMoreThan(1);
  EndOne();
  EXPECT_TRUE(AdmitsUntil(1));
  EXPECT_EQ(admitted_[0].listener, 1);
}

TEST_F(AcceptorGroupTest, WhereNobodyComesReachingTheCapIsNoPause) {
  Make({}, 1);
  Peer peer = Connect();
  ASSERT_TRUE(AdmitsUntil(1));
  ExpectNoMoreThan(1);
  EXPECT_EQ(counters_.pauses_full.value(), 0u);
}

TEST_F(AcceptorGroupTest, PausedItDoesNotSpin) {
  Make({}, 1);
  const std::vector<Peer> peers = ConnectMany(3);
  ASSERT_TRUE(AdmitsUntil(1));
  loop_.Steps(5);
  const uint64_t events = loop_->counters().events.value();
  loop_.Steps(20);
  EXPECT_EQ(loop_->counters().events.value(), events);
}

// The places of a listener.

TEST_F(AcceptorGroupTest, AFullListenerPausesAndTheOtherDoesNot) {
  Make({.connections_per_listener_max = 2});
  const std::vector<Peer> crowd = ConnectMany(4, 0);
  ASSERT_TRUE(AdmitsUntil(2));
  ExpectNoMoreThan(2);
  EXPECT_EQ(counters_.pauses_listener_full.value(), 1u);
  Peer other = Connect(1);
  ASSERT_TRUE(AdmitsUntil(3));
  EndOne();
  ASSERT_TRUE(AdmitsUntil(3));
  ExpectNoMoreThan(3);
  EXPECT_EQ(admission_->open(), 3);
}

TEST_F(AcceptorGroupTest, RoomAtTheServerIsNoRoomAtAFullListener) {
  Make({.connections_per_listener_max = 2}, 3);
  const std::vector<Peer> others = ConnectMany(2, 1);
  ASSERT_TRUE(AdmitsUntil(2));
  const std::vector<Peer> crowd = ConnectMany(2, 1);
  ExpectNoMoreThan(2);
  Peer last = Connect(0), next = Connect(0);
  ASSERT_TRUE(AdmitsUntil(3));
  ExpectNoMoreThan(3);  // One listener waits for itself, one for the server.
  EXPECT_EQ(counters_.pauses_listener_full.value(), 1u);
  EXPECT_EQ(counters_.pauses_full.value(), 1u);
  std::swap(admitted_[0], admitted_[2]);
  EndOne();  // It had come to the listener that has room.
  ASSERT_TRUE(AdmitsUntil(3));
  EXPECT_EQ(admitted_[2].listener, 0);
  ExpectNoMoreThan(3);
}

// Peers.

TEST_F(AcceptorGroupTest, WhoHasTooManyIsResetAtOnce) {
  Make({.connections_per_peer_max = 2});
  std::vector<Peer> greedy = ConnectMany(3);
  ASSERT_TRUE(AdmitsUntil(2));
  EXPECT_TRUE(IsReset(greedy[2]));
  EXPECT_EQ(counters_.refused_peer_full.value(), 1u);
  Peer other = ConnectFrom("127.0.0.2");
  ASSERT_TRUE(AdmitsUntil(3));
  EndOne();
  Peer again = Connect();
  EXPECT_TRUE(AdmitsUntil(3));
  EXPECT_EQ(admission_->peers_counted(), 2u);
}

TEST_F(AcceptorGroupTest, WhoIsDeniedIsResetAtOnce) {
  Make({.deny = {AddressPrefix::Parse("127.0.0.2").value()}});
  Peer denied = ConnectFrom("127.0.0.2");
  EXPECT_TRUE(IsReset(denied));
  EXPECT_EQ(counters_.refused_denied.value(), 1u);
  Peer other = ConnectFrom("127.0.0.3");
  ASSERT_TRUE(AdmitsUntil(1));
  EXPECT_EQ(admission_->open(), 1);
}

TEST_F(AcceptorGroupTest, AFloodOfTheDeniedLetsTheOthersThrough) {
  Make({.accepts_per_second = 1,
        .accept_burst = 1,
        .deny = {AddressPrefix::Parse("127.0.0.2").value()}});
  std::vector<Peer> flood;
  for (int i = 0; i < 20; ++i) flood.push_back(ConnectFrom("127.0.0.2"));
  Peer other = Connect();
  ASSERT_TRUE(AdmitsUntil(1));
  EXPECT_EQ(counters_.refused_denied.value(), 20u);
}

// Rate.

TEST_F(AcceptorGroupTest, AboveTheRateNewcomersWaitAndThenComeSeveralAtOnce) {
  Make({.accepts_per_second = 50, .accept_burst = 10});
  const std::vector<Peer> crowd = ConnectMany(18);
  ASSERT_TRUE(AdmitsUntil(10));
  ExpectNoMoreThan(10);
  EXPECT_EQ(counters_.pauses_rate.value(), 1u);
  loop_.Advance(absl::Milliseconds(99));
  ExpectNoMoreThan(10);
  loop_.Advance(absl::Milliseconds(1));
  ASSERT_TRUE(AdmitsUntil(15));
  ExpectNoMoreThan(15);
  loop_.Advance(absl::Milliseconds(100));
  ASSERT_TRUE(AdmitsUntil(18));
}

TEST_F(AcceptorGroupTest, RoomDoesNotEndARestForTheRate) {
  Make({.accepts_per_second = 1, .accept_burst = 2}, 2);
  const std::vector<Peer> crowd = ConnectMany(4);
  ASSERT_TRUE(AdmitsUntil(2));
  ExpectNoMoreThan(2);  // Full, and without tokens.
  EndOne();
  ExpectNoMoreThan(1);
  EXPECT_EQ(counters_.pauses_full.value(), 1u);
  EXPECT_EQ(counters_.pauses_rate.value(), 1u);
  loop_.Advance(absl::Seconds(1));
  EXPECT_TRUE(AdmitsUntil(2));
}

TEST_F(AcceptorGroupTest, AfterTheRateTheCapStillHolds) {
  Make({.accepts_per_second = 1, .accept_burst = 1}, 1);
  const std::vector<Peer> crowd = ConnectMany(1);
  ASSERT_TRUE(AdmitsUntil(1));
  EndOne();
  Peer next = Connect();
  ExpectNoMoreThan(0);
  ASSERT_EQ(counters_.pauses_rate.value(), 1u);
  // Somebody enters elsewhere.
  ASSERT_EQ(admission_->Enter(SocketAddress::Loopback(1), 1, loop_->now()).refusal,
            Admission::Refusal::kNone);
  loop_.Advance(absl::Seconds(2));
  ExpectNoMoreThan(0);
  EXPECT_EQ(counters_.pauses_full.value(), 1u);
  group_->Resume(admission_->Leave(SocketAddress::Loopback(1), 1));
  EXPECT_TRUE(AdmitsUntil(1));
}

// The end.

TEST_F(AcceptorGroupTest, OnceItEndsNobodyIsLetInThoughAPlaceBecomesFree) {
  Make({}, 1);
  std::vector<Peer> peers = ConnectMany(2);
  ASSERT_TRUE(AdmitsUntil(1));
  ExpectNoMoreThan(1);
  admission_->End();
  EndOne();
  ExpectNoMoreThan(0);
  group_->StopListening();
  EXPECT_TRUE(IsReset(peers[1]));
}

TEST_F(AcceptorGroupTest, StoppingInsideTheCallbackIsLegal) {
  Make({});
  on_admitted_ = [&] { group_->StopListening(); };
  const std::vector<Peer> peers = ConnectMany(2);
  ASSERT_TRUE(AdmitsUntil(1));
  ExpectNoMoreThan(1);
}

TEST_F(AcceptorGroupTest, StoppingWhileItRestsIsLegal) {
  Make({.accepts_per_second = 1, .accept_burst = 1});
  const std::vector<Peer> peers = ConnectMany(2);
  ASSERT_TRUE(AdmitsUntil(1));
  ExpectNoMoreThan(1);
  group_->StopListening();
  loop_.Advance(absl::Seconds(5));
  ExpectNoMoreThan(1);
}

}  // namespace
}  // namespace millrace
