// SPDX-License-Identifier: Apache-2.0
#include "tests/support/peer.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "absl/log/check.h"

namespace millrace {
namespace {

// Only so that a test whose peer never answers fails and does not hang.
constexpr int kSafetyNetMilliseconds = 30'000;

}  // namespace

Peer Peer::ConnectedTo(const SocketAddress& address) {
  Peer peer(Socket::CreateFor(address).value());
  const IoResult result = peer.socket_.Connect(address).value();
  if (result.kind() == IoResult::kWantWrite) CHECK(peer.WaitFor(POLLOUT)) << "connect hangs";
  // One that was connected may have been reset since; and asking takes the error away.
  const absl::Status error = peer.socket_.TakeError();
  peer.reset_ = error == absl::ErrnoToStatus(ECONNRESET, "socket error");
  CHECK(error.ok() || peer.reset_) << error;
  return peer;
}

bool Peer::WaitFor(short events) {
  pollfd fd = {.fd = socket_.fd(), .events = events, .revents = 0};
  int count;
  do {
    count = poll(&fd, 1, kSafetyNetMilliseconds);
  } while (count < 0 && errno == EINTR);
  return count == 1;
}

size_t Peer::SendSome(absl::string_view bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = send(socket_.fd(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n > 0) sent += static_cast<size_t>(n);
    if (n < 0 && errno != EINTR) break;
  }
  return sent;
}

void Peer::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    bytes.remove_prefix(SendSome(bytes));
    if (!bytes.empty() && !WaitFor(POLLOUT)) return;
  }
}

std::string Peer::ReceiveSome() {
  std::vector<char> room(1 << 16);
  std::string received;
  while (!ended_ && !reset_) {
    const ssize_t n = recv(socket_.fd(), room.data(), room.size(), 0);
    if (n > 0) received.append(room.data(), static_cast<size_t>(n));
    if (n == 0) ended_ = true;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) reset_ = true;
  }
  return received;
}

std::string Peer::Receive(size_t n) {
  std::string received;
  while (received.size() < n && !ended_ && !reset_) {
    std::string room(n - received.size(), '\0');
    const ssize_t got = recv(socket_.fd(), room.data(), room.size(), 0);
    if (got > 0) received.append(room, 0, static_cast<size_t>(got));
    if (got == 0) ended_ = true;
    if (got < 0 && errno == EAGAIN && !WaitFor(POLLIN)) break;
    if (got < 0 && errno != EAGAIN && errno != EINTR) reset_ = true;
  }
  return received;
}

std::string Peer::ReceiveAll() {
  std::string received = ReceiveSome();
  while (!ended_ && !reset_ && WaitFor(POLLIN)) received += ReceiveSome();
  return received;
}

void Peer::CloseWrite() {
  // The other end may have reset the connection already.
  if (shutdown(socket_.fd(), SHUT_WR) != 0) CHECK_EQ(errno, ENOTCONN);
}

void Peer::Reset() {
  socket_.ResetOnClose();
  Close();
}

}  // namespace millrace
