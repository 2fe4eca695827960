// SPDX-License-Identifier: Apache-2.0
#include "net/event_loop.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "base/status_macros.h"

namespace millrace {
namespace {

// After a wait that failed: so that a machine out of memory is not also out of processor.
constexpr absl::Duration kPauseAfterWaitError = absl::Milliseconds(1);

// An instant that is past, whatever the clock says.
constexpr MonotonicTime kAtOnce;

// Marks the loop as this thread's for a scope. They nest, for a loop may step another one, but
// never around the same loop: what a turn has begun, a turn inside it would find half done.
class CurrentLoop {
 public:
  explicit CurrentLoop(EventLoop* loop) : loop_(loop), outer_(innermost_) {
    for (const CurrentLoop* each = outer_; each != nullptr; each = each->outer_) {
      CHECK(each->loop_ != loop) << "a loop was run or destroyed from inside its own turn";
    }
    innermost_ = this;
  }
  ~CurrentLoop() { innermost_ = outer_; }

  static const CurrentLoop* InnermostScope() { return innermost_; }
  const CurrentLoop* outer() const { return outer_; }
  EventLoop* loop() const { return loop_; }
  static EventLoop* Innermost() { return innermost_ == nullptr ? nullptr : innermost_->loop_; }

 private:
  static thread_local const CurrentLoop* innermost_;

  EventLoop* const loop_;
  const CurrentLoop* const outer_;
};

thread_local const CurrentLoop* CurrentLoop::innermost_ = nullptr;

// Of a counter that keeps the most there ever was.
void Raise(Counter& most, uint64_t value) {
  if (value > most.value()) most.Add(value - most.value());
}

// A peer that is gone must cost an error and not the process. sendfile(2) has no flag for that.
void IgnoreSigpipe() {
  struct sigaction now;
  if (sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) {
    signal(SIGPIPE, SIG_IGN);
  }
}

}  // namespace

class EventLoop::Bell final : public IoHandler {
 public:
  explicit Bell(const Wakeup& wakeup) : wakeup_(wakeup) {}

  absl::Status Hang(EventLoop& loop) LOOP_ONLY {
    MILLRACE_ASSIGN_OR_RETURN(registration_, loop.Watch(wakeup_.fd(), Io::kRead, *this));
    return absl::OkStatus();
  }
  void OnIo(Io) override LOOP_ONLY { wakeup_.Drain(); }

 private:
  const Wakeup& wakeup_;
  Registration registration_;
};

Registration& Registration::operator=(Registration&& other) noexcept {
  Registration taken(std::move(other));  // First, for `other` may be this one.
  std::swap(loop_, taken.loop_);
  std::swap(token_, taken.token_);
  return *this;
}

Registration::~Registration() {
  AssertOnLoop();  // As every owner of one is.
  if (loop_ != nullptr) loop_->EndWatch(token_, /*closes_fd=*/false);
}

absl::Status Registration::SetInterest(Io interest) {
  DCHECK(active());
  return loop_->SetInterest(token_, interest);
}

void Registration::CallAtEndOfTurn() {
  DCHECK(active());
  loop_->AssertInLoop();
  loop_->end_of_turn_.push_back(token_);
}

void Registration::EndBeforeClose() {
  if (loop_ != nullptr) loop_->EndWatch(token_, /*closes_fd=*/true);
  loop_ = nullptr;
  token_ = {};
}

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create(Options options) {
  AssertOnLoop();  // Nobody else knows it yet.
  if (options.busy_poll < absl::ZeroDuration() || options.busy_poll > kBusyPollMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("busy_poll must be from 0 to ", absl::FormatDuration(kBusyPollMax)));
  }
  IgnoreSigpipe();
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<Poller> poller, options.poller());
  MILLRACE_ASSIGN_OR_RETURN(Ref<Mailbox> mailbox,
                            Mailbox::Create(options.posts_max, options.name,
                                            options.measure_turns ? options.clock : nullptr));
  auto loop =
      absl::WrapUnique(new EventLoop(std::move(options), std::move(poller), std::move(mailbox)));
  MILLRACE_RETURN_IF_ERROR(loop->bell_->Hang(*loop));
  return loop;
}

