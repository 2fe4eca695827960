// SPDX-License-Identifier: Apache-2.0
//
// Succession is where a server program gets its listening sockets from, and who gets them next, so
// that nobody is refused while a new version takes the place of the old one: from the service
// manager (LISTEN_FDS), from an older process that offers its own at --takeover=PATH, or else bound
// here. And this one offers them at PATH in turn. Owned by ServerMain(), on the main loop's thread;
// it must go before the loop does.
//
//   Succession succession(*main, settings, std::move(inherited), std::move(told_to_end));
//   MILLRACE_RETURN_IF_ERROR(succession.Listen());
//   ...                                               // Start the server on succession.Copies().
//   MILLRACE_RETURN_IF_ERROR(succession.Begin([&](pid_t successor) { ...drain... }));

#ifndef MILLRACE_EXAMPLES_SERVER_SUCCESSION_H_
#define MILLRACE_EXAMPLES_SERVER_SUCCESSION_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/thread_role.h"
#include "base/unique_fd.h"
#include "net/event_loop.h"
#include "net/restart/inherited_sockets.h"
#include "net/restart/listener_handover.h"
#include "net/restart/listener_set.h"
#include "net/restart/listener_takeover.h"
#include "net/socket.h"
#include "net/socket_address.h"

namespace millrace {

class Succession {
 public:
  struct Settings {
    std::vector<SocketAddress> addresses;  // --listen, or where to listen without.
    bool addresses_given = false;          // By --listen: then these, and no others.
    std::optional<SocketAddress> offer;    // --takeover.
  };

  // `told_to_end` is readable when a signal says so, which the main loop will hear when it runs: a
  // takeover ends then, before the old process has given up its place.
  Succession(EventLoop& main, const Settings& settings, std::vector<InheritedSocket> inherited,
             UniqueFd told_to_end);
  Succession(const Succession&) = delete;
  Succession& operator=(const Succession&) = delete;

  // Gets the sockets. Whoever connects from now on waits for the server.
  absl::Status Listen() LOOP_ONLY;
  std::vector<SocketAddress> addresses() const { return listeners_.addresses(); }
  absl::StatusOr<std::vector<Socket>> Copies() const { return listeners_.Copies(); }
  // Whom the sockets were taken over from, if from anybody.
  std::optional<pid_t> predecessor() const;

  // The server runs: the old process may stop accepting, and the next one may come. An error means
  // that this one must end, since the old one goes on. `on_handed_over` is told of the next one,
  // when that serves in our place; the sockets are closed by then.
  absl::Status Begin(absl::AnyInvocable<void(pid_t successor)> on_handed_over) LOOP_ONLY;
  // The server's listener at `address` was shut down, and closed for good: nobody is to get that
  // socket from here. A new process that wants the address binds it anew.
  void Forget(const SocketAddress& address) LOOP_ONLY;
  // The server is to end, without anybody in its place.
  void End() LOOP_ONLY;

 private:
  absl::Status TakeOver() LOOP_ONLY;
  absl::Status Offer(absl::AnyInvocable<void(pid_t successor)> on_handed_over) LOOP_ONLY;

  EventLoop& main_;
  const Settings settings_;
  std::vector<InheritedSocket> inherited_;
  UniqueFd told_to_end_;
  std::optional<ListenerTakeover> takeover_;
  ListenerSet listeners_;
  std::unique_ptr<ListenerHandover> handover_;
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_SERVER_SUCCESSION_H_
