// SPDX-License-Identifier: Apache-2.0
//
// IntrusiveList chains objects that carry their own links: putting in and taking out is O(1) and
// never allocates, and an object that is destroyed takes itself out. The list borrows; it owns
// nothing. An object may be in several lists if it has a link, with a tag of its own, for each. Not
// synchronised: one thread at a time.
//
//   struct Session : ListLink<> { ... };
//   IntrusiveList<Session> sessions;
//   sessions.PushBack(session);
//   while (!sessions.empty()) Close(sessions.front());   // Whose destructor unlinks it.

#ifndef MILLRACE_BASE_INTRUSIVE_LIST_H_
#define MILLRACE_BASE_INTRUSIVE_LIST_H_

#include "absl/log/check.h"

namespace millrace {

// One pair of links. Derive from it; `Tag` tells several of one object apart.
template <typename Tag = void>
class ListLink {
 public:
  ListLink() = default;
  ListLink(const ListLink&) = delete;
  ListLink& operator=(const ListLink&) = delete;
  ~ListLink() { Unlink(); }

  bool linked() const { return next_ != this; }

  // Takes this out of whatever list it is in, if any.
  void Unlink() {
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = this;
  }

 private:
  template <typename T, typename U>
  friend class IntrusiveList;

  ListLink* prev_ = this;
  ListLink* next_ = this;
};

template <typename T, typename Tag = void>
class IntrusiveList {
 public:
  IntrusiveList() = default;
  // What is still in it is unlinked, not destroyed.
  ~IntrusiveList() { Clear(); }

  bool empty() const { return !head_.linked(); }

  // Requires: not empty.
  T& front() {
    DCHECK(!empty());
    return static_cast<T&>(*head_.next_);
  }
  T& back() {
    DCHECK(!empty());
    return static_cast<T&>(*head_.prev_);
  }

  // Requires: `item` is in no list by this link.
  void PushBack(T& item) {
    Link& link = item;
    DCHECK(!link.linked());
    link.prev_ = head_.prev_;
    link.next_ = &head_;
    head_.prev_->next_ = &link;
    head_.prev_ = &link;
  }

  // Requires: not empty. Takes the first one out and returns it.
  T& PopFront() {
    T& item = front();
    static_cast<Link&>(item).Unlink();
    return item;
  }
  // The same for the last one.
  T& PopBack() {
    T& item = back();
    static_cast<Link&>(item).Unlink();
    return item;
  }

  // Moves all of `other` behind what is here, in order. O(1).
  void TakeAll(IntrusiveList& other) {
    if (other.empty()) return;
    Link* first = other.head_.next_;
    Link* last = other.head_.prev_;
    other.head_.prev_ = other.head_.next_ = &other.head_;
    first->prev_ = head_.prev_;
    head_.prev_->next_ = first;
    last->next_ = &head_;
    head_.prev_ = last;
  }

  void Clear() {
    while (!empty()) head_.next_->Unlink();
  }

  // Calls `visit(T&)` for each in order. `visit` may unlink or destroy the one it is given, and add
  // at the end (whether that is visited too is left open); it must not touch the next one's links.
  template <typename Visitor>
  void ForEach(Visitor visit) {
    for (Link* link = head_.next_; link != &head_;) {
      Link* next = link->next_;
      visit(static_cast<T&>(*link));
      link = next;
    }
  }

 private:
  using Link = ListLink<Tag>;

  Link head_;
};

}  // namespace millrace

#endif  // MILLRACE_BASE_INTRUSIVE_LIST_H_
