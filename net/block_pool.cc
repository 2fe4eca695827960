// SPDX-License-Identifier: Apache-2.0
#include "net/block_pool.h"

#include <new>

#include "absl/base/config.h"
#include "absl/log/check.h"

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) static_cast<void>(0)
#define ASAN_UNPOISON_MEMORY_REGION(address, size) static_cast<void>(0)
#endif

namespace millrace {

BlockPool::BlockPool(size_t block_bytes, size_t blocks_kept_max)
    : block_bytes_(block_bytes), blocks_kept_max_(blocks_kept_max) {
  CHECK_GE(block_bytes, sizeof(Kept));
}

BlockPool::~BlockPool() {
  CHECK_EQ(in_use_, size_t{0}) << "blocks outlive their pool";
  while (first_kept_ != nullptr) ::operator delete(PopKept());
}

void* BlockPool::Take() {
  void* const block = first_kept_ != nullptr ? PopKept() : ::operator new(block_bytes_);
  ++in_use_;
  return block;
}

void BlockPool::Give(void* block) {
  DCHECK_NE(block, nullptr);
  DCHECK_NE(block, first_kept_) << "given twice";
  CHECK_GT(in_use_, size_t{0}) << "given twice, or not ours";
  --in_use_;
  if (kept_ == blocks_kept_max_) return ::operator delete(block);
  first_kept_ = new (block) Kept{first_kept_};
  ++kept_;
  ASAN_POISON_MEMORY_REGION(block, block_bytes_);
}

void* BlockPool::PopKept() {
  ASAN_UNPOISON_MEMORY_REGION(first_kept_, block_bytes_);
  void* const block = first_kept_;
  first_kept_ = first_kept_->next;
  --kept_;
  return block;
}

}  // namespace millrace
