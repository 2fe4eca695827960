// SPDX-License-Identifier: Apache-2.0
//
// The echo server on libev, which watches descriptors and leaves the rest to us: a watcher inside
// each connection, a read into one buffer that all connections share, a send at once. What the peer
// does not take yet is kept, and the watcher waits for room instead of input.

#include <ev.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <string_view>

#include "benchmarks/peers/frames.h"
#include "benchmarks/peers/peer_main.h"

namespace {

// As large as libuv's, and for its reason.
constexpr size_t kReceiveBytes = 256 << 10;

struct Server {
  peer::Flags flags;
  std::unique_ptr<char[]> received{new char[kReceiveBytes]};
};

struct Connection {
  ev_io watcher;
  std::string unsent = {};                              // While there is some, we do not read.
  std::unique_ptr<peer::FrameReader> frames = nullptr;  // In mode --framed.
  bool broken = false;
};

Server& ServerOf(struct ev_loop* loop) { return *static_cast<Server*>(ev_userdata(loop)); }

void Close(struct ev_loop* loop, Connection* connection) {
  ev_io_stop(loop, &connection->watcher);
  close(connection->watcher.fd);
  delete connection;
}

void WaitFor(struct ev_loop* loop, Connection& connection, int events) {
  ev_io_stop(loop, &connection.watcher);
  ev_io_set(&connection.watcher, connection.watcher.fd, events);
  ev_io_start(loop, &connection.watcher);
}

// Returns how many bytes the peer has taken.
size_t SendSome(Connection& connection, std::string_view bytes) {
  const ssize_t sent = send(connection.watcher.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) connection.broken = true;
  return sent < 0 ? 0 : static_cast<size_t>(sent);
}

void Send(struct ev_loop* loop, Connection& connection, std::string_view bytes) {
  if (!connection.unsent.empty()) return static_cast<void>(connection.unsent.append(bytes));
  const size_t sent = SendSome(connection, bytes);
  if (sent == bytes.size() || connection.broken) return;
  connection.unsent = bytes.substr(sent);
  WaitFor(loop, connection, EV_WRITE);
}

void WriteUnsent(struct ev_loop* loop, Connection& connection) {
  connection.unsent.erase(0, SendSome(connection, connection.unsent));
  if (!connection.unsent.empty()) return;
  connection.unsent.shrink_to_fit();
  WaitFor(loop, connection, EV_READ);
}

// False: its end, or there is a bad frame.
bool ReadSome(struct ev_loop* loop, Connection& connection) {
  char* const received = ServerOf(loop).received.get();
  const ssize_t size = recv(connection.watcher.fd, received, kReceiveBytes, 0);
  if (size <= 0) return size < 0 && (errno == EAGAIN || errno == EINTR);
  const std::string_view bytes(received, static_cast<size_t>(size));
  const auto reply = [&](std::string_view frame) {
    if (!connection.broken) Send(loop, connection, frame);
  };
  if (connection.frames != nullptr) return connection.frames->Take(bytes, reply);
  reply(bytes);
  return true;
}

void OnReady(struct ev_loop* loop, ev_io* watcher, int events) {
  auto* const connection = static_cast<Connection*>(watcher->data);
  bool open = true;
  if ((events & EV_WRITE) != 0) {
    WriteUnsent(loop, *connection);
  } else {
    open = ReadSome(loop, *connection);
  }
  if (!open || connection->broken) Close(loop, connection);
}

void OnListener(struct ev_loop* loop, ev_io* listener, int) {
  while (true) {
    const int fd = accept4(listener->fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    auto* const connection = new Connection;
    if (ServerOf(loop).flags.framed) connection->frames = std::make_unique<peer::FrameReader>();
    ev_io_init(&connection->watcher, OnReady, fd, EV_READ);
    connection->watcher.data = connection;
    ev_io_start(loop, &connection->watcher);
  }
}

void StopOn(struct ev_loop* loop, ev_signal& watcher, int number) {
  const auto stop = [](struct ev_loop* stopped, ev_signal*, int) {
    ev_break(stopped, EVBREAK_ALL);
  };
  ev_signal_init(&watcher, stop, number);
  ev_signal_start(loop, &watcher);
}

}  // namespace

int main(int argc, char** argv) {
  Server server = {.flags = peer::ParseFlags(argc, argv)};
  struct ev_loop* const loop = ev_default_loop(unsigned{EVBACKEND_EPOLL} | EVFLAG_NOENV);
  if (loop == nullptr) peer::Fail("ev_default_loop", "no loop");
  ev_set_userdata(loop, &server);
  ev_signal end, interrupt;
  StopOn(loop, end, SIGTERM);
  StopOn(loop, interrupt, SIGINT);
  ev_io listener;
  ev_io_init(&listener, OnListener, peer::Listen(server.flags), EV_READ);
  ev_io_start(loop, &listener);
  ev_run(loop, 0);
}
