// SPDX-License-Identifier: Apache-2.0
//
// ListenerTakeover gets the listening sockets of an older process, which offers them at a Unix
// socket (ListenerHandover). It waits where it must, and never for long: for main(), while the
// program starts and no loop runs yet. Destroyed unfinished, it leaves the old process as it was.
//
//   absl::StatusOr<ListenerTakeover> takeover = ListenerTakeover::From(address, {});
//   if (absl::IsNotFound(takeover.status())) ...          // Nobody is there: we are the first.
//   MILLRACE_ASSIGN_OR_RETURN(auto listeners,
//                             ListenerSet::Of(takeover->TakeListeners(), {}));
//   ...                                                   // Start the server.
//   MILLRACE_RETURN_IF_ERROR(takeover->Finish());         // Now the old one stops accepting.
//   listeners.TakeFiles();

#ifndef MILLRACE_NET_RESTART_LISTENER_TAKEOVER_H_
#define MILLRACE_NET_RESTART_LISTENER_TAKEOVER_H_

#include <sys/socket.h>
#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/unique_fd.h"
#include "net/limits.h"
#include "net/restart/handover_message.h"
#include "net/restart/listener_set.h"
#include "net/socket.h"
#include "net/socket_address.h"

namespace millrace {

class ListenerTakeover {
 public:
  struct Options {
    // Whose sockets we take. A stranger could have made the Unix socket in a folder of all.
    bool (*is_trusted)(const ucred& peer) = IsOwnOrRoot;
    absl::Duration answer_timeout = kHandoverAnswerTimeout;  // For each answer.
    // If given: readable when this process is told to end, a signalfd(2) say. That ends each wait.
    // Borrowed until Finish() has returned.
    int cancel_fd = -1;
  };

  // NotFound if nobody listens at `offer`. Other errors name it: PermissionDenied if that is a
  // stranger's, DeadlineExceeded if nobody answers, Aborted if the old process says no,
  // InvalidArgument if it says what it should not, Cancelled if this one is told to end.
  static absl::StatusOr<ListenerTakeover> From(const SocketAddress& offer, Options options);

  ListenerTakeover(ListenerTakeover&&) = default;
  ListenerTakeover& operator=(ListenerTakeover&&) = default;

  // Without their files: those are the old one's until Finish(). Once.
  std::vector<ListenerSet::Listener> TakeListeners() { return std::move(listeners_); }
  // The offer's own socket, to offer the sockets to the next process in turn. Once.
  Socket TakeOffer() { return std::move(offer_); }
  pid_t predecessor() const { return predecessor_; }

  // Says that we serve. OK: the sockets are ours, also if the old process has died or hangs by now;
  // keep this object as long as you serve, so that one that hangs can still hear of it. Aborted: it
  // goes on, because we were late, and so we must not. Cancelled: we were told to end before the
  // sockets were ours; the old one goes on.
  absl::Status Finish();

 private:
  ListenerTakeover(const SocketAddress& address, Options options)
      : address_(address), options_(options) {}

  absl::Status Connect();
  absl::Status Receive();
  absl::Status Adopt(const std::vector<AnnouncedListener>& announced,
                     std::vector<UniqueFd> descriptors);
  bool IsCancelled() const;
  absl::Status WaitForAnswer(MonotonicTime deadline) const;
  std::string LastWords();
  absl::Status Named(const absl::Status& status) const;

  SocketAddress address_;
  Options options_;
  Socket peer_;
  pid_t predecessor_ = 0;
  Socket offer_;
  std::vector<ListenerSet::Listener> listeners_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_RESTART_LISTENER_TAKEOVER_H_
