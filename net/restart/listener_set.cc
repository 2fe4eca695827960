// SPDX-License-Identifier: Apache-2.0
#include "net/restart/listener_set.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace millrace {
namespace {

bool SameButForPort(const SocketAddress& a, const SocketAddress& b) {
  return a.WithPort(0) == b.WithPort(0);
}

absl::StatusOr<ListenerSet::Listener> Bind(const SocketAddress& address,
                                           const ListenOptions& options) {
  MILLRACE_ASSIGN_OR_RETURN(Socket socket, ListenAt(address, options));
  SocketFile file = SocketFile::Of(address);
  MILLRACE_ASSIGN_OR_RETURN(SocketAddress real, socket.LocalAddress());
  return ListenerSet::Listener{
      .socket = std::move(socket), .address = std::move(real), .file = std::move(file)};
}

}  // namespace

// Moves those of `had` that listen at `wanted` here; with `any_port` all of the first port found.
void ListenerSet::KeepWhere(std::vector<Listener>& had, const SocketAddress& wanted,
                            bool any_port) {
  SocketAddress address = wanted;
  if (any_port) {
    const auto found = std::find_if(had.begin(), had.end(), [&](const Listener& each) {
      return SameButForPort(each.address, wanted);
    });
    if (found == had.end()) return;
    address = found->address;
  }
  const auto others = std::stable_partition(
      had.begin(), had.end(), [&](const Listener& each) { return each.address == address; });
  std::move(had.begin(), others, std::back_inserter(listeners_));
  had.erase(had.begin(), others);
}

absl::StatusOr<ListenerSet> ListenerSet::At(const std::vector<SocketAddress>& wanted,
                                            std::vector<Listener> had,
                                            const ListenOptions& options) {
  // First those who want one port, so that nobody who takes any gets theirs.
  std::vector<ListenerSet> found(wanted.size());
  for (const bool any_port : {false, true}) {
    for (size_t i = 0; i < wanted.size(); ++i) {
      const bool takes_any = wanted[i].port() == 0 && !wanted[i].is_unix();
      if (takes_any == any_port) found[i].KeepWhere(had, wanted[i], any_port);
    }
  }
  ListenerSet set;
  set.unwanted_ = std::move(had);
  for (size_t i = 0; i < wanted.size(); ++i) {
    for (Listener& each : found[i].listeners_) {
      MILLRACE_RETURN_IF_ERROR(SetInherited(each.socket, options));
      set.listeners_.push_back(std::move(each));
    }
    if (!found[i].listeners_.empty()) continue;
    MILLRACE_ASSIGN_OR_RETURN(Listener bound, Bind(wanted[i], options));
    set.listeners_.push_back(std::move(bound));
  }
  return set;
}

absl::StatusOr<ListenerSet> ListenerSet::Of(std::vector<Listener> had,
                                            const ListenOptions& options) {
  if (had.empty()) return absl::InvalidArgumentError("no listening sockets");
  ListenerSet set;
  set.listeners_ = std::move(had);
  for (Listener& each : set.listeners_)
    MILLRACE_RETURN_IF_ERROR(SetInherited(each.socket, options));
  return set;
}

std::vector<SocketAddress> ListenerSet::addresses() const {
  std::vector<SocketAddress> addresses;
  for (const Listener& each : listeners_) {
    if (std::find(addresses.begin(), addresses.end(), each.address) == addresses.end()) {
      addresses.push_back(each.address);
    }
  }
  return addresses;
}

absl::StatusOr<std::vector<Socket>> ListenerSet::Copies() const {
  std::vector<Socket> copies;
  for (const Listener& each : listeners_) {
    UniqueFd copy(fcntl(each.socket.fd(), F_DUPFD_CLOEXEC, 0));
    if (!copy.valid()) return absl::ErrnoToStatus(errno, "dup of a listening socket");
    copies.emplace_back(std::move(copy));
  }
  return copies;
}

void ListenerSet::TakeFiles() {
  for (std::vector<Listener>* list : {&listeners_, &unwanted_}) {
    for (Listener& each : *list) {
      if (!each.lent && !each.file.exists()) each.file = SocketFile::Of(each.address);
    }
  }
  unwanted_.clear();
}

void ListenerSet::LeaveFiles() {
  for (Listener& each : listeners_) each.file.Leave();
}

void ListenerSet::Drop(const SocketAddress& address) {
  const auto is_there = [&](const Listener& each) { return each.address == address; };
  const bool is_one_of_several = std::count_if(listeners_.begin(), listeners_.end(), is_there) > 1;
  std::erase_if(listeners_, [&](const Listener& each) {
    return is_there(each) && (!is_one_of_several || each.socket.IsShutDown());
  });
}

void ListenerSet::Close() {
  listeners_.clear();
  unwanted_.clear();
}

}  // namespace millrace
