// SPDX-License-Identifier: Apache-2.0
//
// PlainTransport hands bytes to the socket as they are. Owned by its TcpConnection. Loop-only.
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
  absl::StatusOr<IoResult> Handshake() override LOOP_ONLY { return IoResult{}; }
  absl::StatusOr<IoResult> Read(absl::Span<const iovec> into) override LOOP_ONLY;
  absl::StatusOr<IoResult> Write(absl::Span<const iovec> from) override LOOP_ONLY;
  absl::StatusOr<IoResult> SendFile(int file, off_t offset, size_t count) override LOOP_ONLY;
  absl::StatusOr<IoResult> CloseWrite() override LOOP_ONLY;

 private:
  Socket socket_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_PLAIN_TRANSPORT_H_
