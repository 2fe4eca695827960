// SPDX-License-Identifier: Apache-2.0
//
// The old process is played by a loop in the test's thread, the new one by the test itself.
#include "net/restart/listener_handover.h"

#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/acceptor.h"
#include "net/limits.h"
#include "net/restart/descriptor_message.h"
#include "net/restart/listener_set.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "tests/support/fault_injection.h"
#include "tests/support/peer.h"
#include "tests/support/short_folder.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ListenerHandoverTest : public ::testing::Test {
 protected:
  void Offer(ListenerHandover::Options options = {}) {
    listeners_ = ListenerSet::At({SocketAddress::Loopback(0), unix_}, {}, {}).value();
    options.on_handed_over = [this](pid_t successor) { successor_ = successor; };
    handover_ = ListenerHandover::Offer(*loop_, ListenAt(offer_, {}).value(), listeners_,
                                        std::move(options))
                    .value();
    handover_->TakeFile();
  }
  // A new process, which has said `words`; the old one has heard them.
  Peer Successor(absl::string_view words = "") {
    Peer peer = Peer::ConnectedTo(offer_);
    peer.Send(words);
    loop_.Steps(4);
    return peer;
  }
  ReceivedDescriptors Receive(Peer& peer) {
    return ReceiveWithDescriptors(peer.socket(), kHandoverMessageBytesMax).value();
  }
  void Say(Peer& peer, absl::string_view words) {
    peer.Send(words);
    loop_.Steps(3);
  }
  // So much time passes in which the old one does nothing, stopped as a process can be; then it
  // hears of its timers before it hears of the new one.
  void StandStill(absl::Duration time) {
    const ScopedFault interrupted(Call::kEpollWait, {.error = EINTR, .times = 1});
    loop_.Advance(time);
    EXPECT_EQ(interrupted.hits(), 1);
  }
  // Another new process takes over in good order: so nothing of an earlier one is in the way.
  void ExpectStillOffered() {
    EXPECT_EQ(successor_, std::nullopt);
    Peer peer = Successor("millrace-takeover 1\n");
    EXPECT_EQ(Receive(peer).descriptors.size(), 3u);
    Say(peer, "ready\n");
    EXPECT_EQ(peer.ReceiveAll(), "yours\n");
    EXPECT_EQ(successor_, getpid());
    RemoveFiles();
  }
  // What was left to the new process.
  void RemoveFiles() {
    handover_.reset();
    listeners_.Close();
    EXPECT_TRUE(folder_.Has("offer"));
    EXPECT_TRUE(folder_.Has("socket"));
    folder_.Remove("offer");
    folder_.Remove("socket");
  }
  int64_t failed() const { return handover_->counters().failed.value(); }

  ShortFolder folder_;
  const SocketAddress offer_ = folder_.Unix("offer");
  const SocketAddress unix_ = folder_.Unix("socket");
  TestLoop loop_;
  ListenerSet listeners_;
  std::unique_ptr<ListenerHandover> handover_;
  std::optional<pid_t> successor_;
};

TEST_F(ListenerHandoverTest, GivesTheSocketsAndStopsWhenTheNewOneIsReady) {
  Offer();
  const SocketAddress address = listeners_.addresses()[0];
  Peer peer = Successor("millrace-takeover 1\n");
  const ReceivedDescriptors got = Receive(peer);
  EXPECT_EQ(got.text,
            absl::StrCat("millrace-listeners 1 2\nmade ", address, "\nmade ", unix_, "\n"));
  EXPECT_EQ(got.descriptors.size(), 3u);
  EXPECT_EQ(successor_, std::nullopt) << "it is not ready";
  Say(peer, "ready\n");
  EXPECT_EQ(peer.ReceiveAll(), "yours\n");
  EXPECT_EQ(successor_, getpid());
  EXPECT_EQ(handover_->counters().handed_over.value(), 1);
  EXPECT_EQ(failed(), 0);
  RemoveFiles();
}

TEST_F(ListenerHandoverTest, WordsThatComeInPiecesAreHeard) {
  Offer();
  Peer peer = Successor();
  for (const char letter : std::string("millrace-takeover 1\n")) Say(peer, std::string(1, letter));
  EXPECT_EQ(Receive(peer).descriptors.size(), 3u);
  Say(peer, "rea");
  Say(peer, "dy\n");
  EXPECT_EQ(successor_, getpid());
  RemoveFiles();
}

TEST_F(ListenerHandoverTest, TheNewOneDiesBeforeItSaysAnything) {
  Offer();
  Successor().Close();
  loop_.Steps(3);
  EXPECT_EQ(failed(), 1);
  ExpectStillOffered();
}

TEST_F(ListenerHandoverTest, TheNewOneDiesWithTheSocketsInItsHands) {
  Offer();
  Peer peer = Successor("millrace-takeover 1\n");
  Receive(peer);
  peer.Close();
  loop_.Steps(3);
  EXPECT_EQ(failed(), 1);
  ExpectStillOffered();
}

