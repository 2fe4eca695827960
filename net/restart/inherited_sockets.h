// SPDX-License-Identifier: Apache-2.0
//
// The listening sockets that a service manager, such as systemd, made for this process and started
// it with: descriptors from 3 on, told by LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES in the
// environment (sd_listen_fds(3)). They stay open there when the process ends, so nobody is refused
// while it is started anew. For main(), before other threads start: it changes the environment.
//
//   MILLRACE_ASSIGN_OR_RETURN(std::vector<InheritedSocket> sockets, TakeInheritedSockets());
//   for (InheritedSocket& each : sockets) options.listeners.push_back(std::move(each.socket));

#ifndef MILLRACE_NET_RESTART_INHERITED_SOCKETS_H_
#define MILLRACE_NET_RESTART_INHERITED_SOCKETS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "net/socket.h"

namespace millrace {

struct InheritedSocket {
  Socket socket;     // Listens; non-blocking and close-on-exec.
  std::string name;  // As LISTEN_FDNAMES has it; empty without.
};

// None if the environment says nothing, or speaks to another process. Takes the variables out of
// the environment in any case, so that no child takes them for its own. An error names the variable
// or the descriptor that is wrong; more than kListenersMax are one, too.
absl::StatusOr<std::vector<InheritedSocket>> TakeInheritedSockets();

// Takes over what came from elsewhere: made non-blocking and close-on-exec. InvalidArgument, naming
// it as `what`, if it is not a stream socket that listens, TCP or Unix.
absl::StatusOr<Socket> AdoptListening(UniqueFd fd, absl::string_view what);

}  // namespace millrace

#endif  // MILLRACE_NET_RESTART_INHERITED_SOCKETS_H_
