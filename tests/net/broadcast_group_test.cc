// SPDX-License-Identifier: Apache-2.0
#include "net/broadcast_group.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/close_reason.h"
#include "net/limits.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

// A group, and members on the one loop that the test steps.
class BroadcastGroupTest : public ConnectionTest {
 protected:
  struct Member {
    explicit Member(Peer its_peer) : peer(std::move(its_peer)) {}
    Peer peer;
    ConnectionHandle handle;
    BroadcastGroup::Membership membership;
    std::string received;
  };

  explicit BroadcastGroupTest(BroadcastGroup::Options options = {})
      : group_(std::in_place, options) {}

  ~BroadcastGroupTest() override { loop_.Destroy(); }  // Whose connections tell the logs.

  // A connection; Joined(), also a member.
  Member& Opened(std::pair<Socket, Socket> ends) {
    ConnectionLog& log = logs_.emplace_back();
    Member& member = members_.emplace_back(Open(std::move(ends), log));
    member.handle = log.connection->handle();
    return member;
  }
  Member& Opened() { return Opened(TcpPair()); }
  Member& Joined(std::pair<Socket, Socket> ends) {
    Member& member = Opened(std::move(ends));
    member.membership = group_->Join(member.handle);
    EXPECT_TRUE(member.membership.active());
    Settle();
    return member;
  }
  Member& Joined() { return Joined(TcpPair()); }
  // One that reads nothing, and for which a few KiB fill the kernel's buffers.
  Member& JoinedNarrow() { return Joined(NarrowUnixPair()); }
  ConnectionLog& LogOf(const Member& member) {
    size_t i = 0;
    while (&members_[i] != &member) ++i;
    return logs_[i];
  }

  bool Send(absl::string_view bytes) { return group_->Send(absl::Cord(bytes)); }
  // What has come by the time that nothing more happens.
  std::string Received(Member& member) {
    for (int i = 0; i < 4; ++i) {
      loop_.Steps(2);
      member.received += member.peer.ReceiveSome();
    }
    return std::exchange(member.received, "");
  }
  int64_t posts_run() { return static_cast<int64_t>(loop_->counters().posts_run.value()); }

  std::deque<ConnectionLog> logs_;
  std::deque<Member> members_;
  std::optional<BroadcastGroup> group_;
};

TEST_F(BroadcastGroupTest, AMessageReachesEachMemberOnce) {
  Member& ann = Joined();
  Member& bob = Joined();
  EXPECT_TRUE(Send("hello"));
  EXPECT_EQ(Received(ann), "hello");
  EXPECT_EQ(Received(bob), "hello");
  EXPECT_EQ(group_->stats().sent, 1);
  EXPECT_EQ(group_->stats().delivered, 2);
  EXPECT_EQ(group_->stats().members, 2);
}

TEST_F(BroadcastGroupTest, NobodyToSendToIsNoFailure) {
  EXPECT_TRUE(Send("hello"));
  Member& late = Joined();
  EXPECT_EQ(Received(late), "");
  EXPECT_EQ(group_->stats().delivered, 0);
}

TEST_F(BroadcastGroupTest, NothingIsSentFromInsideTheCall) {
  Member& ann = Joined();
  const ScopedFault writes(Call::kSendmsg);
  const ScopedFault sends(Call::kSend);
  Send("hello");
  EXPECT_EQ(writes.hits() + sends.hits(), 0);
  EXPECT_EQ(Received(ann), "hello");
  EXPECT_EQ(writes.hits() + sends.hits(), 1);
}

TEST_F(BroadcastGroupTest, AMemberGetsWhatIsSentBetweenItsJoinAndItsLeave) {
  Member& ann = Opened();
  Send("1 ");
  ann.membership = group_->Join(ann.handle);
  Send("2 ");
  Send("3 ");
  ann.membership.Leave();
  Send("4 ");
  EXPECT_EQ(Received(ann), "2 3 ");
  EXPECT_EQ(group_->stats().members, 0);
}

TEST_F(BroadcastGroupTest, LeavingTwiceIsLeavingOnce) {
  Member& ann = Joined();
  Member& bob = Joined();
  ann.membership.Leave();
  ann.membership.Leave();
  EXPECT_FALSE(ann.membership.active());
  EXPECT_EQ(group_->stats().members, 1);
  Send("x");
  EXPECT_EQ(Received(ann), "");
  EXPECT_EQ(Received(bob), "x");
}

TEST_F(BroadcastGroupTest, WorkForAMemberRunsBetweenWhatIsSentBeforeAndAfter) {
  Member& ann = Joined();
  Send("1");
  ann.handle.Send(std::string("x"));
  EXPECT_TRUE(ann.membership.Run([](TcpConnection& conn) { conn.Send("2"); }));
  Send("3");
  const std::string received = Received(ann);
  EXPECT_EQ(received.substr(0, 3), "123");
  EXPECT_EQ(received.substr(3), "x") << "a handle's calls have an order of their own";
}