TEST_F(ListenerHandoverTest, TheNewOneDiesWithoutTakingTheSockets) {
  Offer();
  Successor("millrace-takeover 1\n").Close();
  loop_.Steps(3);
  EXPECT_EQ(failed(), 1);
  ExpectStillOffered();
}

TEST_F(ListenerHandoverTest, OneThatDiesRightAfterItWasReadyHasNotTakenOver) {
  Offer();
  Peer peer = Successor("millrace-takeover 1\n");
  peer.Send("ready\n");
  Receive(peer);
  peer.Close();
  loop_.Steps(3);
  EXPECT_EQ(failed(), 1);
  ExpectStillOffered();
}

TEST_F(ListenerHandoverTest, SilenceIsNotWaitedForLong) {
  Offer();
  Peer peer = Successor();
  loop_.Advance(kHandoverHelloTimeout - absl::Milliseconds(10));
  EXPECT_EQ(failed(), 0);
  loop_.Advance(absl::Milliseconds(20));
  EXPECT_EQ(failed(), 1);
  EXPECT_EQ(peer.ReceiveAll(), "no it says nothing\n");
  ExpectStillOffered();
}

TEST_F(ListenerHandoverTest, NorIsOneThatNeverGetsReady) {
  Offer();
  Peer peer = Successor("millrace-takeover 1\n");
  Receive(peer);
  loop_.Advance(kHandoverReadyTimeout - absl::Milliseconds(10));
  EXPECT_EQ(failed(), 0);
  loop_.Advance(absl::Milliseconds(20));
  EXPECT_EQ(failed(), 1);
  EXPECT_EQ(peer.ReceiveAll(), "no it takes too long to start\n");
  ExpectStillOffered();
}

TEST_F(ListenerHandoverTest, AHelloThatCameInTimeIsHeardAfterAStandstill) {
  Offer();
  Peer peer = Successor();
  peer.Send("millrace-takeover 1\n");
  StandStill(kHandoverHelloTimeout + absl::Seconds(1));
  EXPECT_EQ(failed(), 0);
  EXPECT_EQ(Receive(peer).descriptors.size(), 3u);
  loop_.Advance(kHandoverReadyTimeout - absl::Milliseconds(10));
  EXPECT_EQ(failed(), 0) << "its time to get ready counts from here";
  Say(peer, "ready\n");
  EXPECT_EQ(peer.ReceiveAll(), "yours\n");
  RemoveFiles();
}

TEST_F(ListenerHandoverTest, SoIsOneThatWasReadyInTime) {
  Offer();
  Peer peer = Successor("millrace-takeover 1\n");
  Receive(peer);
  peer.Send("ready\n");
  StandStill(kHandoverReadyTimeout + absl::Seconds(1));
  EXPECT_EQ(peer.ReceiveAll(), "yours\n");
  EXPECT_EQ(successor_, getpid());
  EXPECT_EQ(failed(), 0);
  RemoveFiles();
}

TEST_F(ListenerHandoverTest, HalfAWordWasNotEnough) {
  Offer();
  Peer peer = Successor();
  peer.Send("millrace-");
  StandStill(kHandoverHelloTimeout + absl::Seconds(1));
  EXPECT_EQ(failed(), 1);
  EXPECT_EQ(peer.ReceiveAll(), "no it says nothing\n");
  ExpectStillOffered();
}

TEST_F(ListenerHandoverTest, OneThatDiedMeanwhileFailsOnce) {
  Offer();
  Peer peer = Successor();
  peer.Close();
  StandStill(kHandoverHelloTimeout + absl::Seconds(1));
  EXPECT_EQ(failed(), 1);
  ExpectStillOffered();
}

