// SPDX-License-Identifier: Apache-2.0
//
// The echo server on Asio: each connection reads into a buffer of its own, writes it back, and
// reads again. Its sockets name their executor's type, and the context is told that there is one
// thread, which saves calls through pointers, and locks.

#include <asio.hpp>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "benchmarks/peers/frames.h"
#include "benchmarks/peers/peer_main.h"

namespace {

using asio::ip::tcp;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;

constexpr size_t kReceiveBytes = 64 << 10;

// Each step owns the session until it is done, and hands it to the next.
struct Session {
  Session(Socket accepted, bool is_framed) : socket(std::move(accepted)), framed(is_framed) {}

  Socket socket;
  const bool framed;
  size_t capacity = kReceiveBytes;
  // Pages that nothing is read into are never touched.
  std::unique_ptr<char[]> buffer{new char[kReceiveBytes]};
  size_t begin = 0, end = 0;  // Of what was read and not answered.

  std::string_view unread() const { return {buffer.get() + begin, end - begin}; }

  // Moves what was read to the front, and makes room for a frame of `bytes`.
  void MakeRoom(size_t bytes) {
    const std::string_view rest = unread();
    if (bytes > capacity) {
      std::unique_ptr<char[]> larger(new char[bytes]);
      std::memcpy(larger.get(), rest.data(), rest.size());
      buffer = std::move(larger);
      capacity = bytes;
    } else if (begin > 0 && !rest.empty()) {
      std::memmove(buffer.get(), rest.data(), rest.size());
    }
    begin = 0;
    end = rest.size();
  }
};
using OwnedSession = std::unique_ptr<Session>;

void Answer(OwnedSession owned);

// An error, as the peer's end is one, ends the session by not handing it on.
void Read(OwnedSession owned) {
  Session& session = *owned;
  const asio::mutable_buffer room(session.buffer.get() + session.end,
                                  session.capacity - session.end);
  session.socket.async_read_some(
      room, [owned = std::move(owned)](std::error_code error, size_t size) mutable {
        if (error) return;
        owned->end += size;
        Answer(std::move(owned));
      });
}

void Write(OwnedSession owned, size_t size) {
  Session& session = *owned;
  const asio::const_buffer bytes(session.buffer.get() + session.begin, size);
  asio::async_write(session.socket, bytes,
                    [owned = std::move(owned)](std::error_code error, size_t written) mutable {
                      if (error) return;
                      owned->begin += written;
                      Answer(std::move(owned));
                    });
}

// Sends all that was read, or the reply to the first request of it; reads if there is none.
void Answer(OwnedSession owned) {
  Session& session = *owned;
  const std::string_view unread = session.unread();
  if (!session.framed && !unread.empty()) return Write(std::move(owned), unread.size());
  const size_t frame_bytes = peer::FrameBytes(unread);
  if (frame_bytes == peer::kBadFrame) return;
  if (frame_bytes > 0 && frame_bytes <= unread.size()) return Write(std::move(owned), frame_bytes);
  session.MakeRoom(frame_bytes);
  Read(std::move(owned));
}

void Accept(Acceptor& acceptor, bool framed) {
  acceptor.async_accept([&acceptor, framed](std::error_code error, Socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) Read(std::make_unique<Session>(std::move(socket), framed));
    Accept(acceptor, framed);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const peer::Flags flags = peer::ParseFlags(argc, argv);
  asio::io_context context(1);
  asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait([&context](std::error_code, int) { context.stop(); });
  Acceptor acceptor(context.get_executor(), tcp::v4(), peer::Listen(flags));
  acceptor.non_blocking(true);
  Accept(acceptor, flags.framed);
  context.run();
}
