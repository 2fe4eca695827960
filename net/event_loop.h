// SPDX-License-Identifier: Apache-2.0
//
// EventLoop waits for descriptors, timers and posts, and calls whoever asked for them: one loop,
// one thread, no locks in what it calls. It belongs to the thread that first runs it; before that
// to the one that made it, and once it has ended to the one that destroys it. Other threads speak
// to it through ref() and Stop(), and nothing else.
//
//   auto loop = EventLoop::Create().value();
//   Timer tick(loop->timers(), [] { LOG(INFO) << "tick"; });
//   tick.ArmEvery(absl::Seconds(1));
//   loop->Run();                                 // Until loop->Stop().
//
// A turn: wait -> read the clock -> events -> due timers -> posts -> end-of-turn calls -> destroy
// what was deferred. Each part takes what is there when its turn comes: what it adds itself waits
// for the next turn, which then does not sleep. So no part can keep the others from theirs.

#ifndef MILLRACE_NET_EVENT_LOOP_H_
#define MILLRACE_NET_EVENT_LOOP_H_

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/counters.h"
#include "base/monotonic_time.h"
#include "base/ref.h"
#include "base/slot_map.h"
#include "base/thread_role.h"
#include "net/busy_poll.h"
#include "net/epoll_poller.h"
#include "net/io_handler.h"
#include "net/limits.h"
#include "net/loop_pulse.h"
#include "net/loop_ref.h"
#include "net/poller.h"
#include "net/timer_wheel.h"
#include "net/turn_position.h"

namespace millrace {

class EventLoop;

// The watch of one descriptor. A member of whoever watches; destroying it ends the watch, and
// events already waiting for it find nobody. Loop-only. Must not outlive its loop.
class Registration {
 public:
  Registration() = default;
  Registration(Registration&& other) noexcept
      : loop_(std::exchange(other.loop_, nullptr)), token_(std::exchange(other.token_, {})) {}
  Registration& operator=(Registration&& other) noexcept;
  ~Registration();

  bool active() const { return loop_ != nullptr; }
  // Names this watch, and so its handler, until it ends: see EventLoop::Find().
  Token token() const { return token_; }

  // kNone takes the descriptor out of the poller, so that a hang-up that nobody wants to hear of
  // cannot spin the loop. Fails if the kernel has no memory left; the old interest stands then.
  absl::Status SetInterest(Io interest) LOOP_ONLY;
  // Has the handler's OnEndOfTurn() called. Asking twice in a turn calls twice.
  void CallAtEndOfTurn() LOOP_ONLY;
  // Ends the watch of a descriptor that the caller closes right after, which saves a system call.
  void EndBeforeClose() LOOP_ONLY;

 private:
  friend class EventLoop;
  Registration(EventLoop* loop, Token token) : loop_(loop), token_(token) {}

  EventLoop* loop_ = nullptr;
  Token token_;
};

// What a loop has done so far. Written by it, read by anyone.
struct LoopCounters {
  Counter turns, events, stale_events, timers_fired, posts_run, wait_errors;
  Counter polls;  // Turns that did not sleep because of busy_poll.
  // Only with Options::measure_turns. A post's delay is from the first of a burst to its run.
  Counter busy_ns, longest_turn_ns;
  Counter bursts_of_posts, post_delay_ns, longest_post_delay_ns;
};

class EventLoop {
 public:
  struct Options {
    PollerFactory poller = MakeEpollPoller;
    const Clock* clock = &Clock::System();  // Must outlive the loop.
    size_t posts_max = kPostsMax;           // Closures that may wait; see LoopRef::Post().
    // For how long the loop asks for more work before it sleeps, where that pays; see BusyPoll.
    // Half the latency of lone requests, and up to all of a core. 100 us is a good value, zero is
    // off, kBusyPollMax the most.
    absl::Duration busy_poll = absl::ZeroDuration();
    std::string name = "loop";  // For reports; a pool names each after its thread.
    // Whether LoopCounters tells how long turns last and posts wait: a look at the clock for each
    // turn and two for each burst of posts.
    bool measure_turns = false;
  };
  // Fails when out of descriptors or memory, or on options out of bounds. Sets SIGPIPE to be
  // ignored if it would kill the process.
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create(Options options);
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create() { return Create(Options()); }

  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  // Destroys the posts that wait, unrun (there are none if it ran to its end), and then what it
  // keeps. Registrations of others must be gone.
  ~EventLoop();

  // Turns until Stop(). Then refuses posts, runs those it had accepted and the ends of turn that
  // they ask for. A loop that has ended stays so: running it again returns at once.
  void Run();
  // One turn, which waits `max_wait` at most, for tests and for other people's loops. False once
  // the loop has ended.
  bool RunOnce(absl::Duration max_wait);
  // Ends Run() after the current turn. Any thread, also before Run(), which then returns at once.
  void Stop() { ref().Stop(); }
  // Any thread, and for as long as you like. A copy, because what it is used for may end the loop
  // before that call is over.
  LoopRef ref() const { return mailbox_; }

