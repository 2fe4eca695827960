// SPDX-License-Identifier: Apache-2.0
#include "net/connection_owner.h"

#include <algorithm>
#include <memory>

#include "absl/log/check.h"

namespace millrace {

BudgetShare* ConnectionMemory::Join(const Ref<MemoryBudget>& budget) {
  if (!budget) return nullptr;
  const auto found = std::find_if(shares_.begin(), shares_.end(), [&](const Shared& shared) {
    return &shared.share->budget() == budget.get();
  });
  if (found == shares_.end()) {
    shares_.push_back({std::make_unique<BudgetShare>(loop_, budget), 1});
    return shares_.back().share.get();
  }
  ++found->users;
  return found->share.get();
}

void ConnectionMemory::Leave(const BudgetShare* share) {
  if (share == nullptr) return;
  const auto found = std::find_if(shares_.begin(), shares_.end(), [&](const Shared& shared) {
    return shared.share.get() == share;
  });
  CHECK(found != shares_.end()) << "left twice";
  if (--found->users == 0) shares_.erase(found);
}

}  // namespace millrace
