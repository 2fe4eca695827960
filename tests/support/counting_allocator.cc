// SPDX-License-Identifier: Apache-2.0
#include "tests/support/counting_allocator.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace millrace {
namespace {

std::atomic<int64_t> allocations{0};
std::atomic<int64_t> allocated_bytes{0};

void* Counted(void* block) {
  if (block == nullptr) std::abort();  // As in a program without exceptions.
  allocations.fetch_add(1, std::memory_order_relaxed);
  allocated_bytes.fetch_add(malloc_usable_size(block), std::memory_order_relaxed);
  return block;
}

void* Allocate(size_t bytes) { return Counted(std::malloc(bytes == 0 ? 1 : bytes)); }

void* Allocate(size_t bytes, std::align_val_t alignment) {
  const size_t unit = static_cast<size_t>(alignment);
  return Counted(std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit));
}

void Free(void* block) {
  if (block == nullptr) return;
  allocated_bytes.fetch_sub(malloc_usable_size(block), std::memory_order_relaxed);
  std::free(block);
}

}  // namespace

int64_t Allocations() { return allocations.load(std::memory_order_relaxed); }

int64_t AllocatedBytes() { return allocated_bytes.load(std::memory_order_relaxed); }

}  // namespace millrace

using millrace::Allocate;
using millrace::Free;

void* operator new(size_t bytes) { return Allocate(bytes); }
void* operator new[](size_t bytes) { return Allocate(bytes); }
void* operator new(size_t bytes, std::align_val_t unit) { return Allocate(bytes, unit); }
void* operator new[](size_t bytes, std::align_val_t unit) { return Allocate(bytes, unit); }
void operator delete(void* block) noexcept { Free(block); }
void operator delete[](void* block) noexcept { Free(block); }
void operator delete(void* block, size_t) noexcept { Free(block); }
void operator delete[](void* block, size_t) noexcept { Free(block); }
void operator delete(void* block, std::align_val_t) noexcept { Free(block); }
void operator delete[](void* block, std::align_val_t) noexcept { Free(block); }
void operator delete(void* block, size_t, std::align_val_t) noexcept { Free(block); }
void operator delete[](void* block, size_t, std::align_val_t) noexcept { Free(block); }
