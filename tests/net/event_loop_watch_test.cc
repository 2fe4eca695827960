// SPDX-License-Identifier: Apache-2.0
//
// Watching real descriptors: over each of our pollers, and, where the kernel fails us, over epoll.
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/poller_named.h"
#include "tests/support/fault_injection.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

// One end of a line, which the loop watches. The test speaks at the other end.
class Ear final : public IoHandler {
  UniqueFd near_, far_;  // Closed after the watch has ended.

 public:
  explicit Ear(EventLoop& loop, Io interest = Io::kRead) {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    near_.Reset(fds[0]);
    far_.Reset(fds[1]);
    registration = loop.Watch(fd(), interest, *this).value();
  }

  // Whatever is said makes it readable, until Listen().
  void Speak() { EXPECT_EQ(write(far_.get(), "x", 1), 1); }
  void HangUp() { far_.Reset(); }
  void Listen() {
    char said[16];
    while (read(fd(), said, sizeof said) > 0) {
    }
  }
  // Gives up its descriptor, so that the number is free.
  void Close() { near_.Reset(); }
  // Closes its descriptor, and takes that number for a new line.
  void MoveTo(int number) {
    EXPECT_EQ(dup3(fd(), number, O_CLOEXEC), number);
    near_.Reset(number);
  }

  int fd() const { return near_.get(); }
  int heard() const { return heard_; }
  Io last() const { return last_; }

  std::function<void()> on_io = [] {};
  Registration registration;

 private:
  void OnIo(Io ready) override {
    ++heard_;
    last_ = ready;
    on_io();
  }

  int heard_ = 0;
  Io last_ = Io::kNone;
};

// The parameter names the poller.
class EventLoopWatchTest : public ::testing::TestWithParam<const char*> {
 protected:
  uint64_t events() { return loop_->counters().events.value(); }
  uint64_t stale() { return loop_->counters().stale_events.value(); }

  TestLoop loop_{{.poller = PollerNamed(GetParam()).value()}};
};