EventLoop::EventLoop(Options options, std::unique_ptr<Poller> poller, Ref<Mailbox> mailbox)
    : options_(std::move(options)),
      poller_(std::move(poller)),
      mailbox_(std::move(mailbox)),
      timers_(options_.clock->Now()),
      busy_poll_(options_.busy_poll),
      bell_(std::make_unique<Bell>(mailbox_.mailbox_->wakeup())),
      events_(kEventsPerTurnMax) {}

EventLoop::~EventLoop() {
  AssertOnLoop();
  CurrentLoop scope(this);
  std::vector<Closure> dropped;
  mailbox_.mailbox_->Close(dropped);
  dropped.clear();  // Before what they were to be run on.
  DestroyKept();
  bell_.reset();
  mailbox_.mailbox_->pulse().End();
  CHECK_EQ(watches_.size(), 0u) << "a Registration outlives its loop";
}

EventLoop* EventLoop::Current() { return CurrentLoop::Innermost(); }

// Loops that stand on this thread's stack are alive, which is why it looks nowhere else.
bool EventLoop::DescribeTurn(const LoopPulse* of, TurnDescription& into) {
  AssertOnLoop();  // A signal handler is on the thread that it interrupts.
  for (const CurrentLoop* scope = CurrentLoop::InnermostScope(); scope; scope = scope->outer()) {
    if (scope->loop()->mailbox_.pulse() != of) continue;
    into.beat = of->beat();
    if (LoopPulse::InTurn(into.beat)) scope->loop()->position_.Describe(into);
    return true;
  }
  return false;
}

void EventLoop::AssertInLoop() const {
  DCHECK(thread_ == std::thread::id() || thread_ == std::this_thread::get_id())
      << "loop-only code on a thread that is not the loop's";
}

void EventLoop::BindToThread() {
  AssertOnLoop();
  thread_ = std::this_thread::get_id();
  mailbox_.mailbox_->pulse().RunsOn(gettid());
}

void EventLoop::Run() {
  while (RunOnce(absl::InfiniteDuration())) {
  }
}

bool EventLoop::RunOnce(absl::Duration max_wait) {
  if (ABSL_PREDICT_FALSE(thread_ == std::thread::id())) BindToThread();
  CHECK(thread_ == std::this_thread::get_id()) << "a loop runs on one thread";
  AssertOnLoop();
  CurrentLoop scope(this);
  if (!mailbox_.mailbox_->stop_requested()) Turn(After(max_wait));
  if (!mailbox_.mailbox_->stop_requested()) return true;
  End();
  return false;
}

// The two common ones cost no look at the clock.
MonotonicTime EventLoop::After(absl::Duration delay) const {
  if (delay == absl::InfiniteDuration()) return MonotonicTime::InfiniteFuture();
  return delay <= absl::ZeroDuration() ? kAtOnce : clock().Now() + delay;
}

// The last posts are as good as any: what they have an end of turn do, such as sending, is done.
void EventLoop::End() {
  LoopPulse& pulse = mailbox_.mailbox_->pulse();
  pulse.BeginTurn();
  mailbox_.mailbox_->Close(posts_);
  RunPosts();
  CallEndsOfTurn();
  DestroyDeferred();
  pulse.EndTurn();
  pulse.End();
  thread_ = std::thread::id();
}

// One now and then is in order: its watch has just ended. But a descriptor that was closed here
// while another process holds a copy stays in epoll, and is reported for ever.
void EventLoop::CountStale() {
  constexpr uint64_t kSuspicious = 10'000;
  counters_.stale_events.Increment();
  if (counters_.stale_events.value() % kSuspicious != 0) return;
  LOG_EVERY_N_SEC(WARNING, 60) << name() << ": " << counters_.stale_events.value()
                               << " events so far of descriptors that are closed here: does a "
                                  "process that was forked still hold them?";
}

