// SPDX-License-Identifier: Apache-2.0
//
// LOOP_ONLY marks what only a loop's own thread may call. Clang's -Wthread-safety checks it when
// the code is compiled (`--config=clang`): such a method can be called from another one so marked,
// or where AssertOnLoop() says why it is right. To other compilers the mark is a comment.
//
//   class Session {
//     void OnData() LOOP_ONLY { Reply(); }             // Fine: both on the loop.
//     void Reply() LOOP_ONLY;
//   };
//   loop.Post([&session] {
//     AssertOnLoop();                                  // A posted closure runs on the loop.
//     session.Reply();
//   });
//
// The role is one for all loops: it tells loop code from other code, not one loop from another.
// Which loop it is, EventLoop::AssertInLoop() checks in debug builds.

#ifndef MILLRACE_BASE_THREAD_ROLE_H_
#define MILLRACE_BASE_THREAD_ROLE_H_

#include "absl/base/thread_annotations.h"

namespace millrace {

class ABSL_LOCKABLE ThreadRole {};

// What a thread holds while it plays an event loop. A name for the analysis; it has no state.
inline ThreadRole loop_role;

// Tells the analysis, at no cost, that here is loop code.
inline void AssertOnLoop() ABSL_ASSERT_EXCLUSIVE_LOCK(loop_role) {}

}  // namespace millrace

#define LOOP_ONLY ABSL_EXCLUSIVE_LOCKS_REQUIRED(::millrace::loop_role)

#endif  // MILLRACE_BASE_THREAD_ROLE_H_
