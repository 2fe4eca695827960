// SPDX-License-Identifier: Apache-2.0
//
// LoopRef names a loop to other threads: a copyable pointer's worth that is safe to use for ever.
// It does not keep the loop alive; once that is gone, posts are refused. Hold one of your own: to
// refer to somebody else's is to rely on that being there until the call is over.
//
//   LoopRef ref = loop.ref();
//   std::thread([ref] { if (!ref.Post([] { ... })) LOG(INFO) << "too late"; });

#ifndef MILLRACE_NET_LOOP_REF_H_
#define MILLRACE_NET_LOOP_REF_H_

#include <utility>

#include "base/ref.h"
#include "net/loop_pulse.h"
#include "net/mailbox.h"

namespace millrace {

class LoopRef {
 public:
  // Names no loop: every post is refused.
  LoopRef() = default;

  // Runs `work` on the loop in a later turn, also when called on the loop itself; in order with
  // what this thread posted before. False once the loop has stopped, or if Options::posts_max wait
  // already: then `work` was destroyed unrun. True is a promise: it runs before Run() returns.
  bool Post(Closure work) const { return mailbox_ && mailbox_->Post(std::move(work)); }

  // The same, but a full mailbox takes it too: for the few posts that end or resume something, and
  // without which somebody would wait for ever. False only once the loop has stopped.
  bool PostAlways(Closure work) const { return mailbox_ && mailbox_->PostAlways(std::move(work)); }

  // Asks the loop to end its Run(); see EventLoop::Stop().
  void Stop() const {
    if (mailbox_) mailbox_->RequestStop();
  }

  // The loop's sign of life, also when it is gone; null if this names no loop.
  const LoopPulse* pulse() const { return mailbox_ ? &mailbox_->pulse() : nullptr; }

  friend bool operator==(const LoopRef& a, const LoopRef& b) = default;
  template <typename H>
  friend H AbslHashValue(H hash, const LoopRef& ref) {
    return H::combine(std::move(hash), ref.mailbox_);
  }

 private:
  friend class EventLoop;
  explicit LoopRef(Ref<Mailbox> mailbox) : mailbox_(std::move(mailbox)) {}

  Ref<Mailbox> mailbox_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_LOOP_REF_H_