INSTANTIATE_TEST_SUITE_P(Pollers, EventLoopWatchTest, ::testing::Values("epoll", "poll", "select"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(EventLoopWatchTest, CallsWhoIsReadyAndNobodyElse) {
  Ear ear(*loop_), other(*loop_);
  loop_.Step();
  EXPECT_EQ(ear.heard(), 0);
  ear.Speak();
  loop_.Step();
  EXPECT_EQ(ear.heard(), 1);
  EXPECT_EQ(ear.last(), Io::kRead);
  EXPECT_EQ(other.heard(), 0);
}

TEST_P(EventLoopWatchTest, CallsAgainForWhatIsLeftAlone) {
  Ear ear(*loop_);
  ear.Speak();
  loop_.Steps(3);
  EXPECT_EQ(ear.heard(), 3);
  ear.Listen();
  loop_.Steps(3);
  EXPECT_EQ(ear.heard(), 3);
}

TEST_P(EventLoopWatchTest, BothInOneCall) {
  Ear ear(*loop_, Io::kReadWrite);
  loop_.Step();
  EXPECT_EQ(ear.last(), Io::kWrite);
  ear.Speak();
  loop_.Step();
  EXPECT_EQ(ear.last(), Io::kReadWrite);
  EXPECT_EQ(ear.heard(), 2);
}

TEST_P(EventLoopWatchTest, InterestMayChangeAtAnyTime) {
  Ear ear(*loop_);
  ear.Speak();
  EXPECT_TRUE(ear.registration.SetInterest(Io::kWrite).ok());
  loop_.Step();
  EXPECT_EQ(ear.last(), Io::kWrite);
  EXPECT_TRUE(ear.registration.SetInterest(Io::kReadWrite).ok());
  loop_.Step();
  EXPECT_EQ(ear.last(), Io::kReadWrite);
  EXPECT_TRUE(ear.registration.SetInterest(Io::kRead).ok());
  loop_.Step();
  EXPECT_EQ(ear.last(), Io::kRead);
}

TEST_P(EventLoopWatchTest, HangUpWakesWhoeverWaitsForAnything) {
  Ear reader(*loop_), writer(*loop_, Io::kWrite);
  reader.HangUp();
  writer.HangUp();
  loop_.Step();
  EXPECT_EQ(reader.last(), Io::kRead);
  EXPECT_EQ(writer.last(), Io::kWrite);
}

TEST_P(EventLoopWatchTest, HangUpThatNobodyWaitsForDoesNotSpin) {
  Ear ear(*loop_);
  ASSERT_TRUE(ear.registration.SetInterest(Io::kNone).ok());
  ear.Speak();
  ear.HangUp();
  loop_.Steps(10);
  EXPECT_EQ(events(), 0u);
  ASSERT_TRUE(ear.registration.SetInterest(Io::kRead).ok());
  loop_.Step();
  EXPECT_EQ(ear.heard(), 1);
}

TEST_P(EventLoopWatchTest, WatchThatBeginsWithNothingIsFilledLater) {
  Ear ear(*loop_, Io::kNone);
  ear.Speak();
  loop_.Step();
  EXPECT_EQ(events(), 0u);
  ASSERT_TRUE(ear.registration.SetInterest(Io::kRead).ok());
  loop_.Step();
  EXPECT_EQ(ear.heard(), 1);
}

TEST_P(EventLoopWatchTest, DescriptorIsWatchedOnceAtATime) {
  Ear ear(*loop_);
  Ear other(*loop_);
  EXPECT_TRUE(absl::IsAlreadyExists(loop_->Watch(ear.fd(), Io::kRead, other).status()));
  ear.Speak();
  loop_.Step();
  EXPECT_EQ(ear.heard(), 1) << "the first watch stands";
  EXPECT_EQ(other.heard(), 0);
}

TEST_P(EventLoopWatchTest, NoDescriptorIsAnError) {
  Ear ear(*loop_);
  EXPECT_FALSE(loop_->Watch(-1, Io::kRead, ear).ok());
  loop_.Step();
}

TEST_P(EventLoopWatchTest, MovedRegistrationGoesOnWatching) {
  Ear ear(*loop_);
  const Token token = ear.registration.token();
  Registration moved = std::move(ear.registration);
  EXPECT_FALSE(ear.registration.active());
  EXPECT_EQ(moved.token(), token);
  ear.Speak();
  loop_.Step();
  EXPECT_EQ(ear.heard(), 1);
  Registration* const same = &moved;
  moved = std::move(*same);
  EXPECT_TRUE(moved.active());
  loop_.Step();
  EXPECT_EQ(ear.heard(), 2);
  moved = Registration();
  loop_.Step();
  EXPECT_EQ(ear.heard(), 2);
}

TEST_P(EventLoopWatchTest, AssignedRegistrationEndsTheOneBefore) {
  Ear ear(*loop_), other(*loop_);
  ear.Speak();
  other.Speak();
  ear.registration = std::move(other.registration);
  loop_.Step();
  EXPECT_EQ(ear.heard(), 0);
  EXPECT_EQ(other.heard(), 1);
}

TEST_P(EventLoopWatchTest, DescriptorIsFreeOnceItsWatchHasEnded) {
  Ear ear(*loop_), other(*loop_);
  ear.registration = Registration();
  const Registration again = loop_->Watch(ear.fd(), Io::kRead, other).value();
  ear.Speak();
  loop_.Step();
  EXPECT_EQ(ear.heard(), 0);
  EXPECT_EQ(other.heard(), 1);
}

TEST_P(EventLoopWatchTest, NameIsAWatchOfNothing) {
  Ear ear(*loop_);
  std::optional<Registration> name = loop_->Name(ear);
  const Token token = name->token();
  EXPECT_EQ(loop_->Find(token), &ear);
  loop_.Steps(2);
  EXPECT_EQ(events(), 0u);
  EXPECT_FALSE(name->SetInterest(Io::kRead).ok());
  name.reset();
  EXPECT_EQ(loop_->Find(token), nullptr);
  EXPECT_EQ(loop_->Find(Token()), nullptr);
}

// --- Within one batch ---

// Two that are ready at once; whom the kernel names first ends the other.
class RivalsTest : public EventLoopWatchTest {
 protected:
  RivalsTest() {
    for (int i : {0, 1}) {
      rivals_[i] = std::make_unique<Ear>(*loop_);
      rivals_[i]->Speak();
      rivals_[i]->on_io = [this, i] { on_first(*rivals_[1 - i]); };
    }
  }
  int heard() const { return rivals_[0]->heard() + rivals_[1]->heard(); }

  std::function<void(Ear& other)> on_first;
  std::unique_ptr<Ear> rivals_[2];
};

INSTANTIATE_TEST_SUITE_P(Pollers, RivalsTest, ::testing::Values("epoll", "poll", "select"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(RivalsTest, WatchEndedByAnotherIsNotCalled) {
  on_first = [](Ear& other) { other.registration = Registration(); };
  loop_.Step();
  EXPECT_EQ(heard(), 1);
  EXPECT_EQ(stale(), 1u);
}

TEST_P(RivalsTest, StaleEventDoesNotReachTheNextOwnerOfTheNumber) {
  Ear heir(*loop_, Io::kNone);
  on_first = [&](Ear& other) {
    const int number = other.fd();
    other.registration.EndBeforeClose();
    other.Close();
    heir.MoveTo(number);
    heir.registration = loop_->Watch(number, Io::kRead, heir).value();
  };
  loop_.Step();
  EXPECT_EQ(heard(), 1);
  EXPECT_EQ(stale(), 1u);
  EXPECT_EQ(heir.heard(), 0);
  on_first = [](Ear&) {};
  loop_.Step();
  EXPECT_EQ(heir.heard(), 0) << "it is silent";
  heir.Speak();
  loop_.Step();
  EXPECT_EQ(heir.heard(), 1);
}

TEST_P(RivalsTest, WatchNarrowedToNothingIsNotCalled) {
  on_first = [](Ear& other) { EXPECT_TRUE(other.registration.SetInterest(Io::kNone).ok()); };
  loop_.Step();
  EXPECT_EQ(heard(), 1);
  EXPECT_EQ(stale(), 0u);
}

TEST_P(RivalsTest, WatchNarrowedHearsOnlyTheRest) {
  for (const auto& rival : rivals_)
    ASSERT_TRUE(rival->registration.SetInterest(Io::kReadWrite).ok());
  on_first = [this](Ear& other) {
    if (heard() > 1) return;
    EXPECT_TRUE(other.registration.SetInterest(Io::kWrite).ok());
  };
  loop_.Step();
  EXPECT_EQ(heard(), 2);
  EXPECT_EQ(rivals_[0]->last() & rivals_[1]->last(), Io::kWrite);
  EXPECT_EQ(rivals_[0]->last() | rivals_[1]->last(), Io::kReadWrite);
}

TEST_P(RivalsTest, HandlerMayEndItsOwnWatch) {
  for (const auto& rival : rivals_) {
    rival->on_io = [&rival] { rival->registration = Registration(); };
  }
  loop_.Steps(2);
  EXPECT_EQ(heard(), 2);
  EXPECT_EQ(stale(), 0u);
}

TEST_P(RivalsTest, HandlerMayEndEveryWatch) {
  on_first = [this](Ear&) {
    for (const auto& rival : rivals_) rival->registration = Registration();
  };
  loop_.Steps(2);
  EXPECT_EQ(heard(), 1);
}

TEST_P(RivalsTest, HandlerThatDestroysTheOtherLeavesNothingToCall) {
  int heard = 0;
  on_first = [&](Ear& other) {
    ++heard;
    for (auto& rival : rivals_) {
      if (rival.get() == &other) rival.reset();
    }
  };
  loop_.Step();
  EXPECT_EQ(heard, 1);
  EXPECT_EQ(stale(), 1u);
}

TEST_P(RivalsTest, HandlerThatHandsItselfToTheLoopDiesAfterItsCall) {
  on_first = [](Ear&) {};
  rivals_[0]->on_io = [this] {
    Ear* const self = rivals_[0].get();
    loop_->DestroyLater(std::move(rivals_[0]));
    EXPECT_EQ(self->heard(), 1);
  };
  loop_.Steps(2);
  EXPECT_EQ(rivals_[0], nullptr);
  EXPECT_EQ(rivals_[1]->heard(), 2);
}

TEST_P(RivalsTest, WatchesMadeInABatchHearFromTheNextOneOn) {
  std::vector<std::unique_ptr<Ear>> made;
  on_first = [&](Ear&) {
    for (int i = 0; i < 100; ++i) made.push_back(std::make_unique<Ear>(*loop_));
    made.front()->Speak();
  };
  loop_.Step();
  EXPECT_EQ(heard(), 2);
  EXPECT_EQ(made.front()->heard(), 0);
  loop_.Step();
  EXPECT_EQ(made.front()->heard(), 1);
}

// More than one wait can bring.
TEST_P(EventLoopWatchTest, EveryoneIsHeardHoweverManyAreReady) {
  constexpr int kReady = kEventsPerTurnMax + 100;
  class Counter final : public IoHandler {
   public:
    explicit Counter(EventLoop& loop)
        : fd_(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)),
          registration_(loop.Watch(fd_.get(), Io::kRead, *this).value()) {}
    int heard = 0;

   private:
    void OnIo(Io) override { ++heard; }
    UniqueFd fd_;
    Registration registration_;
  };
  std::vector<std::unique_ptr<Counter>> counters;
  for (int i = 0; i < kReady; ++i) counters.push_back(std::make_unique<Counter>(*loop_));
  loop_.Step();
  EXPECT_EQ(events(), static_cast<uint64_t>(kEventsPerTurnMax));
  loop_.Step();
  for (const auto& counter : counters) EXPECT_GE(counter->heard, 1);
}

// --- When the kernel fails us ---

class EventLoopFaultTest : public ::testing::Test {
 protected:
  TestLoop loop_;
};

TEST_F(EventLoopFaultTest, WatchThatTheKernelHasNoRoomForIsAnErrorAndNothingElse) {
  Ear ear(*loop_, Io::kNone);
  ear.Speak();
  for (int error : {ENOSPC, ENOMEM}) {
    const ScopedFault fault(Call::kEpollCtl, {.error = error, .times = 1});
    const auto watch = loop_->Watch(ear.fd(), Io::kRead, ear);
    EXPECT_EQ(watch.status().code(), absl::ErrnoToStatusCode(error));
    EXPECT_TRUE(fault.spent());
    loop_.Step();
    EXPECT_EQ(ear.heard(), 0);
  }
  const Registration watch = loop_->Watch(ear.fd(), Io::kRead, ear).value();
  loop_.Step();
  EXPECT_EQ(ear.heard(), 1);
}

TEST_F(EventLoopFaultTest, InterestThatCannotBeChangedStands) {
  Ear ear(*loop_);
  {
    const ScopedFault fault(Call::kEpollCtl, {.error = ENOMEM, .times = 1});
    EXPECT_FALSE(ear.registration.SetInterest(Io::kWrite).ok());
  }
  loop_.Step();
  EXPECT_EQ(ear.heard(), 0);
  ear.Speak();
  loop_.Step();
  EXPECT_EQ(ear.last(), Io::kRead);
  EXPECT_TRUE(ear.registration.SetInterest(Io::kWrite).ok()) << "and may be asked for again";
  loop_.Step();
  EXPECT_EQ(ear.last(), Io::kWrite);
}

TEST_F(EventLoopFaultTest, WatchThatCannotBeTakenUpAgainStaysOut) {
  Ear ear(*loop_);
  ear.Speak();
  ASSERT_TRUE(ear.registration.SetInterest(Io::kNone).ok());
  {
    const ScopedFault fault(Call::kEpollCtl, {.error = ENOSPC, .times = 1});
    EXPECT_FALSE(ear.registration.SetInterest(Io::kRead).ok());
  }
  loop_.Step();
  EXPECT_EQ(ear.heard(), 0);
  EXPECT_TRUE(ear.registration.SetInterest(Io::kRead).ok());
  loop_.Step();
  EXPECT_EQ(ear.heard(), 1);
}

TEST_F(EventLoopFaultTest, EveryFailureOfWaitingIsSurvivedAndCounted) {
  Ear ear(*loop_);
  ear.Speak();
  int posts = 0;
  uint64_t failures = 0;
  for (int error : {EBADF, EFAULT, EINVAL, ENOMEM, ENOSYS}) {
    const ScopedFault fault(Call::kEpollWait, {.error = error, .times = 1});
    loop_->ref().Post([&] { ++posts; });
    loop_.Step();
    EXPECT_TRUE(fault.spent());
    EXPECT_EQ(loop_->counters().wait_errors.value(), ++failures);
  }
  EXPECT_EQ(posts, 5);
  EXPECT_EQ(ear.heard(), 0);
  loop_.Step();
  EXPECT_EQ(ear.heard(), 1);
}

TEST_F(EventLoopFaultTest, SignalThatInterruptsTheWaitIsNoFailure) {
  Ear ear(*loop_);
  ear.Speak();
  const ScopedFault fault(Call::kEpollWait, {.error = EINTR, .times = 3});
  loop_.Steps(4);
  EXPECT_TRUE(fault.spent());
  EXPECT_EQ(ear.heard(), 1);
  EXPECT_EQ(loop_->counters().wait_errors.value(), 0u);
}

TEST_F(EventLoopFaultTest, EveryoneIsHeardIfTheKernelNamesOneAtATime) {
  const ScopedFault fault(Call::kEpollWait, {.short_bytes = 1});
  Ear ears[] = {Ear(*loop_), Ear(*loop_), Ear(*loop_)};
  for (Ear& ear : ears) ear.Speak();
  loop_.Steps(3);
  for (Ear& ear : ears) EXPECT_EQ(ear.heard(), 1);
}

TEST_F(EventLoopFaultTest, EndOfAWatchThatIsClosedNextCostsNoSystemCall) {
  Ear ear(*loop_);
  const ScopedFault spy(Call::kEpollCtl);
  ear.registration.EndBeforeClose();
  EXPECT_FALSE(ear.registration.active());
  ear.registration.EndBeforeClose();  // Again is harmless.
  ear.Close();
  loop_.Step();
  EXPECT_EQ(spy.hits(), 0);
}

}  // namespace
}  // namespace millrace
