// SPDX-License-Identifier: Apache-2.0
//
// SlotMap gives each value a Token: a slot, and the slot's generation, which changes whenever it is
// emptied. So a token of something gone finds nothing, even when its slot holds something new:
// stale is harmless, and needs no reference count. Values never move. Not synchronised.
//
//   SlotMap<Watch> watches;
//   Token token = watches.Insert({...});
//   if (Watch* watch = watches.Find(token)) ...

#ifndef MILLRACE_BASE_SLOT_MAP_H_
#define MILLRACE_BASE_SLOT_MAP_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/log/check.h"

namespace millrace {

// A name for something in a SlotMap. The default one names nothing, ever.
struct Token {
  uint32_t slot = 0;
  uint32_t generation = 0;

  friend bool operator==(Token, Token) = default;
  template <typename H>
  friend H AbslHashValue(H hash, Token token) {
    return H::combine(std::move(hash), token.slot, token.generation);
  }
};

// T is what an empty slot holds by default: T() must be cheap. A slot is used for `kGenerationMax`
// values and then retired, so that no old token can match again.
template <typename T, uint32_t kGenerationMax = UINT32_MAX - 1>
class SlotMap {
 public:
  SlotMap() = default;
  SlotMap(const SlotMap&) = delete;
  SlotMap& operator=(const SlotMap&) = delete;

  size_t size() const { return size_; }

  // O(1); allocates one page for each kSlotsPerPage values, and gives none back.
  Token Insert(T value) {
    const uint32_t slot = free_.empty() ? AddPage() : free_.back();
    free_.pop_back();
    Slot& place = At(slot);
    place.value = std::move(value);
    ++size_;
    return {slot, place.generation};
  }

  // Null if `token` names nothing that is here now. Valid until it is erased.
  T* Find(Token token) {
    if (token.slot >= slots_) return nullptr;
    Slot& place = At(token.slot);
    return place.generation == token.generation ? &place.value : nullptr;
  }

  // False if `token` names nothing that is here now. The value's destructor may use the map: the
  // token is stale by then, and the slot not yet free.
  bool Erase(Token token) {
    if (Find(token) == nullptr) return false;
    Slot& place = At(token.slot);
    ++place.generation;
    --size_;
    std::exchange(place.value, T());  // Which destroys it, here.
    if (token.generation != kGenerationMax) free_.push_back(token.slot);
    return true;
  }

 private:
  static constexpr size_t kSlotsPerPage = 256;
  static_assert(kGenerationMax < UINT32_MAX, "one is left that no token has");

  struct Slot {
    T value = {};
    uint32_t generation = 1;  // Of the value, or of the next one: no token has that yet.
  };

  Slot& At(uint32_t slot) { return pages_[slot / kSlotsPerPage][slot % kSlotsPerPage]; }

  // Returns the first new slot, which is also the last of free_.
  uint32_t AddPage() {
    const size_t first = slots_;
    CHECK_LE(first + kSlotsPerPage, size_t{UINT32_MAX}) << "slots used up";
    slots_ += kSlotsPerPage;
    pages_.push_back(std::make_unique<Slot[]>(kSlotsPerPage));
    for (size_t i = kSlotsPerPage; i > 0; --i)
      free_.push_back(static_cast<uint32_t>(first + i - 1));
    return static_cast<uint32_t>(first);
  }

  std::vector<std::unique_ptr<Slot[]>> pages_;
  size_t slots_ = 0;
  std::vector<uint32_t> free_;  // The slot freed last is used next: it is still in the cache.
  size_t size_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_BASE_SLOT_MAP_H_