inline void EventLoop::Dispatch(const ReadyEvent& event) {
  const Watched* watched = watches_.Find(event.token);
  if (watched == nullptr) {
    CountStale();
    return;
  }
  // Somebody earlier in this batch may have changed what it waits for.
  const Io ready = event.ready & watched->interest;
  if (ready == Io::kNone) return;
  position_.EnterEvent(*watched->handler);
  watched->handler->OnIo(ready);
}

void EventLoop::Turn(MonotonicTime limit) {
  const int count = Wait(WaitUntil(limit));
  LoopPulse& pulse = mailbox_.mailbox_->pulse();
  pulse.BeginTurn();
  timers_.SetNow(clock().Now());
  for (const ReadyEvent& event : absl::MakeConstSpan(events_.data(), count)) Dispatch(event);
  position_.Enter(TurnPart::kTimers);
  counters_.timers_fired.Add(timers_.FireDue());
  mailbox_.mailbox_->TakeAll(posts_);
  busy_poll_.OnTurn(now(), /*worked=*/count > 0 || !posts_.empty());
  if (!posts_.empty()) {
    if (options_.measure_turns) MeasurePosts();
    RunPosts();
  }
  if (!end_of_turn_.empty()) CallEndsOfTurn();
  if (!deferred_.empty()) DestroyDeferred();
  counters_.turns.Increment();
  if (ABSL_PREDICT_FALSE(options_.measure_turns)) MeasureTurn();
  pulse.EndTurn();
}

// Not the wait, and not what the kernel did before it told us.
void EventLoop::MeasureTurn() {
  const int64_t busy_ns = clock().Now().nanoseconds() - now().nanoseconds();
  counters_.busy_ns.Add(busy_ns);
  Raise(counters_.longest_turn_ns, busy_ns);
}

// Of a burst the first has waited longest.
void EventLoop::MeasurePosts() {
  const MonotonicTime first_post = mailbox_.mailbox_->first_taken();
  const int64_t delay_ns = clock().Now().nanoseconds() - first_post.nanoseconds();
  counters_.bursts_of_posts.Increment();
  counters_.post_delay_ns.Add(delay_ns);
  Raise(counters_.longest_post_delay_ns, delay_ns);
}

MonotonicTime EventLoop::WaitUntil(MonotonicTime limit) {
  if (!end_of_turn_.empty() || !deferred_.empty()) return kAtOnce;
  if (busy_poll_.Polls(now())) {
    counters_.polls.Increment();
    return kAtOnce;
  }
  const MonotonicTime until = std::min(limit, timers_.NextDeadline());
  return until <= now() ? kAtOnce : until;
}

int EventLoop::Wait(MonotonicTime until) {
  Mailbox& mailbox = *mailbox_.mailbox_;
  const bool may_sleep = until != kAtOnce && mailbox.PrepareToSleep();
  absl::StatusOr<int> count =
      poller_->Wait(clock(), may_sleep ? until : kAtOnce, absl::MakeSpan(events_));
  mailbox.Awake();
  if (ABSL_PREDICT_FALSE(!count.ok())) return WaitFailed(count.status());
  counters_.events.Add(*count);
  return *count;
}

int EventLoop::WaitFailed(const absl::Status& why) {
  counters_.wait_errors.Increment();
  LOG_EVERY_N_SEC(ERROR, 1) << "waiting for events: " << why;
  absl::SleepFor(kPauseAfterWaitError);
  return 0;
}

void EventLoop::RunPosts() {
  position_.Enter(TurnPart::kPosts);
  for (Closure& post : posts_) {
    std::move(post)();
    post = nullptr;  // So that what it holds goes with it, and not with the last one.
  }
  counters_.posts_run.Add(posts_.size());
  posts_.clear();
  if (posts_.capacity() > kPostsKeptMax) posts_.shrink_to_fit();
}

void EventLoop::CallEndsOfTurn() {
  end_of_turn_now_.swap(end_of_turn_);
  for (Token token : end_of_turn_now_) {
    IoHandler* handler = Find(token);
    if (handler == nullptr) continue;
    position_.EnterEndOfTurn(*handler);
    handler->OnEndOfTurn();
  }
  position_.Enter(TurnPart::kEndsOfTurn);  // Of nobody who may be gone when the next turn begins.
  end_of_turn_now_.clear();
}

