// SPDX-License-Identifier: Apache-2.0
//
// Ref<T> is one of several owners of a T that derives from RefCounted<T>: the last one deletes it.
// For the few things that outlive each of the threads that use them, such as a loop's mailbox. The
// count is in the object, so a Ref is one word, and two of those fit into a closure without an
// allocation. Copies may be made and dropped on any thread; one Ref is for one thread at a time.
//
//   class Mailbox : public RefCounted<Mailbox> { ... };
//   Ref<Mailbox> mailbox(new Mailbox());
//   std::thread([mailbox] { mailbox->Post(...); });
//
// Not for what has one owner: there a unique_ptr says so, and others hold a reference or a handle.

#ifndef MILLRACE_BASE_REF_H_
#define MILLRACE_BASE_REF_H_

#include <atomic>
#include <utility>

namespace millrace {

template <typename T>
class Ref;

// Befriend it if the destructor is private, which keeps others from deleting.
template <typename T>
class RefCounted {
 public:
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

 protected:
  RefCounted() = default;
  ~RefCounted() = default;

 private:
  friend class Ref<T>;
  void AddReference() { references_.fetch_add(1, std::memory_order_relaxed); }
  void DropReference() {
    // What other owners did to the object happens before it is deleted.
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete static_cast<T*>(this);
  }

  std::atomic<int> references_{0};
};

template <typename T>
class Ref {
 public:
  Ref() = default;  // Of nothing.
  explicit Ref(T* object) : object_(object) {
    if (object_ != nullptr) object_->RefCounted<T>::AddReference();
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) object_->RefCounted<T>::DropReference();
  }

  T* get() const { return object_; }
  T& operator*() const { return *object_; }
  T* operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

  friend bool operator==(const Ref&, const Ref&) = default;
  template <typename H>
  friend H AbslHashValue(H hash, const Ref& ref) {
    return H::combine(std::move(hash), ref.object_);
  }

 private:
  T* object_ = nullptr;
};

}  // namespace millrace

#endif  // MILLRACE_BASE_REF_H_
