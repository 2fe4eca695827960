// SPDX-License-Identifier: Apache-2.0
#include "net/mailbox.h"

#include <utility>

#include "absl/log/check.h"
#include "base/status_macros.h"

namespace millrace {

absl::StatusOr<Ref<Mailbox>> Mailbox::Create(size_t posts_max, std::string name,
                                             const Clock* stamps) {
  MILLRACE_ASSIGN_OR_RETURN(Wakeup wakeup, Wakeup::Create());
  return Ref<Mailbox>(new Mailbox(std::move(wakeup), posts_max, std::move(name), stamps));
}

bool Mailbox::Post(Closure&& work, size_t posts_max) {
  absl::MutexLock lock(&mutex_);
  if (closed_ || posts_.size() >= posts_max) return false;
  posts_.push_back(std::move(work));
  // What comes behind the first one is taken with it. Under the lock, or those behind would depend
  // on a thread that may be kept from saying so.
  const bool is_first = posts_.size() == 1;
  if (is_first && stamps_ != nullptr) first_post_ = stamps_->Now();
  if (is_first || unheard_.load(std::memory_order_relaxed)) Nudge();
  return true;
}

void Mailbox::RequestStop() {
  stop_requested_.store(true, std::memory_order_seq_cst);
  Nudge();
}

void Mailbox::Nudge() {
  has_news_.store(true, std::memory_order_seq_cst);
  // Read first: the exchange would take the cache line from the loop with every post of a burst.
  if (!may_sleep_.load(std::memory_order_seq_cst) || !may_sleep_.exchange(false)) return;
  const bool rang = wakeup_.Signal();
  unheard_.store(!rang, std::memory_order_relaxed);
  if (!rang) may_sleep_.store(true);  // It still does, so the next one has to ring.
}

bool Mailbox::PrepareToSleep() {
  may_sleep_.store(true, std::memory_order_seq_cst);
  return !has_news_.load(std::memory_order_seq_cst);
}

void Mailbox::TakeNews(std::vector<Closure>& into) {
  DCHECK(into.empty());
  // Cleared before the posts are taken: one that comes between the two is taken now, and leaves a
  // mark that costs a look next turn. The other way round its mark would be lost.
  has_news_.store(false, std::memory_order_seq_cst);
  absl::MutexLock lock(&mutex_);
  into.swap(posts_);
  first_taken_ = first_post_;
}

void Mailbox::Close(std::vector<Closure>& into) {
  DCHECK(into.empty());
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  into.swap(posts_);
}

}  // namespace millrace
