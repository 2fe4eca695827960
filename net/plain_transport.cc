// SPDX-License-Identifier: Apache-2.0
#include "net/plain_transport.h"

#include "base/status_macros.h"

namespace millrace {

absl::StatusOr<IoResult> PlainTransport::Read(absl::Span<const iovec> into) {
  return socket_.Read(into);
}

absl::StatusOr<IoResult> PlainTransport::Write(absl::Span<const iovec> from) {
  return socket_.Write(from);
}

absl::StatusOr<IoResult> PlainTransport::SendFile(int file, off_t offset, size_t count) {
  return socket_.SendFile(file, offset, count);
}

absl::StatusOr<IoResult> PlainTransport::CloseWrite() {
  MILLRACE_RETURN_IF_ERROR(socket_.ShutdownWrite());
  return IoResult{};
}

}  // namespace millrace
