// SPDX-License-Identifier: Apache-2.0
//
// Poller is the seam beside the loop: it waits until some of many descriptors are ready. EventLoop
// owns one; epoll is the usual one, and every implementation passes poller_contract_test. A Poller
// borrows the descriptors. Loop-only.
//
// It is level-triggered: what is ready and left alone is reported again by the next Wait(). What is
// reported is a Token that the caller chose, never a descriptor: the number may have been closed
// and given to somebody else by the time the event is looked at, but a token then matches nothing.
//
//   CHECK_OK(poller.Add(socket.fd(), Io::kRead, token));
//   std::array<ReadyEvent, 128> events;
//   absl::StatusOr<int> count = poller.Wait(clock, until, absl::MakeSpan(events));

#ifndef MILLRACE_NET_POLLER_H_
#define MILLRACE_NET_POLLER_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/monotonic_time.h"
#include "base/slot_map.h"

namespace millrace {

// What one waits for, and what is ready. A set of two bits.
enum class Io : uint8_t { kNone = 0, kRead = 1, kWrite = 2, kReadWrite = 3 };

constexpr Io operator|(Io a, Io b) {
  return static_cast<Io>(static_cast<uint8_t>(a) | static_cast<uint8_t>(b));
}
constexpr Io operator&(Io a, Io b) {
  return static_cast<Io>(static_cast<uint8_t>(a) & static_cast<uint8_t>(b));
}
// All but those in `a`.
constexpr Io operator~(Io a) {
  return static_cast<Io>(static_cast<uint8_t>(Io::kReadWrite) & ~static_cast<uint8_t>(a));
}
constexpr Io& operator|=(Io& a, Io b) { return a = a | b; }
constexpr Io& operator&=(Io& a, Io b) { return a = a & b; }
constexpr bool Any(Io io) { return io != Io::kNone; }

struct ReadyEvent {
  Token token;
  // A hang-up or an error counts as ready for both, also for what was not asked for: the caller
  // masks it by what it waits for now, and learns the rest from read() or write().
  Io ready = Io::kNone;
};

class Poller {
 public:
  Poller() = default;
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  virtual ~Poller() = default;

  // Starts watching `fd`. AlreadyExists if it is watched; other errors when the system is out of
  // room, or the descriptor cannot be watched. A failed Add changes nothing.
  // Requires: `interest` is not kNone. A descriptor that nobody waits on is taken out, because its
  // hang-up would be reported for ever while nobody wants to hear of it.
  virtual absl::Status Add(int fd, Io interest, Token token) = 0;

  // Replaces what is watched for, and the token. NotFound if `fd` is not watched.
  // Requires: `interest` is not kNone.
  virtual absl::Status Modify(int fd, Io interest, Token token) = 0;

  // Stops watching `fd`, which stays open. From now on no Wait() reports it, ready or not.
  // Requires: `fd` is watched, and open.
  virtual void Remove(int fd) = 0;

  // The same for a descriptor that the caller closes before the next Wait(), which may save a
  // system call: the kernel drops it with the last descriptor of its file, so there must be no
  // duplicate of it, here or in a child process.
  virtual void Forget(int fd) { Remove(fd); }

  // Waits until something is ready, or `clock` says `until`: for ever if that is InfiniteFuture(),
  // not at all if it is past, as MonotonicTime() always is. Returns how many events were put into
  // `out`: 0 when the time has come, when a signal came, and now and then for no reason. If more
  // are ready than fit, the next calls bring the others: nobody is starved. Allocates nothing once
  // warm. That it is given an instant, and not how long, lets it leave a timer of the system
  // standing from wait to wait, and look at no clock.
  // Requires: `out` is not empty. It is given the same clock each time.
  virtual absl::StatusOr<int> Wait(const Clock& clock, MonotonicTime until,
                                   absl::Span<ReadyEvent> out) = 0;

  // As PollerNamed() takes it.
  virtual absl::string_view name() const = 0;
};

// Makes a Poller for each loop. A std::function because several loops copy it.
using PollerFactory = std::function<absl::StatusOr<std::unique_ptr<Poller>>()>;

// How long it is until then, as poll(2) takes it: milliseconds, or -1 for ever. Rounded up, since a
// loop woken before its timer is due would only go to sleep again.
inline int PollTimeoutMilliseconds(const Clock& clock, MonotonicTime until) {
  if (until == MonotonicTime::InfiniteFuture()) return -1;
  if (until == MonotonicTime()) return 0;
  constexpr int64_t kMax = std::numeric_limits<int>::max();
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(until - clock.Now());  // Saturates.
  if (nanoseconds <= 0) return 0;
  const int64_t milliseconds = (nanoseconds - 1) / 1'000'000 + 1;
  return static_cast<int>(milliseconds < kMax ? milliseconds : kMax);
}

}  // namespace millrace

#endif  // MILLRACE_NET_POLLER_H_
