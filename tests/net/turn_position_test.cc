// SPDX-License-Identifier: Apache-2.0
//
// What a turn is at, as it is told from inside its calls; and that nothing is told of who is gone.
#include "net/turn_position.h"

#include <functional>
#include <memory>
#include <string>
#include <typeinfo>
#include <utility>

#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/socket_address.h"
#include "tests/support/connection_test.h"
#include "tests/support/scripted_poller.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

constexpr int kFd = 1000;

class Miller final : public IoHandler {
 public:
  void OnIo(Io) override { on_io(); }
  void OnEndOfTurn() override { on_end_of_turn(); }

  std::function<void()> on_io = [] {}, on_end_of_turn = [] {};
  Registration watch;
};

class TurnPositionTest : public ::testing::Test {
 protected:
  // Asks the loop where it is, as the signal handler would.
  std::function<void()> Ask() {
    return [this] { asked_ = EventLoop::DescribeTurn(loop_->ref().pulse(), told_); };
  }
  std::unique_ptr<Miller> Watching() {
    auto miller = std::make_unique<Miller>();
    miller->watch = loop_->Watch(kFd, Io::kRead, *miller).value();
    return miller;
  }
  bool IsMiller() const { return told_.who.type != nullptr && *told_.who.type == typeid(Miller); }

  bool asked_ = false;
  TurnDescription told_;
  ScriptedPoller* poller_ = nullptr;
  TestLoop loop_{{.poller = ScriptedPoller::Factory(poller_)}};
};

TEST_F(TurnPositionTest, InAnEventItIsTheHandlers) {
  const auto miller = Watching();
  miller->on_io = Ask();
  poller_->SetReady(kFd, Io::kRead);
  loop_.Step();
  ASSERT_TRUE(asked_);
  EXPECT_EQ(told_.part, TurnPart::kEvents);
  EXPECT_TRUE(IsMiller());
  EXPECT_TRUE(LoopPulse::InTurn(told_.beat));
}

TEST_F(TurnPositionTest, AtTheEndOfTheTurnToo) {
  const auto miller = Watching();
  miller->on_end_of_turn = Ask();
  miller->watch.CallAtEndOfTurn();
  loop_.Step();
  ASSERT_TRUE(asked_);
  EXPECT_EQ(told_.part, TurnPart::kEndsOfTurn);
  EXPECT_TRUE(IsMiller());
}

TEST_F(TurnPositionTest, TimersComeAfterEventsAndAreNobodys) {
  const auto miller = Watching();
  Timer timer(loop_->timers(), Ask());
  timer.Arm(absl::ZeroDuration());
  poller_->SetReady(kFd, Io::kRead);
  loop_.Step();
  ASSERT_TRUE(asked_);
  EXPECT_EQ(told_.part, TurnPart::kTimers);
  EXPECT_EQ(told_.who.type, nullptr);
}

TEST_F(TurnPositionTest, PostsAreNobodys) {
  loop_->ref().Post(Ask());
  loop_.Step();
  ASSERT_TRUE(asked_);
  EXPECT_EQ(told_.part, TurnPart::kPosts);
  EXPECT_EQ(told_.who.type, nullptr);
}

TEST_F(TurnPositionTest, DestructionIsToldAsThat) {
  struct Mortal : Deferred {
    explicit Mortal(std::function<void()> last) : last(std::move(last)) {}
    ~Mortal() override { last(); }
    const std::function<void()> last;
  };
  loop_->DestroyLater(std::make_unique<Mortal>(Ask()));
  loop_.Step();
  ASSERT_TRUE(asked_);
  EXPECT_EQ(told_.part, TurnPart::kDestruction);
}

// As a Connector may be, whose result has its owner destroy it.
TEST_F(TurnPositionTest, HandlerDestroyedInItsOwnCallIsForgotten) {
  class Vanishing final : public IoHandler {
   public:
    Vanishing(std::unique_ptr<Vanishing>& owner, std::function<void()> last)
        : owner(owner), last(std::move(last)) {}
    void OnIo(Io) override {
      const std::function<void()> and_then = std::move(last);
      owner.reset();
      and_then();
    }
    std::unique_ptr<Vanishing>& owner;
    std::function<void()> last;
    Registration watch;
  };
  std::unique_ptr<Vanishing> vanishing;
  vanishing = std::make_unique<Vanishing>(vanishing, Ask());
  vanishing->watch = loop_->Watch(kFd, Io::kRead, *vanishing).value();
  poller_->SetReady(kFd, Io::kRead);
  loop_.Step();
  ASSERT_TRUE(asked_);
  EXPECT_EQ(told_.part, TurnPart::kEvents);
  EXPECT_EQ(told_.who.type, nullptr);
}

TEST_F(TurnPositionTest, WatchThatSomebodyElseEndsForgetsNobody) {
  const auto miller = Watching();
  Miller other;
  other.watch = loop_->Name(other);
  miller->on_io = [&, ask = Ask()] {
    other.watch = Registration();
    ask();
  };
  poller_->SetReady(kFd, Io::kRead);
  loop_.Step();
  EXPECT_TRUE(IsMiller());
}

// While it waits, its last handler may be long gone.
TEST_F(TurnPositionTest, NobodyIsToldOfBetweenTurns) {
  auto miller = Watching();
  miller->watch.CallAtEndOfTurn();
  loop_.Step();
  miller.reset();
  poller_->while_waiting = [ask = Ask()](absl::Duration) { ask(); };
  loop_.Step();
  ASSERT_TRUE(asked_);
  EXPECT_FALSE(LoopPulse::InTurn(told_.beat));
  EXPECT_EQ(told_.who.type, nullptr);
}

TEST_F(TurnPositionTest, LoopThatIsNotRunningHereIsNotFound) {
  TurnDescription told;
  EXPECT_FALSE(EventLoop::DescribeTurn(loop_->ref().pulse(), told));
  EXPECT_FALSE(EventLoop::DescribeTurn(nullptr, told));
}

TEST_F(TurnPositionTest, LoopAroundAnotherOneIsFoundToo) {
  TestLoop inner;
  inner->ref().Post(Ask());
  loop_->ref().Post([&] { inner.Step(); });
  loop_.Step();
  ASSERT_TRUE(asked_);
  EXPECT_EQ(told_.part, TurnPart::kPosts);
}

class ConnectionPositionTest : public ConnectionTest {};

TEST_F(ConnectionPositionTest, ConnectionTellsItsHandlerAndItsPeer) {
  TurnDescription told;
  log_.on_data = [&](TcpConnection& conn, Buffer& input) {
    EventLoop::DescribeTurn(conn.loop().ref().pulse(), told);
    input.Clear();
  };
  Peer peer = Open();
  const SocketAddress address = conn().peer_address();
  peer.Send("grain");
  ASSERT_TRUE(StepUntil([&] { return told.who.type != nullptr; }));
  EXPECT_NE(std::string(told.who.type->name()).find("RecordingHandler"), std::string::npos);
  const auto* raw = reinterpret_cast<const sockaddr*>(&told.who.peer);
  EXPECT_EQ(SocketAddress::FromSockaddr(raw, told.who.peer_bytes).value(), address);
}

}  // namespace
}  // namespace millrace
