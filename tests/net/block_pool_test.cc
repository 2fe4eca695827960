// SPDX-License-Identifier: Apache-2.0
#include "net/block_pool.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include "absl/base/config.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

constexpr size_t kBlockBytes = 512;

class BlockPoolTest : public testing::Test {
 protected:
  // Takes `n` blocks, and writes each from end to end.
  void Take(int n) {
    for (int i = 0; i < n; ++i) {
      taken_.push_back(pool_.Take());
      std::memset(taken_.back(), 0xee, kBlockBytes);
    }
  }
  // Gives all taken blocks back, in the order in which they were taken.
  void GiveAll() {
    for (void* block : taken_) pool_.Give(block);
    taken_.clear();
  }

  BlockPool pool_{kBlockBytes, /*blocks_kept_max=*/3};
  std::vector<void*> taken_;
};

TEST_F(BlockPoolTest, BeginsWithNothing) {
  EXPECT_EQ(pool_.block_bytes(), kBlockBytes);
  EXPECT_EQ(pool_.in_use(), 0u);
  EXPECT_EQ(pool_.kept(), 0u);
}

TEST_F(BlockPoolTest, BlocksInUseAreDifferent) {
  Take(100);
  EXPECT_EQ(std::set<void*>(taken_.begin(), taken_.end()).size(), 100u);
  EXPECT_EQ(pool_.in_use(), 100u);
  GiveAll();
  EXPECT_EQ(pool_.in_use(), 0u);
}

TEST_F(BlockPoolTest, BlocksAreAlignedForAnything) {
  Take(5);
  for (void* block : taken_) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignof(std::max_align_t), 0u);
  }
  GiveAll();
}

TEST_F(BlockPoolTest, TheLastOneGivenIsTheFirstTaken) {
  Take(3);
  const std::vector<void*> given = taken_;
  GiveAll();
  Take(3);
  EXPECT_EQ(taken_, std::vector<void*>({given[2], given[1], given[0]}));
  GiveAll();
}

TEST_F(BlockPoolTest, KeptBlocksAreCounted) {
  Take(2);
  GiveAll();
  EXPECT_EQ(pool_.kept(), 2u);
  Take(1);
  EXPECT_EQ(pool_.kept(), 1u);
  EXPECT_EQ(pool_.in_use(), 1u);
  Take(5);
  EXPECT_EQ(pool_.kept(), 0u);
  EXPECT_EQ(pool_.in_use(), 6u);
  GiveAll();
}

TEST_F(BlockPoolTest, NoMoreAreKeptThanTheLimit) {
  Take(3);
  GiveAll();
  EXPECT_EQ(pool_.kept(), 3u);
  Take(4);
  GiveAll();
  EXPECT_EQ(pool_.kept(), 3u);
}

TEST_F(BlockPoolTest, KeepsNoneIfNoneMayBeKept) {
  BlockPool pool(kBlockBytes, 0);
  pool.Give(pool.Take());
  EXPECT_EQ(pool.kept(), 0u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(BlockPoolTest, ABlockMayBeAsSmallAsAPointer) {
  BlockPool pool(sizeof(void*), 2);
  void* const a = pool.Take();
  void* const b = pool.Take();
  pool.Give(a);
  pool.Give(b);
  EXPECT_EQ(pool.Take(), b);
  EXPECT_EQ(pool.Take(), a);
  pool.Give(a);
  pool.Give(b);
}

TEST_F(BlockPoolTest, ABlockWithoutRoomForAPointerDies) {
  EXPECT_DEATH(BlockPool(sizeof(void*) - 1, 1), "");
}

TEST_F(BlockPoolTest, DyingBeforeItsBlocksIsCaught) {
  EXPECT_DEATH(
      {
        BlockPool pool(kBlockBytes, 1);
        (void)pool.Take();
      },
      "outlive their pool");
}

TEST_F(BlockPoolTest, MoreGivenThanTakenIsCaught) {
  Take(1);
  void* const block = taken_[0];
  GiveAll();
  EXPECT_DEATH(pool_.Give(block), "given twice");
}

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
TEST_F(BlockPoolTest, TouchingAKeptBlockIsReported) {
  Take(1);
  volatile char* const block = static_cast<volatile char*>(taken_[0]);
  GiveAll();
  EXPECT_DEATH(block[kBlockBytes - 1] = 1, "use-after-poison");
  EXPECT_DEATH(block[0] = 1, "use-after-poison");
}
#endif

}  // namespace
}  // namespace millrace
