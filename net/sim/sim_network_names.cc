// SPDX-License-Identifier: Apache-2.0
//
// Who is called what, who listens where, and the options of a socket.
#include <errno.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/sim/sim_network.h"

namespace millrace {
namespace {

// net.core.somaxconn: no queue is longer.
constexpr unsigned int kBacklogMax = 4096;

bool IsUnspecified(const SocketAddress& address) {
  const std::string text = address.ToString();
  return absl::StartsWith(text, "[::]:") || absl::StartsWith(text, "0.0.0.0:");
}

}  // namespace

int SimNetwork::GiveName(const SocketAddress& name, sockaddr* address, socklen_t* bytes) {
  sockaddr_storage storage;
  const socklen_t size = name.ToSockaddr(storage);
  std::memcpy(address, &storage, std::min(*bytes, size));
  *bytes = size;
  return 0;
}

// Whether a socket that is bound to `address` means `family` too.
bool SimNetwork::Covers(const SimSocket& socket, const SocketAddress& address) {
  if (socket.local.port() != address.port()) return false;
  if (socket.local == address) return true;
  return IsUnspecified(socket.local) &&
         (socket.family == address.family() || (socket.family == AF_INET6 && !socket.only_ipv6));
}

bool SimNetwork::IsTaken(const SimSocket& socket) const {
  return std::any_of(sockets_.begin(), sockets_.end(), [&](const auto& other) {
    return other != nullptr && other.get() != &socket && other->bound &&
           !(other->reuse_port && socket.reuse_port) &&
           (Covers(*other, socket.local) || Covers(socket, other->local));
  });
}

// Starts at 40,000 again when all are used up.
uint16_t SimNetwork::TakePort() {
  const uint16_t port = next_port_++;
  if (next_port_ == 0) next_port_ = kFirstPort;
  return port;
}

int SimNetwork::Bind(int fd, const sockaddr* address, socklen_t bytes) {
  SimSocket* const socket = FindSocket(fd);
  if (socket == nullptr) return -1;
  if (socket->bound || socket->state != State::kNew) return Fail(EINVAL);
  absl::StatusOr<SocketAddress> local = SocketAddress::FromSockaddr(address, bytes);
  if (!local.ok() || address->sa_family != socket->family) return Fail(EAFNOSUPPORT);
  socket->local = *std::move(local);
  return socket->local.port() == 0 ? BindToAnyPort(*socket) : BindToLocal(*socket);
}

int SimNetwork::BindToLocal(SimSocket& socket) {
  if (IsTaken(socket)) return Fail(EADDRINUSE);
  socket.bound = true;
  return 0;
}

int SimNetwork::BindToAnyPort(SimSocket& socket) {
  for (int tries = kFirstPort; tries <= UINT16_MAX; ++tries) {
    socket.local = socket.local.WithPort(TakePort());
    if (BindToLocal(socket) == 0) return 0;
  }
  return -1;
}

// Who is not bound is bound to a free port, as connect(2) does it too.
int SimNetwork::Listen(int fd, int backlog) {
  SimSocket* const socket = FindSocket(fd);
  if (socket == nullptr) return -1;
  if (socket->state != State::kNew && socket->state != State::kListening) return Fail(EINVAL);
  if (!socket->bound) {
    socket->local =
        SocketAddress::Parse(socket->family == AF_INET6 ? "[::]:0" : "0.0.0.0:0").value();
    if (BindToAnyPort(*socket) != 0) return -1;
  }
  socket->state = State::kListening;
  socket->backlog = std::min(static_cast<unsigned int>(backlog), kBacklogMax);
  NoteOf(*socket, "listens");
  return 0;
}

int SimNetwork::SetOption(int fd, int level, int option, const void* value, socklen_t bytes) {
  SimSocket* const socket = FindSocket(fd);
  if (socket == nullptr) return -1;
  int number = 0;
  std::memcpy(&number, value, std::min<size_t>(bytes, sizeof(number)));
  if (level == SOL_SOCKET && option == SO_LINGER) {
    linger how = {};
    std::memcpy(&how, value, std::min<size_t>(bytes, sizeof(how)));
    socket->resets_on_close = how.l_onoff != 0 && how.l_linger == 0;
  }
  if (level == SOL_SOCKET && option == SO_REUSEPORT) socket->reuse_port = number != 0;
  if (level == IPPROTO_IPV6 && option == IPV6_V6ONLY) socket->only_ipv6 = number != 0;
  return 0;
}

int SimNetwork::GetOption(int fd, int level, int option, void* value, socklen_t* bytes) {
  SimSocket* const socket = FindSocket(fd);
  if (socket == nullptr) return -1;
  std::memset(value, 0, *bytes);
  int number = 0;
  if (level == SOL_SOCKET && option == SO_ERROR) number = std::exchange(socket->error, 0);
  if (level == SOL_SOCKET && option == SO_DOMAIN) number = socket->family;
  if (level == SOL_SOCKET && option == SO_PEERCRED) return Fail(ENOPROTOOPT);
  if (level == IPPROTO_IPV6 && option == IPV6_V6ONLY) number = socket->only_ipv6;
  std::memcpy(value, &number, std::min<size_t>(*bytes, sizeof(number)));
  return 0;
}

int SimNetwork::LocalName(int fd, sockaddr* address, socklen_t* bytes) {
  const SimSocket* const socket = FindSocket(fd);
  return socket == nullptr ? -1 : GiveName(socket->local, address, bytes);
}

int SimNetwork::PeerName(int fd, sockaddr* address, socklen_t* bytes) {
  SimSocket* const socket = FindSocket(fd);
  if (socket == nullptr) return -1;
  if (socket->state != State::kOpen) return Fail(ENOTCONN);
  return GiveName(socket->peer, address, bytes);
}

SocketAddress SimNetwork::AddressOfClient(int family) {
  const std::string host =
      absl::StrCat(family == AF_INET6 ? "[fd00::" : "10.0.0.", 1 + random_.Below(250),
                   family == AF_INET6 ? "]:" : ":", TakePort());
  return SocketAddress::Parse(host).value();
}

// Of several that share a port, any.
SimNetwork::SimSocket* SimNetwork::FindListener(const SocketAddress& address) {
  std::vector<SimSocket*> found;
  for (const auto& socket : sockets_) {
    if (socket == nullptr || socket->state != State::kListening) continue;
    if (Covers(*socket, address)) found.push_back(socket.get());
  }
  return found.empty() ? nullptr : found[random_.Below(found.size())];
}

}  // namespace millrace