void EventLoop::DestroyDeferred() {
  position_.Enter(TurnPart::kDestruction);  // Also lest it point at one of those that die.
  std::vector<std::unique_ptr<Deferred>> dying;
  dying.swap(deferred_);
  for (std::unique_ptr<Deferred>& object : dying) object.reset();
}

// The youngest first, for it may use the older ones; and what dies with it. What all share, as
// Local() gives it, goes last: it may have been asked for long after its users were made.
void EventLoop::DestroyKept() {
  while (!kept_.empty() || !deferred_.empty()) {
    DestroyDeferred();
    if (kept_.empty()) continue;
    const auto own = std::find_if(kept_.rbegin(), kept_.rend(),
                                  [](const Kept& kept) { return kept.type == nullptr; });
    const auto next = own != kept_.rend() ? std::prev(own.base()) : std::prev(kept_.end());
    const std::unique_ptr<Deferred> object = std::move(next->object);
    kept_.erase(next);
  }
}

absl::StatusOr<Registration> EventLoop::Watch(int fd, Io interest, IoHandler& handler) {
  AssertInLoop();
  const Token token = watches_.Insert({&handler, fd, Io::kNone});
  Registration registration(this, token);
  MILLRACE_RETURN_IF_ERROR(SetInterest(token, interest));
  return registration;
}

Registration EventLoop::Name(IoHandler& handler) {
  AssertInLoop();
  return Registration(this, watches_.Insert({&handler, /*fd=*/-1, Io::kNone}));
}

IoHandler* EventLoop::Find(Token token) {
  AssertInLoop();
  const Watched* watched = watches_.Find(token);
  return watched == nullptr ? nullptr : watched->handler;
}

absl::Status EventLoop::SetInterest(Token token, Io interest) {
  AssertInLoop();
  Watched* watched = watches_.Find(token);
  CHECK(watched != nullptr);
  if (watched->interest == interest) return absl::OkStatus();
  if (interest == Io::kNone) {
    poller_->Remove(watched->fd);
  } else if (watched->interest == Io::kNone) {
    MILLRACE_RETURN_IF_ERROR(poller_->Add(watched->fd, interest, token));
  } else {
    MILLRACE_RETURN_IF_ERROR(poller_->Modify(watched->fd, interest, token));
  }
  watched->interest = interest;
  return absl::OkStatus();
}

void EventLoop::EndWatch(Token token, bool closes_fd) {
  AssertInLoop();
  const Watched* watched = watches_.Find(token);
  CHECK(watched != nullptr);
  position_.Forget(*watched->handler);  // Who has ended its watch may destroy itself in its call.
  if (watched->interest != Io::kNone) {
    closes_fd ? poller_->Forget(watched->fd) : poller_->Remove(watched->fd);
  }
  watches_.Erase(token);
}

void EventLoop::DestroyLater(std::unique_ptr<Deferred> object) {
  AssertInLoop();
  deferred_.push_back(std::move(object));
}

void EventLoop::Release(Deferred& object) {
  AssertInLoop();
  const auto found = std::find_if(kept_.begin(), kept_.end(),
                                  [&](const Kept& kept) { return kept.object.get() == &object; });
  // It is not there while the loop dies: then it is being destroyed already.
  if (found == kept_.end()) return;
  deferred_.push_back(std::move(found->object));
  kept_.erase(found);
}

Deferred* EventLoop::FindLocal(const void* type) {
  AssertInLoop();
  for (const Kept& kept : kept_) {
    if (kept.type == type) return kept.object.get();
  }
  return nullptr;
}

bool PostTo(const LoopRef& loop, Token token, absl::AnyInvocable<void(IoHandler&) &&> work) {
  return loop.Post([token, work = std::move(work)]() mutable {
    AssertOnLoop();
    IoHandler* handler = EventLoop::Current()->Find(token);
    if (handler != nullptr) std::move(work)(*handler);
  });
}

}  // namespace millrace
