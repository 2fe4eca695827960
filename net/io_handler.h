// SPDX-License-Identifier: Apache-2.0
//
// IoHandler hears from its loop; Deferred is what a loop may destroy for others. Both are what the
// classes that live on a loop derive from. Loop-only.
//
// Nothing is destroyed inside its own call: an object that is done hands itself to
// EventLoop::DestroyLater(), and dies at the end of the turn, when no call of it is on the stack.

#ifndef MILLRACE_NET_IO_HANDLER_H_
#define MILLRACE_NET_IO_HANDLER_H_

#include <sys/socket.h>

#include <typeinfo>

#include "base/thread_role.h"
#include "net/poller.h"

namespace millrace {

class Deferred {
 public:
  Deferred() = default;
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;
  virtual ~Deferred() = default;
};

// Who somebody is, for the report of a stalled loop. Plain values, because it is filled in by a
// signal handler: nothing in it is allocated or counted.
struct Description {
  const std::type_info* type = nullptr;  // Whose code it is that runs.
  sockaddr_storage peer;                 // The other end of its connection, if it has one.
  socklen_t peer_bytes = 0;              // 0: it has none.
};

// Borrowed by the loop from EventLoop::Watch() until the Registration dies.
class IoHandler : public Deferred {
 public:
  // `ready` is never kNone, and within the interest. A hang-up or an error makes all of it ready:
  // the system call that follows tells which. May end any registration, its own too.
  virtual void OnIo(Io ready) LOOP_ONLY = 0;

  // Comes at the end of the turn, once for each Registration::CallAtEndOfTurn() in it. One that is
  // asked for by an end of turn, or later, comes in the next turn.
  virtual void OnEndOfTurn() LOOP_ONLY {}

  // Says who this is while one of the calls above does not return. Called by a signal handler on
  // the loop's thread, inside that call and at any instruction of it: so it must be
  // async-signal-safe, which leaves reading members and copying them. See signal-safety(7).
  virtual void Describe(Description& into) const LOOP_ONLY { into.type = &typeid(*this); }
};

}  // namespace millrace

#endif  // MILLRACE_NET_IO_HANDLER_H_
