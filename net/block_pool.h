// SPDX-License-Identifier: Apache-2.0
//
// BlockPool lends blocks of memory of one size, and keeps some of those given back for who asks
// next. The last one given is the first one taken, because its bytes are still in the cache. Each
// loop has its own. Loop-only, not synchronised: one thread at a time. It outlives its blocks.
//
//   BlockPool pool(/*block_bytes=*/16 * 1024, /*blocks_kept_max=*/64);
//   void* block = pool.Take();
//   ...
//   pool.Give(block);
//
// Under AddressSanitizer kept blocks are poisoned, so touching one that was given back is reported.

#ifndef MILLRACE_NET_BLOCK_POOL_H_
#define MILLRACE_NET_BLOCK_POOL_H_

#include <cstddef>

namespace millrace {

class BlockPool {
 public:
  // Allocates nothing yet. Requires: a block has room for a pointer.
  explicit BlockPool(size_t block_bytes, size_t blocks_kept_max);
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  // Requires: every block was given back.
  ~BlockPool();

  // A block of block_bytes() with whatever bytes in it, aligned as operator new aligns. O(1).
  [[nodiscard]] void* Take();
  // Requires: `block` was taken from this pool and not given back since. O(1). Beyond
  // `blocks_kept_max` kept ones it is freed at once.
  void Give(void* block);

  size_t block_bytes() const { return block_bytes_; }
  size_t in_use() const { return in_use_; }  // Taken and not yet given back.
  size_t kept() const { return kept_; }      // Given back and not freed.

 private:
  // What lies at the start of a kept block.
  struct Kept {
    Kept* next;
  };

  void* PopKept();

  const size_t block_bytes_;
  const size_t blocks_kept_max_;
  size_t in_use_ = 0;
  size_t kept_ = 0;
  Kept* first_kept_ = nullptr;
};

}  // namespace millrace

#endif  // MILLRACE_NET_BLOCK_POOL_H_
