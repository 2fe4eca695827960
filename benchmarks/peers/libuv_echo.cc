// SPDX-License-Identifier: Apache-2.0
//
// The echo server on libuv, as those write it who know it: reads go into one buffer that all
// connections share, uv_try_write sends at once and without a request, and uv_write only what the
// peer does not take yet. (The textbook's malloc and uv_write for each message is half as fast.)

#include <uv.h>

#include <csignal>
#include <memory>
#include <string>
#include <string_view>

#include "benchmarks/peers/frames.h"
#include "benchmarks/peers/peer_main.h"

namespace {

// Larger than what libuv suggests: large messages come in one read, which is worth more than 1.5 of
// the rate at 1 MiB. Small ones touch but its beginning.
constexpr size_t kReceiveBytes = 256 << 10;

struct Server {
  peer::Flags flags;
  uv_loop_t loop;
  std::unique_ptr<char[]> received{new char[kReceiveBytes]};
};

struct Connection {
  uv_tcp_t tcp;
  std::unique_ptr<peer::FrameReader> frames;  // In mode --framed.

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp); }
  uv_handle_t* handle() { return reinterpret_cast<uv_handle_t*>(&tcp); }
  Server& server() { return *static_cast<Server*>(tcp.loop->data); }
};

// What the peer did not take at once.
struct Unsent {
  uv_write_t request;
  std::string bytes;
};

Connection& ConnectionOf(void* handle) {
  return *static_cast<Connection*>(static_cast<uv_handle_t*>(handle)->data);
}

void Close(Connection& connection) {
  if (uv_is_closing(connection.handle())) return;
  uv_close(connection.handle(), [](uv_handle_t* handle) { delete &ConnectionOf(handle); });
}

void OnAlloc(uv_handle_t* handle, size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(ConnectionOf(handle).server().received.get(), kReceiveBytes);
}

void OnRead(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer);

void OnWritten(uv_write_t* request, int status) {
  Connection& connection = ConnectionOf(request->handle);
  delete static_cast<Unsent*>(request->data);
  if (status < 0) return Close(connection);
  if (uv_stream_get_write_queue_size(connection.stream()) > 0) return;
  if (!uv_is_closing(connection.handle())) uv_read_start(connection.stream(), OnAlloc, OnRead);
}

// Until it is written we do not read.
void WriteLater(Connection& connection, std::string_view bytes) {
  auto* const unsent = new Unsent{{}, std::string(bytes)};
  unsent->request.data = unsent;
  uv_buf_t buffer = uv_buf_init(unsent->bytes.data(), static_cast<unsigned>(bytes.size()));
  if (uv_write(&unsent->request, connection.stream(), &buffer, 1, OnWritten) < 0) {
    delete unsent;
    return Close(connection);
  }
  uv_read_stop(connection.stream());
}

void Send(Connection& connection, std::string_view bytes) {
  uv_buf_t buffer =
      uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
  const int sent = uv_try_write(connection.stream(), &buffer, 1);
  if (sent == static_cast<int>(bytes.size())) return;
  if (sent < 0 && sent != UV_EAGAIN) return Close(connection);
  WriteLater(connection, bytes.substr(sent < 0 ? 0 : static_cast<size_t>(sent)));
}

void OnRead(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  Connection& connection = ConnectionOf(stream);
  if (size < 0) return Close(connection);
  const std::string_view bytes(buffer->base, static_cast<size_t>(size));
  if (bytes.empty()) return;
  if (connection.frames == nullptr) return Send(connection, bytes);
  const auto reply = [&](std::string_view frame) {
    if (!uv_is_closing(connection.handle())) Send(connection, frame);
  };
  if (!connection.frames->Take(bytes, reply)) Close(connection);
}

void OnConnection(uv_stream_t* listener, int status) {
  if (status < 0) return;
  auto* const connection = new Connection;
  uv_tcp_init(listener->loop, &connection->tcp);
  connection->tcp.data = connection;
  if (connection->server().flags.framed) connection->frames = std::make_unique<peer::FrameReader>();
  if (uv_accept(listener, connection->stream()) < 0) return Close(*connection);
  uv_read_start(connection->stream(), OnAlloc, OnRead);
}

void StopOn(uv_loop_t& loop, uv_signal_t& watcher, int number) {
  uv_signal_init(&loop, &watcher);
  uv_signal_start(
      &watcher, [](uv_signal_t* signal, int) { uv_stop(signal->loop); }, number);
}

}  // namespace

int main(int argc, char** argv) {
  Server server = {.flags = peer::ParseFlags(argc, argv), .loop = {}};
  uv_loop_init(&server.loop);
  server.loop.data = &server;
  uv_signal_t end, interrupt;
  StopOn(server.loop, end, SIGTERM);
  StopOn(server.loop, interrupt, SIGINT);
  uv_tcp_t listener;
  uv_tcp_init(&server.loop, &listener);
  uv_tcp_open(&listener, peer::Listen(server.flags));
  const int failed =
      uv_listen(reinterpret_cast<uv_stream_t*>(&listener), peer::kBacklog, OnConnection);
  if (failed != 0) peer::Fail("uv_listen", uv_strerror(failed));
  uv_run(&server.loop, UV_RUN_DEFAULT);
}
