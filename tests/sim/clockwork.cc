// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/clockwork.h"

#include <optional>

#include "absl/time/time.h"
#include "net/timer_wheel.h"

namespace millrace {
namespace {

constexpr int kHands = 3;
constexpr absl::Duration kTick = absl::Milliseconds(1);

// As likely of each magnitude, up to about two seconds.
absl::Duration SomeDelay(World& world) {
  return world.Within(absl::Microseconds(int64_t{1} << world.Below(22)));
}

}  // namespace

class Clockwork::Hand {
 public:
  Hand(World& world, EventLoop& loop, Clockwork& clockwork, Dial& dial)
      : world_(world), loop_(loop), timer_(loop.timers(), [this, &clockwork, &dial] {
          CheckFiring();
          clockwork.OnFire(dial);
        }) {}

  // From inside a turn, so that the loop's clock is right.
  void ArmAnew() {
    const absl::Duration delay = SomeDelay(world_);
    period_ = absl::ZeroDuration();
    switch (world_.Below(4)) {
      case 0:
        timer_.Cancel();
        due_.reset();
        return;
      case 1:
        period_ = delay + kTick;
        timer_.ArmEvery(period_);
        due_ = loop_.now() + period_;
        return;
      case 2:
        timer_.ArmAt(loop_.now() + delay);
        break;
      default:
        timer_.Arm(delay);
    }
    due_ = loop_.now() + delay;
  }

  void Stop() {
    world_.Expect(!due_ || world_.sim().now() <= *due_ + Slack(), "a timer has not fired");
    timer_.Cancel();
    due_.reset();
  }

 private:
  // Rounded up to a tick, and a stall of its loop; which may come while it waits for others, that
  // stand still themselves.
  absl::Duration Slack() const {
    return world_.faults().stall > 0 ? kTick + 4 * world_.faults().stall_max : kTick;
  }

  void CheckFiring() {
    world_.tally().Count("timers fired");
    if (!due_) return world_.Fail("a timer fired that was not armed, or twice");
    world_.Expect(loop_.now() >= *due_, "a timer fired early");
    world_.Expect(loop_.now() <= *due_ + Slack(), "a timer fired late");
    if (period_ == absl::ZeroDuration()) {
      due_.reset();
      return;
    }
    while (*due_ <= loop_.now()) due_ = *due_ + period_;
  }

  World& world_;
  EventLoop& loop_;
  std::optional<MonotonicTime> due_;
  absl::Duration period_;
  Timer timer_;
};

Clockwork::Clockwork(World& world) : world_(world) {
  world.OnEachLoop([this](EventLoop& loop) {
    auto dial = std::make_unique<Dial>();
    dial->loop = loop.ref();
    for (int i = 0; i < kHands; ++i) {
      dial->hands.push_back(std::make_unique<Hand>(world_, loop, *this, *dial));
      dial->hands.back()->ArmAnew();
    }
    dials_.push_back(std::move(dial));
  });
}

Clockwork::~Clockwork() { Stop(); }

void Clockwork::OnFire(Dial& dial) {
  // Itself, or another one.
  for (uint64_t n = 1 + world_.Below(2); n > 0; --n) dial.hands[world_.Below(kHands)]->ArmAnew();
  PostToSomebody();
}

// Posts of one thread arrive in order, each once. Here is one thread.
void Clockwork::PostToSomebody() {
  Dial& to = *dials_[world_.Below(dials_.size())];
  const bool taken = to.loop.Post([this, &to, number = to.posted] {
    world_.tally().Count("posts to loops");
    world_.Expect(to.arrived == number, "posts arrive in another order, or twice");
    ++to.arrived;
    world_.Expect(EventLoop::Current()->ref() == to.loop, "a post arrived on another loop");
    if (!stopped_ && world_.Below(8) == 0) to.hands[world_.Below(kHands)]->ArmAnew();
  });
  world_.Expect(taken, "a loop that runs refused a post");
  if (taken) ++to.posted;
}

void Clockwork::Stop() {
  if (stopped_) return;
  stopped_ = true;
  for (const std::unique_ptr<Dial>& dial : dials_) {
    for (const std::unique_ptr<Hand>& hand : dial->hands) hand->Stop();
  }
  const auto arrived = [this] {
    for (const std::unique_ptr<Dial>& dial : dials_) {
      if (dial->arrived != dial->posted) return false;
    }
    return true;
  };
  if (world_.sim().RunUntil(arrived, absl::Minutes(1))) return;
  world_.Fail("posts were lost");
}

}  // namespace millrace
