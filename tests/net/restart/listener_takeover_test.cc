// SPDX-License-Identifier: Apache-2.0
//
// The new process is played by the test's thread, which waits as that would; the old one by a
// thread that says what a test has it say, or by a loop with a real handover.
#include "net/restart/listener_takeover.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/acceptor.h"
#include "net/event_loop.h"
#include "net/io_result.h"
#include "net/limits.h"
#include "net/restart/descriptor_message.h"
#include "net/restart/listener_handover.h"
#include "net/restart/listener_set.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "tests/support/peer.h"
#include "tests/support/short_folder.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

// An old process that accepts one new one, hears its hello and then does as the test wants.
class OldProcess {
 public:
  OldProcess(const SocketAddress& offer, std::function<void(Peer& peer)> then)
      : offer_(ListenAt(offer, {}).value()), thread_([this, then] {
          pollfd ready = {.fd = offer_.fd(), .events = POLLIN, .revents = 0};
          CHECK_EQ(poll(&ready, 1, 30'000), 1);
          Peer peer(offer_.Accept().socket);
          EXPECT_EQ(peer.Receive(20), "millrace-takeover 1\n");
          then(peer);
        }) {}
  ~OldProcess() { thread_.join(); }

 private:
  Socket offer_;
  std::thread thread_;
};

class ListenerTakeoverTest : public ::testing::Test {
 protected:
  ~ListenerTakeoverTest() override { folder_.Remove("offer"); }

  absl::StatusOr<ListenerTakeover> TakeOver(ListenerTakeover::Options options = {}) {
    return ListenerTakeover::From(offer_, options);
  }
  // Of a takeover from an old process that answers the hello with this.
  absl::Status StatusAfter(std::function<void(Peer& peer)> answer,
                           ListenerTakeover::Options options = {}) {
    const OldProcess old(offer_, std::move(answer));
    return TakeOver(options).status();
  }
  absl::Status StatusAfter(absl::string_view text, std::vector<int> descriptors) {
    return StatusAfter([text = std::string(text), descriptors](Peer& peer) {
      CHECK_OK(SendWithDescriptors(peer.socket(), text, descriptors));
    });
  }
  // What the old process says when all is well.
  void SendListener(Peer& peer) {
    CHECK_OK(SendWithDescriptors(peer.socket(),
                                 absl::StrCat("millrace-listeners 1 1\nmade ", address_, "\n"),
                                 {listener_.fd(), listener_.fd()}));
  }

  void TellToEnd() { CHECK_EQ(eventfd_write(told_to_end_.get(), 1), 0); }

  UniqueFd told_to_end_{eventfd(0, EFD_CLOEXEC)};
  ShortFolder folder_;
  const SocketAddress offer_ = folder_.Unix("offer");
  Socket listener_ = ListenAt(SocketAddress::Loopback(0), {}).value();
  const SocketAddress address_ = listener_.LocalAddress().value();
};

TEST_F(ListenerTakeoverTest, NobodyThereIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(TakeOver().status()));
  Socket killed = Socket::CreateFor(offer_).value();
  ASSERT_TRUE(killed.Bind(offer_).ok());
  EXPECT_TRUE(absl::IsNotFound(TakeOver().status())) << "a file that somebody left";
}

TEST_F(ListenerTakeoverTest, GetsTheSocketsAndFinishes) {
  const OldProcess old(offer_, [this](Peer& peer) {
    SendListener(peer);
    EXPECT_EQ(peer.Receive(6), "ready\n");
    peer.Send("yours\n");
  });
  ListenerTakeover takeover = TakeOver().value();
  EXPECT_EQ(takeover.predecessor(), getpid());
  const std::vector<ListenerSet::Listener> listeners = takeover.TakeListeners();
  ASSERT_EQ(listeners.size(), 1u);
  EXPECT_EQ(listeners[0].address, address_);
  EXPECT_NE(listeners[0].socket.fd(), listener_.fd());
  EXPECT_TRUE(takeover.TakeOffer().valid());
  EXPECT_TRUE(takeover.Finish().ok());
}

TEST_F(ListenerTakeoverTest, AnOldOneThatEndsMeanwhileIsReplaced) {
  const OldProcess old(offer_, [this](Peer& peer) { SendListener(peer); });
  ListenerTakeover takeover = TakeOver().value();
  EXPECT_TRUE(takeover.Finish().ok());
}

TEST_F(ListenerTakeoverTest, AnOldOneThatHangsMeanwhileIsReplaced) {
  const OldProcess old(offer_, [this](Peer& peer) {
    SendListener(peer);
    EXPECT_EQ(peer.ReceiveAll(), "ready\n") << "until the new one has gone on";
  });
  ListenerTakeover takeover = TakeOver({.answer_timeout = absl::Milliseconds(300)}).value();
  EXPECT_TRUE(takeover.Finish().ok());
}

TEST_F(ListenerTakeoverTest, AnOldOneThatGoesOnIsNotReplaced) {
  const OldProcess old(offer_, [this](Peer& peer) {
    SendListener(peer);
    peer.Send("no it takes too long to start\n");
  });
  ListenerTakeover takeover = TakeOver().value();
  const absl::Status status = takeover.Finish();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(offer_.ToString()));
  EXPECT_THAT(std::string(status.message()), HasSubstr("goes on: it takes too long to start"));
}

