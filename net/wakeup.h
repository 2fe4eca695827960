// SPDX-License-Identifier: Apache-2.0
//
// Wakeup is the bell of a sleeping loop: an eventfd that the loop watches and others write to.
// Signal() from any thread; the rest belongs to the loop. Whether ringing is needed, the Mailbox
// knows.
//
//   wakeup.Signal();                   // Some thread: wakeup.fd() becomes readable.
//   wakeup.Drain();                    // The loop: and is not any more.

#ifndef MILLRACE_NET_WAKEUP_H_
#define MILLRACE_NET_WAKEUP_H_

#include "absl/status/statusor.h"
#include "base/thread_role.h"
#include "base/unique_fd.h"

namespace millrace {

class Wakeup {
 public:
  // Fails when out of descriptors. See eventfd(2).
  static absl::StatusOr<Wakeup> Create();

  int fd() const { return fd_.get(); }
  // False if the system refuses, which it has no reason to: then nobody was woken.
  bool Signal() const;
  void Drain() const LOOP_ONLY;

 private:
  explicit Wakeup(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_WAKEUP_H_
