// SPDX-License-Identifier: Apache-2.0
//
// PlainTransport hands bytes to the socket as they are. Every TcpConnection has one, and uses it
// unless it was given another: so the commonest transport costs no allocation, and the compiler
// sees through its calls. Loop-only.
//
//   auto transport = std::make_unique<PlainTransport>(std::move(socket));

#ifndef MILLRACE_NET_PLAIN_TRANSPORT_H_
#define MILLRACE_NET_PLAIN_TRANSPORT_H_

#include <utility>

#include "net/transport.h"

namespace millrace {

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(Socket socket) : socket_(std::move(socket)) {}

  Socket& socket() override { return socket_; }
  IoResult Handshake() override LOOP_ONLY { return {}; }
  IoResult Read(absl::Span<char> into) override LOOP_ONLY { return socket_.Read(into); }
  IoResult Write(absl::Span<const iovec> from) override LOOP_ONLY { return socket_.Write(from); }
  IoResult Write(absl::string_view bytes) LOOP_ONLY { return socket_.Write(bytes); }
  IoResult SendFile(int file, off_t offset, size_t count) override LOOP_ONLY {
    return socket_.SendFile(file, offset, count);
  }
  IoResult CloseWrite() override LOOP_ONLY { return socket_.ShutdownWrite(); }

 private:
  Socket socket_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_PLAIN_TRANSPORT_H_