TEST_F(ListenerTakeoverTest, OneThatIsToldToEndWaitsForNoAnswer) {
  const absl::Status status = StatusAfter(
      [this](Peer& peer) {
        TellToEnd();
        EXPECT_EQ(peer.ReceiveAll(), "");
      },
      {.cancel_fd = told_to_end_.get()});
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("told to end before it was ready"));
}

TEST_F(ListenerTakeoverTest, NorDoesItSayThatItIsReady) {
  const OldProcess old(offer_, [this](Peer& peer) {
    SendListener(peer);
    EXPECT_EQ(peer.ReceiveAll(), "");
  });
  ListenerTakeover takeover = TakeOver({.cancel_fd = told_to_end_.get()}).value();
  TellToEnd();
  EXPECT_TRUE(absl::IsCancelled(takeover.Finish()));
}

TEST_F(ListenerTakeoverTest, NorCanItBeGivenTheSocketsFromThen) {
  absl::Notification ended;
  const OldProcess old(offer_, [&](Peer& peer) {
    SendListener(peer);
    EXPECT_EQ(peer.Receive(6), "ready\n");
    TellToEnd();
    ended.WaitForNotification();
    EXPECT_EQ(peer.socket().Write("yours\n").kind(), IoResult::kFailed) << "so it goes on";
  });
  ListenerTakeover takeover = TakeOver({.cancel_fd = told_to_end_.get()}).value();
  EXPECT_TRUE(absl::IsCancelled(takeover.Finish()));
  ended.Notify();
}

TEST_F(ListenerTakeoverTest, ButIfTheyWereGivenBeforeTheyAreItsOwn) {
  const OldProcess old(offer_, [this](Peer& peer) {
    SendListener(peer);
    EXPECT_EQ(peer.Receive(6), "ready\n");
    peer.Send("yours\n");
    TellToEnd();
  });
  ListenerTakeover takeover = TakeOver({.cancel_fd = told_to_end_.get()}).value();
  EXPECT_TRUE(takeover.Finish().ok());
}

TEST_F(ListenerTakeoverTest, ARefusalIsTold) {
  const absl::Status status =
      StatusAfter([](Peer& peer) { peer.Send("no it speaks another language\n"); });
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("another language"));
}

