// SPDX-License-Identifier: Apache-2.0
//
// What the whole process takes from the heap by operator new, counted: for tests that say what
// allocates and what does not, and who gives back what. Depending on the library is enough to have
// all of a test's allocations counted. Any thread.
//
//   const int64_t before = Allocations();
//   loop.Step();
//   EXPECT_EQ(Allocations() - before, 0);
//
// What malloc() hands out to C code is not in it.

#ifndef MILLRACE_TESTS_SUPPORT_COUNTING_ALLOCATOR_H_
#define MILLRACE_TESTS_SUPPORT_COUNTING_ALLOCATOR_H_

#include <cstdint>

namespace millrace {

// How often something was allocated so far.
int64_t Allocations();

// Bytes that are allocated now, with what the heap rounds them up to.
int64_t AllocatedBytes();

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_COUNTING_ALLOCATOR_H_