  // The time of this turn's events: constant within a turn.
  MonotonicTime now() const LOOP_ONLY { return timers_.now(); }
  TimerWheel& timers() LOOP_ONLY { return timers_; }
  const Clock& clock() const { return *options_.clock; }
  const LoopCounters& counters() const { return counters_; }
  const std::string& name() const { return options_.name; }

  // Calls `handler` whenever `fd` is ready for what `interest` says. Both are borrowed. A
  // descriptor can be watched once at a time. Fails if the poller cannot take it; see
  // Poller::Add().
  absl::StatusOr<Registration> Watch(int fd, Io interest, IoHandler& handler) LOOP_ONLY;
  // A registration that watches nothing: it names `handler`, so that posts can find it, or find it
  // gone; see PostTo().
  Registration Name(IoHandler& handler) LOOP_ONLY;
  // The handler of a registration that still stands, or null.
  IoHandler* Find(Token token) LOOP_ONLY;

  // Destroys `object` at the end of the turn, behind those that were given earlier.
  void DestroyLater(std::unique_ptr<Deferred> object) LOOP_ONLY;
  // Keeps `object` until the loop is destroyed, or Release() gives it to DestroyLater().
  template <typename T>
  T& Keep(std::unique_ptr<T> object) LOOP_ONLY {
    T& kept = *object;
    kept_.push_back({nullptr, std::move(object)});
    return kept;
  }
  void Release(Deferred& object) LOOP_ONLY;
  // The loop's own T, made as T(loop) when first asked for, and kept: for what all connections of a
  // loop share. Destroyed behind all that was given to Keep().
  template <typename T>
  T& Local() LOOP_ONLY;

  // The loop whose turn runs on this thread, or null.
  static EventLoop* Current();
  // What the loop with this pulse is at. False if it does not run on this thread. For StallProbe:
  // async-signal-safe.
  static bool DescribeTurn(const LoopPulse* of, TurnDescription& into);
  // Checks in debug builds that the caller may touch this loop, and tells the analysis so.
  void AssertInLoop() const ABSL_ASSERT_EXCLUSIVE_LOCK(loop_role);

 private:
  friend class Registration;
  class Bell;  // Hears the mailbox's wake-up.

  struct Watched {
    IoHandler* handler = nullptr;
    int fd = -1;
    Io interest = Io::kNone;
  };
  struct Kept {
    const void* type;  // Which Local() it is, or null.
    std::unique_ptr<Deferred> object;
  };

  EventLoop(Options options, std::unique_ptr<Poller> poller, Ref<Mailbox> mailbox);

  void BindToThread();
  void Turn(MonotonicTime limit) LOOP_ONLY;
  void End() LOOP_ONLY;
  MonotonicTime WaitUntil(MonotonicTime limit) LOOP_ONLY;
  int Wait(MonotonicTime until) LOOP_ONLY;
  int WaitFailed(const absl::Status& why) LOOP_ONLY;
  MonotonicTime After(absl::Duration delay) const;
  void Dispatch(const ReadyEvent& event) LOOP_ONLY;
  void CountStale() LOOP_ONLY;
  void RunPosts() LOOP_ONLY;
  void CallEndsOfTurn() LOOP_ONLY;
  void DestroyDeferred() LOOP_ONLY;
  void MeasureTurn() LOOP_ONLY;
  void MeasurePosts() LOOP_ONLY;
  void DestroyKept() LOOP_ONLY;
  absl::Status SetInterest(Token token, Io interest) LOOP_ONLY;
  void EndWatch(Token token, bool closes_fd) LOOP_ONLY;
  Deferred* FindLocal(const void* type) LOOP_ONLY;

  const Options options_;
  const std::unique_ptr<Poller> poller_;
  const LoopRef mailbox_;
  std::thread::id thread_;  // None before it first runs, and after its end.
  LoopCounters counters_;
  TurnPosition position_;

  TimerWheel timers_;
  BusyPoll busy_poll_;
  SlotMap<Watched> watches_;
  std::unique_ptr<Bell> bell_;
  std::vector<ReadyEvent> events_;
  std::vector<Token> end_of_turn_, end_of_turn_now_;
  std::vector<Closure> posts_;
  std::vector<std::unique_ptr<Deferred>> deferred_;
  std::vector<Kept> kept_;
};

// Runs `work` on the loop, with the handler that `token` names there; skipped if that is gone by
// then. Any thread. False as LoopRef::Post().
bool PostTo(const LoopRef& loop, Token token, absl::AnyInvocable<void(IoHandler&) &&> work);

template <typename T>
T& EventLoop::Local() {
  static constexpr char type = 0;  // Its address stands for T.
  if (Deferred* found = FindLocal(&type)) return static_cast<T&>(*found);
  auto made = std::make_unique<T>(*this);
  T& local = *made;
  kept_.push_back({&type, std::move(made)});
  return local;
}

}  // namespace millrace

#endif  // MILLRACE_NET_EVENT_LOOP_H_