TEST_F(ListenerTakeoverTest, AnOldOneThatDiesIsAnError) {
  const absl::Status status = StatusAfter([](Peer&) {});
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

TEST_F(ListenerTakeoverTest, AnOldOneThatDiesInTheMiddleIsAnError) {
  EXPECT_FALSE(StatusAfter("millrace-listeners 1 1\nmade 127.", {listener_.fd()}).ok());
}

TEST_F(ListenerTakeoverTest, SilenceIsNotWaitedForLong) {
  const absl::Status status = StatusAfter([](Peer& peer) { peer.ReceiveAll(); },
                                          {.answer_timeout = absl::Milliseconds(20)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(offer_.ToString()));
}

TEST_F(ListenerTakeoverTest, NorAreWordsThatNeverEnd) {
  const absl::Status status = StatusAfter(
      [](Peer& peer) {
        peer.Send("millrace-listeners 1 1\nmade ");
        peer.ReceiveAll();
      },
      {.answer_timeout = absl::Milliseconds(20)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
}

TEST_F(ListenerTakeoverTest, GarbageIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(StatusAfter("HTTP/1.1 400 Bad Request\r\n", {})));
  EXPECT_TRUE(absl::IsInvalidArgument(
      StatusAfter([](Peer& peer) { peer.SendSome(std::string(100'000, 'x')); })));
}

TEST_F(ListenerTakeoverTest, TheNumberOfDescriptorsMustFit) {
  const std::string one = absl::StrCat("millrace-listeners 1 1\nmade ", address_, "\n");
  const int fd = listener_.fd();
  for (const std::vector<int>& fds : {std::vector<int>{}, {fd}, {fd, fd, fd}}) {
    const absl::Status status = StatusAfter(one, fds);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("descriptors came for 1 sockets"));
  }
  const std::string many = absl::StrCat("millrace-listeners 1 ", kListenersMax + 1, "\n");
  EXPECT_TRUE(absl::IsResourceExhausted(StatusAfter(many, {fd})));
}

TEST_F(ListenerTakeoverTest, WhatDoesNotListenIsRefused) {
  const std::string one = absl::StrCat("millrace-listeners 1 1\nmade ", address_, "\n");
  EXPECT_THAT(std::string(StatusAfter(one, {listener_.fd(), STDIN_FILENO}).message()),
              HasSubstr(address_.ToString()));
  EXPECT_THAT(std::string(StatusAfter(one, {STDIN_FILENO, listener_.fd()}).message()),
              HasSubstr("the offer"));
}

TEST_F(ListenerTakeoverTest, WhatListensElsewhereIsRefused) {
  const absl::Status status =
      StatusAfter("millrace-listeners 1 1\nmade 127.0.0.1:1\n", {listener_.fd(), listener_.fd()});
  EXPECT_THAT(std::string(status.message()), HasSubstr("what is called 127.0.0.1:1 is "));
}

TEST_F(ListenerTakeoverTest, AStrangersOfferIsNotTaken) {
  Socket offer = ListenAt(offer_, {}).value();
  const absl::Status status = TakeOver({.is_trusted = [](const ucred&) { return false; }}).status();
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("user ", geteuid())));
}

TEST_F(ListenerTakeoverTest, FromARealHandover) {
  const SocketAddress unix_address = folder_.Unix("socket");
  ListenerSet old_listeners =
      ListenerSet::At({SocketAddress::Loopback(0), unix_address}, {}, {}).value();
  const std::vector<SocketAddress> addresses = old_listeners.addresses();
  const auto loop = EventLoop::Create().value();
  const auto handover = ListenerHandover::Offer(*loop, ListenAt(offer_, {}).value(), old_listeners,
                                                {.on_handed_over =
                                                     [&](pid_t) {
                                                       old_listeners.Close();
                                                       loop->Stop();
                                                     }})
                            .value();
  ListenerSet listeners;
  std::thread new_process([&] {
    ListenerTakeover takeover = TakeOver().value();
    listeners = ListenerSet::Of(takeover.TakeListeners(), {}).value();
    EXPECT_TRUE(takeover.Finish().ok());
    listeners.TakeFiles();
  });
  loop->Run();
  new_process.join();
  EXPECT_EQ(listeners.addresses(), addresses);
  Peer::ConnectedTo(addresses[0]);
  Peer::ConnectedTo(unix_address);
  listeners.Close();
  EXPECT_FALSE(folder_.Has("socket")) << "the new one's to remove";
}

}  // namespace
}  // namespace millrace
