// SPDX-License-Identifier: Apache-2.0
//
// ListenerSet holds a program's listening sockets, wherever they come from: bound here, inherited
// from a service manager, or taken over from an older process. A server gets copies of them
// (TcpServer::Options::listeners), so the originals can be handed on to the next process. The files
// of Unix sockets are the set's: it removes them in the end, unless they are left. Owned by main();
// one thread at a time.
//
//   MILLRACE_ASSIGN_OR_RETURN(ListenerSet listeners, ListenerSet::At(addresses, {}, {}));
//   MILLRACE_ASSIGN_OR_RETURN(options.listeners, listeners.Copies());
//   ...
//   listeners.Close();                         // With TcpServer::Drain(): else people still come.

#ifndef MILLRACE_NET_RESTART_LISTENER_SET_H_
#define MILLRACE_NET_RESTART_LISTENER_SET_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/acceptor.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/socket_file.h"

namespace millrace {

class ListenerSet {
 public:
  struct Listener {
    Socket socket;
    SocketAddress address;  // With its real port.
    bool lent = false;      // Somebody else made it, who keeps it and its file: systemd.
    SocketFile file = {};
  };

  ListenerSet() = default;
  ListenerSet(ListenerSet&&) = default;
  ListenerSet& operator=(ListenerSet&&) = default;
  // As Close().
  ~ListenerSet() = default;

  // Keeps of `had` what listens at one of `wanted`, several sockets of an address too; binds what
  // is wanted and not there. A wanted port 0 is met by any port of that address. What is not wanted
  // stays open, unused, until TakeFiles(). The order is that of `wanted`. Fails as ListenAt().
  static absl::StatusOr<ListenerSet> At(const std::vector<SocketAddress>& wanted,
                                        std::vector<Listener> had, const ListenOptions& options);
  // All of `had`, with what `options` say of connections. Fails if there is none.
  static absl::StatusOr<ListenerSet> Of(std::vector<Listener> had, const ListenOptions& options);

  const std::vector<Listener>& listeners() const { return listeners_; }
  // Each once, in order.
  std::vector<SocketAddress> addresses() const;
  // Of all sockets, for a server to adopt. Fails when out of descriptors.
  absl::StatusOr<std::vector<Socket>> Copies() const;

  // What was taken over is ours now: so are its files, but for lent ones, and what was not wanted
  // is closed, with its file.
  void TakeFiles();
  // Others listen there from now on, and their files are theirs.
  void LeaveFiles();
  // A server has closed its copy of one that listened at `address`, because that was shut down:
  // closes it here, too, with its file if that is ours. Of several sockets there, all that are shut
  // down. An address that is not here is fine.
  void Drop(const SocketAddress& address);
  // Closes all, and removes the files that are ours. Copies go on listening.
  void Close();

 private:
  void KeepWhere(std::vector<Listener>& had, const SocketAddress& wanted, bool any_port);

  std::vector<Listener> listeners_;
  std::vector<Listener> unwanted_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_RESTART_LISTENER_SET_H_