TEST_F(ListenerHandoverTest, GarbageIsRefused) {
  Offer();
  int64_t expected = 0;
  for (const std::string& words :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string("millrace-takeover 2\n"),
        std::string("ready\n"), std::string("\n"), std::string("millrace-takeover 1\nready\n"),
        std::string(64, 'x'), std::string(100'000, 'x')}) {
    Peer peer = Peer::ConnectedTo(offer_);
    peer.SendSome(words);
    loop_.Steps(4);
    EXPECT_THAT(peer.ReceiveAll(), StartsWith("no it speaks another language")) << words;
    EXPECT_EQ(failed(), ++expected) << words;
  }
  ExpectStillOffered();
}

TEST_F(ListenerHandoverTest, GarbageInThePlaceOfReadyIsRefused) {
  Offer();
  Peer peer = Successor("millrace-takeover 1\n");
  Receive(peer);
  Say(peer, "millrace-takeover 1\n");
  EXPECT_THAT(peer.ReceiveAll(), HasSubstr("another language"));
  ExpectStillOffered();
}

TEST_F(ListenerHandoverTest, StrangersGetNothing) {
  bool trusted = false;
  Offer({.is_trusted = [&](const ucred& peer) {
    EXPECT_EQ(peer.uid, geteuid());
    return trusted;
  }});
  Peer stranger = Successor("millrace-takeover 1\n");
  EXPECT_EQ(stranger.ReceiveAll(), "");
  EXPECT_EQ(handover_->counters().refused.value(), 1);
  trusted = true;
  ExpectStillOffered();
}

TEST_F(ListenerHandoverTest, OthersWaitForTheirTurn) {
  Offer();
  Peer first = Successor("millrace-takeover 1\n");
  Peer second = Successor("millrace-takeover 1\n");
  Receive(first);
  EXPECT_EQ(second.ReceiveSome(), "");
  first.Close();
  loop_.Steps(4);
  EXPECT_THAT(Receive(second).text, StartsWith("millrace-listeners 1 2\n"));
  RemoveFiles();
}

TEST_F(ListenerHandoverTest, WhoComesMeanwhileIsMetByTheNewOne) {
  Offer();
  Peer first = Successor("millrace-takeover 1\n");
  ReceivedDescriptors got = Receive(first);
  Peer second = Successor("millrace-takeover 1\n");
  Say(first, "ready\n");
  handover_.reset();
  Socket offer(std::move(got.descriptors[0]));
  Peer served(offer.Accept().socket);
  EXPECT_EQ(served.Receive(5), "millr");
  listeners_.Close();
  folder_.Remove("offer");
  folder_.Remove("socket");
}

TEST_F(ListenerHandoverTest, AfterwardsTheSharedSocketsDoNotWakeTheOldOne) {
  Offer();
  Peer peer = Successor("millrace-takeover 1\n");
  ReceivedDescriptors got = Receive(peer);
  Say(peer, "ready\n");
  listeners_.Close();
  Peer next = Peer::ConnectedTo(offer_);
  const int64_t events = loop_->counters().events.value();
  loop_.Steps(5);
  EXPECT_EQ(loop_->counters().events.value(), events);
  RemoveFiles();
}

TEST_F(ListenerHandoverTest, EndingWithoutASuccessorRemovesTheFile) {
  Offer();
  EXPECT_TRUE(folder_.Has("offer"));
  handover_->Stop();
  EXPECT_FALSE(folder_.Has("offer"));
  handover_->Stop();
}

TEST_F(ListenerHandoverTest, EndingWhileSomebodyStartsLeavesEverythingToThem) {
  Offer();
  Peer peer = Successor("millrace-takeover 1\n");
  Receive(peer);
  handover_->Stop();
  EXPECT_EQ(peer.ReceiveAll(), "") << "no refusal: it may go on";
  RemoveFiles();
}

TEST_F(ListenerHandoverTest, EndingWhileSomebodyIsSilentDoesNot) {
  Offer();
  Peer peer = Successor();
  handover_->Stop();
  EXPECT_FALSE(folder_.Has("offer"));
}

TEST_F(ListenerHandoverTest, SocketsThatCannotBeSentAreAFailure) {
  Offer();
  {
    const ScopedFault fault(Call::kSendmsg, {.error = ETOOMANYREFS, .times = 1});
    Peer peer = Successor("millrace-takeover 1\n");
    EXPECT_THAT(peer.ReceiveAll(), StartsWith("no sendmsg"));
    EXPECT_TRUE(fault.spent());
  }
  EXPECT_EQ(failed(), 1);
  ExpectStillOffered();
}

TEST_F(ListenerHandoverTest, ASessionThatCannotBeWatchedIsAFailure) {
  Offer();
  {
    Peer peer = Peer::ConnectedTo(offer_);
    // The first makes the acceptor rest, the second would watch the session.
    const ScopedFault fault(Call::kEpollCtl, {.error = ENOMEM, .times = 1, .skip = 1});
    loop_.Steps(3);
    EXPECT_TRUE(fault.spent());
  }
  EXPECT_EQ(failed(), 1);
  ExpectStillOffered();
}

TEST_F(ListenerHandoverTest, WhatWasDroppedMeanwhileIsNotOffered) {
  Offer();
  const SocketAddress kept = listeners_.addresses()[0];
  listeners_.Drop(unix_);
  Peer peer = Successor("millrace-takeover 1\n");
  const ReceivedDescriptors got = Receive(peer);
  EXPECT_EQ(got.text, absl::StrCat("millrace-listeners 1 1\nmade ", kept, "\n"));
  EXPECT_EQ(got.descriptors.size(), 2u);
  peer.Close();
  loop_.Steps(3);
}

TEST_F(ListenerHandoverTest, MoreThanFitAreNotOffered) {
  const std::vector<SocketAddress> many(kListenersMax + 1, SocketAddress::Loopback(0));
  listeners_ = ListenerSet::At(many, {}, {}).value();
  EXPECT_TRUE(absl::IsInvalidArgument(
      ListenerHandover::Offer(*loop_, ListenAt(offer_, {}).value(), listeners_, {}).status()));
  folder_.Remove("offer");
}

}  // namespace
}  // namespace millrace