TEST_F(BroadcastGroupTest, WorkWaitsForAllThatWasSentHoweverManyTurnsThatTakes) {
  Member& ann = Joined();
  std::string all;
  for (int i = 0; i < 10; ++i) {  // More than a turn gives.
    all += Pattern(100'000, i);
    Send(absl::string_view(all).substr(all.size() - 100'000));
  }
  EXPECT_TRUE(ann.membership.Run([](TcpConnection& conn) { conn.CloseAfterFlush(); }));
  Send("too late");
  EXPECT_EQ(ReceiveAll(ann.peer), all);
  EXPECT_TRUE(ann.peer.ended());
}

TEST_F(BroadcastGroupTest, WorkForAConnectionThatHasEndedIsDropped) {
  Member& ann = Joined();
  ann.peer.Reset();
  StepUntil([&] { return LogOf(ann).closed(); });
  auto here = std::make_unique<int>();
  int* const alive = here.get();
  EXPECT_TRUE(ann.membership.Run([here = std::move(here)](TcpConnection&) { FAIL(); }));
  EXPECT_NE(alive, nullptr);
  Settle();
}

TEST_F(BroadcastGroupTest, WorkMayLeaveAndJoinAndSend) {
  Member& ann = Joined();
  Member& bob = Joined();
  Send("1");
  ann.membership.Run([&](TcpConnection&) {
    ann.membership.Leave();
    Send("2");
    ann.membership = group_->Join(ann.handle);
    Send("3");
  });
  EXPECT_EQ(Received(ann), "13");
  EXPECT_EQ(Received(bob), "123");
}

TEST_F(BroadcastGroupTest, WorkIsRefusedWhereNobodyIs) {
  EXPECT_FALSE(BroadcastGroup::Membership().Run([](TcpConnection&) { FAIL(); }));
  Member& ann = Joined();
  loop_->Stop();
  loop_.Step();
  EXPECT_FALSE(ann.membership.Run([](TcpConnection&) { FAIL(); }));
}

TEST_F(BroadcastGroupTest, ASeatGivenAwayIsItsNewOwners) {
  Member& ann = Joined();
  Member& bob = Joined();
  Member& eve = Opened();
  Send("1");
  bob.membership.Leave();
  Send("2");
  eve.membership = group_->Join(eve.handle);  // Takes bob's, while the message waits.
  Send("3");
  EXPECT_EQ(Received(ann), "123");
  EXPECT_EQ(Received(bob), "1");
  EXPECT_EQ(Received(eve), "3");
}

TEST_F(BroadcastGroupTest, EmptiedGroupFillsAgain) {
  Member& ann = Joined();
  Member& bob = Joined();
  ann.membership.Leave();
  bob.membership.Leave();
  ann.membership = group_->Join(ann.handle);
  Send("x");
  EXPECT_EQ(Received(ann), "x");
  EXPECT_EQ(Received(bob), "");
}

TEST_F(BroadcastGroupTest, MembershipMoves) {
  Member& ann = Joined();
  BroadcastGroup::Membership moved = std::move(ann.membership);
  EXPECT_FALSE(ann.membership.active());
  EXPECT_TRUE(moved.active());
  Send("1");
  moved =
      group_->Join(ann.handle);  // The old one is left, the new one joined: twice a member, once.
  Send("2");
  moved = BroadcastGroup::Membership();
  Send("3");
  EXPECT_EQ(Received(ann), "12");
}

TEST_F(BroadcastGroupTest, ABurstIsOnePostAndOneWrite) {
  Member& ann = Joined();
  Member& bob = Joined();
  const int64_t posts_before = posts_run();
  const ScopedFault writes(Call::kSendmsg);
  const ScopedFault sends(Call::kSend);
  std::string all;
  for (int i = 0; i < 100; ++i) {
    Send(absl::StrCat("message ", i, "\n"));
    absl::StrAppend(&all, "message ", i, "\n");
  }
  loop_.Step();
  EXPECT_EQ(posts_run() - posts_before, 1);
  EXPECT_EQ(writes.hits() + sends.hits(), 2) << "one for each member";
  EXPECT_EQ(Received(ann), all);
  EXPECT_EQ(Received(bob), all);
}

TEST_F(BroadcastGroupTest, ItComesBehindWhatTheSameThreadSentToTheMember) {
  Member& ann = Joined();
  ann.handle.Send(std::string("1 "));
  Send("2 ");
  ann.handle.Send(std::string("3 "));
  EXPECT_EQ(Received(ann), "1 2 3 ");
}

TEST_F(BroadcastGroupTest, ThePayloadIsKeptOnceForAllWhoWaitForIt) {
  std::vector<Member*> slow;
  for (int i = 0; i < 20; ++i) slow.push_back(&JoinedNarrow());
  int released = 0;
  const std::string bytes = Pattern(100'000);
  EXPECT_TRUE(group_->Send(absl::MakeCordFromExternal(bytes, [&] { ++released; })));
  Settle();
  EXPECT_EQ(released, 0);
  for (Member* member : slow) EXPECT_EQ(Receive(member->peer, bytes.size()), bytes);
  Settle();
  EXPECT_EQ(released, 1) << "no copy outlived it";
}

TEST_F(BroadcastGroupTest, MessagesOfAllSizesArriveWhole) {
  Member& ann = Joined();
  std::string all;
  for (const size_t size :
       {0, 1, 15, 16, 63, 511, 512, 1023, 1024, 4096, 16'384, 16'385, 100'000}) {
    const std::string bytes = Pattern(size, static_cast<uint32_t>(size));
    EXPECT_TRUE(Send(bytes));
    all += bytes;
  }
  EXPECT_EQ(Receive(ann.peer, all.size()), all);
}

TEST_F(BroadcastGroupTest, AConnectionThatHasEndedIsPassedOver) {
  Member& ann = Joined();
  Member& bob = Joined();
  ann.peer.Reset();
  StepUntil([&] { return LogOf(ann).closed(); });
  Send("x");
  EXPECT_EQ(Received(bob), "x");
  EXPECT_EQ(group_->stats().delivered, 1);
  EXPECT_EQ(group_->stats().members, 2) << "until it leaves";
}

TEST_F(BroadcastGroupTest, AConnectionThatTakesItsLeaveGetsNoMore) {
  Member& ann = Joined();
  LogOf(ann).connection->CloseAfterFlush();
  Send("x");
  EXPECT_EQ(ReceiveAll(ann.peer), "");
  EXPECT_EQ(group_->stats().delivered, 0);
}

// --- Lifetimes ---

TEST_F(BroadcastGroupTest, WhatWasSentArrivesThoughTheGroupIsGone) {
  Member& ann = Joined();
  Send("last words");
  group_.reset();
  EXPECT_EQ(Received(ann), "last words");
  ann.membership.Leave();
}

TEST_F(BroadcastGroupTest, MembershipMayOutliveTheGroupAndTheLoop) {
  Member& ann = Joined();
  BroadcastGroup::Membership kept = std::move(ann.membership);
  group_.reset();
  loop_.Destroy();
  kept.Leave();
}

TEST_F(BroadcastGroupTest, AStoppedLoopHasNoMembers) {
  Member& ann = Joined();
  loop_->Stop();
  loop_.Step();
  Send("x");
  EXPECT_EQ(group_->stats().members, 0);
  EXPECT_TRUE(Send("x")) << "nobody to send to is no failure";
  EXPECT_FALSE(group_->Join(ann.handle).active());
  ann.membership.Leave();
  EXPECT_EQ(group_->stats().members, 0);
}

TEST_F(BroadcastGroupTest, AHandleThatNamesNobodyCannotJoin) {
  EXPECT_FALSE(group_->Join(ConnectionHandle()).active());
  EXPECT_EQ(group_->stats().members, 0);
}

// --- Bounds ---

TEST_F(BroadcastGroupTest, ASlowMemberIsAbortedAndTheOthersGetAll) {
  Member& slow = JoinedNarrow();
  Member& ann = Joined();
  const std::string bytes = Pattern(100'000);
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(Send(bytes));
    EXPECT_EQ(Receive(ann.peer, bytes.size()), bytes);
  }
  ASSERT_TRUE(LogOf(slow).closed());
  EXPECT_EQ(LogOf(slow).closes[0].code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(LogOf(slow).closes[0].message(), HasSubstr("slow consumer"));
  EXPECT_EQ(LogOf(slow).reasons[0].cause, CloseCause::kSlowConsumer);
  EXPECT_EQ(group_->stats().aborted, 1);
  EXPECT_FALSE(LogOf(ann).closed());
}

TEST_F(BroadcastGroupTest, AMessageIsLetGoWhenItIsDelivered) {
  Member& ann = Joined();
  int released = 0;
  const std::string bytes = Pattern(200'000);
  for (int i = 0; i < 10; ++i) {  // Two in a turn.
    EXPECT_TRUE(group_->Send(absl::MakeCordFromExternal(bytes, [&] { ++released; })));
  }
  std::string received;
  EXPECT_TRUE(StepUntil([&] {
    received += ann.peer.ReceiveSome();
    return released > 0;
  }));
  EXPECT_LT(released, 10) << "the others have not had their turn";
  EXPECT_EQ(Receive(ann.peer, 2'000'000 - received.size()).size(), 2'000'000 - received.size());
}

TEST_F(BroadcastGroupTest, ABurstAboveTheBoundHurtsNobodyWhoReads) {
  Member& ann = Joined();
  std::string all;
  for (int i = 0; i < 40; ++i) {
    const std::string bytes = Pattern(kBroadcastMemberOutputBytesMax / 8, i);
    EXPECT_TRUE(Send(bytes));
    all += bytes;
  }
  EXPECT_EQ(Receive(ann.peer, all.size()), all);
  EXPECT_EQ(group_->stats().aborted, 0);
}

TEST_F(BroadcastGroupTest, WhatCannotFitIsRefusedToAll) {
  Member& ann = Joined();
  EXPECT_FALSE(Send(std::string(kBroadcastMemberOutputBytesMax + 1, 'x')));
  EXPECT_TRUE(Send(std::string(kBroadcastMemberOutputBytesMax, 'x')));
  EXPECT_EQ(Receive(ann.peer, kBroadcastMemberOutputBytesMax).size(),
            kBroadcastMemberOutputBytesMax);
  EXPECT_EQ(group_->stats().refused, 1);
  EXPECT_EQ(group_->stats().sent, 1);
}

class SkippingGroupTest : public BroadcastGroupTest {
 protected:
  SkippingGroupTest()
      : BroadcastGroupTest({.slow_member = BroadcastGroup::SlowMember::kSkip,
                            .member_output_bytes_max = 40'000}) {}
};

TEST_F(SkippingGroupTest, ASlowMemberGoesWithoutWhatDoesNotFit) {
  Member& slow = JoinedNarrow();
  Member& ann = Joined();
  for (int i = 0; i < 20; ++i) {
    const std::string bytes(10'000, static_cast<char>('a' + i));
    EXPECT_TRUE(Send(bytes));
    EXPECT_EQ(Receive(ann.peer, bytes.size()), bytes);
  }
  EXPECT_FALSE(LogOf(slow).closed());
  EXPECT_GT(group_->stats().skipped, 0);
  EXPECT_EQ(group_->stats().skipped + group_->stats().delivered, 40);

  const size_t whole = 10'000 * static_cast<size_t>(20 - group_->stats().skipped);
  const std::string received = Receive(slow.peer, whole);
  EXPECT_EQ(received.size(), whole) << "whole messages, or nothing of them";
  EXPECT_TRUE(Send("news"));
  EXPECT_EQ(Receive(slow.peer, 4), "news") << "once it reads, it is told again";
}

TEST_F(SkippingGroupTest, OfABurstWhatFitsIsTaken) {
  Member& slow = JoinedNarrow();
  Send(std::string(35'000, 'a'));
  Settle();
  const int64_t before = group_->stats().delivered;
  Send(std::string(30'000, 'b'));  // These come together.
  Send("c");
  Settle();
  EXPECT_EQ(group_->stats().delivered - before, 1);
  EXPECT_EQ(group_->stats().skipped, 1);
  EXPECT_EQ(Receive(slow.peer, 35'001).back(), 'c');
}

class NarrowInboxTest : public BroadcastGroupTest {
 protected:
  NarrowInboxTest() : BroadcastGroupTest({.pending_bytes_max = 10'000}) {}
};

TEST_F(NarrowInboxTest, ALoopThatIsBehindHasSendersRefused) {
  Member& ann = Joined();
  EXPECT_TRUE(Send(std::string(6000, 'a')));
  EXPECT_FALSE(Send(std::string(6000, 'b')));
  EXPECT_TRUE(Send(std::string(2000, 'c'))) << "there is still room for this";
  EXPECT_EQ(Received(ann), std::string(6000, 'a') + std::string(2000, 'c'));
  EXPECT_TRUE(Send(std::string(6000, 'd'))) << "it has caught up";
  EXPECT_EQ(group_->stats().refused, 1);
}

TEST_F(NarrowInboxTest, SmallMessagesCountForWhatTheyTake) {
  Joined();
  int sent = 0;
  while (Send("x") && sent < 10'000) ++sent;
  EXPECT_LT(sent, 1000) << "a byte costs far more than a byte while it waits";
}

TEST_F(NarrowInboxTest, WorkPassesTheBound) {
  Member& ann = Joined();
  while (Send("x")) {
  }
  bool ran = false;
  EXPECT_TRUE(ann.membership.Run([&](TcpConnection&) { ran = true; }));
  Settle();
  EXPECT_TRUE(ran);
}

TEST_F(NarrowInboxTest, JoinsAreBoundedToo) {
  Member& ann = Opened();
  int joined = 0;
  while (group_->Join(ann.handle).active() && joined < 10'000) ++joined;  // And leaves at once.
  EXPECT_LT(joined, 1000);
  Settle();
  EXPECT_TRUE(group_->Join(ann.handle).active()) << "it has caught up";
}

}  // namespace
}  // namespace millrace
