// SPDX-License-Identifier: Apache-2.0
//
// Mailbox is where other threads leave closures for a loop. Whoever holds a LoopRef shares it, so
// it outlives its loop; once closed it refuses. It rings the loop's bell only if the loop may be
// asleep, so a burst of posts costs one system call.
//
// Threads: Post(), RequestStop() and stop_requested() are for any; the rest is the loop's.
//
//   mailbox->Post([] { LOG(INFO) << "on the loop"; });

#ifndef MILLRACE_NET_MAILBOX_H_
#define MILLRACE_NET_MAILBOX_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/monotonic_time.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "net/loop_pulse.h"
#include "net/wakeup.h"

namespace millrace {

// Work for a loop. Move-only captures are fine; up to two words are stored without allocating.
using Closure = absl::AnyInvocable<void() &&>;

class Mailbox final : public RefCounted<Mailbox> {
 public:
  // Post() fills it with `posts_max` closures at most. `stamps`, unless null, tells when the first
  // of a burst came; see first_taken(). It must outlive all posts.
  static absl::StatusOr<Ref<Mailbox>> Create(size_t posts_max, std::string name = "loop",
                                             const Clock* stamps = nullptr);

  // Leaves `work` for the loop, behind all that this thread posted before. False once closed or
  // while full: then `work` stays where it is.
  bool Post(Closure&& work) { return Post(std::move(work), posts_max_); }
  // The same without the bound: false only once closed.
  bool PostAlways(Closure&& work) { return Post(std::move(work), SIZE_MAX); }

  // Asks the loop to stop at the end of its turn. May be called again, and after the end.
  void RequestStop();
  bool stop_requested() const { return stop_requested_.load(std::memory_order_seq_cst); }

  // Called before the loop waits. False if there is mail or a stop: it must not sleep.
  bool PrepareToSleep() LOOP_ONLY;
  // Called after: posts need not ring now.
  void Awake() LOOP_ONLY { may_sleep_.store(false, std::memory_order_relaxed); }

  // Swaps what has come into `into`, which must be empty. One without mail takes no lock.
  void TakeAll(std::vector<Closure>& into) LOOP_ONLY ABSL_LOCKS_EXCLUDED(mutex_) {
    if (has_news_.load(std::memory_order_relaxed)) TakeNews(into);
  }
  // When the first of those came that were taken last, if there is a clock for that.
  MonotonicTime first_taken() const LOOP_ONLY { return first_taken_; }
  // Refuses all posts from now on, and hands out the last ones.
  void Close(std::vector<Closure>& into) LOOP_ONLY ABSL_LOCKS_EXCLUDED(mutex_);

  const Wakeup& wakeup() const { return wakeup_; }
  // The loop's sign of life; here because this outlives the loop.
  LoopPulse& pulse() { return pulse_; }

 private:
  friend class RefCounted<Mailbox>;
  Mailbox(Wakeup wakeup, size_t posts_max, std::string name, const Clock* stamps)
      : wakeup_(std::move(wakeup)),
        posts_max_(posts_max),
        stamps_(stamps),
        pulse_(std::move(name)) {}
  ~Mailbox() = default;

  bool Post(Closure&& work, size_t posts_max) ABSL_LOCKS_EXCLUDED(mutex_);
  void TakeNews(std::vector<Closure>& into) LOOP_ONLY ABSL_LOCKS_EXCLUDED(mutex_);
  // Tells the loop that there is something; rings only if it may be asleep.
  void Nudge();

  const Wakeup wakeup_;
  const size_t posts_max_;
  const Clock* const stamps_;
  // The loop writes it in each turn, so it keeps away from what producers write.
  alignas(ABSL_CACHELINE_SIZE) LoopPulse pulse_;
  MonotonicTime first_taken_;
  alignas(ABSL_CACHELINE_SIZE) std::atomic<bool> stop_requested_{false};

  // These two are Dekker's pair: the loop writes the first and then reads the second, a producer
  // writes the second and then reads the first, all sequentially consistent, so one of them sees
  // the other and no wake-up is lost. stop_requested_ is in that order too: who takes the mark of
  // a stop off has_news_ must see the stop when it looks next.
  std::atomic<bool> may_sleep_{false};
  std::atomic<bool> has_news_{false};
  std::atomic<bool> unheard_{false};  // The bell failed: who comes next rings, too.

  absl::Mutex mutex_;
  std::vector<Closure> posts_ ABSL_GUARDED_BY(mutex_);
  MonotonicTime first_post_ ABSL_GUARDED_BY(mutex_);  // When posts_ ceased to be empty.
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace millrace

#endif  // MILLRACE_NET_MAILBOX_H_
