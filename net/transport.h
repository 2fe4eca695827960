// SPDX-License-Identifier: Apache-2.0
//
// Transport is the seam below a connection: what carries its bytes. PlainTransport hands them to
// the socket as they are; TLS is another. Owned by its TcpConnection. Loop-only. Every
// implementation passes transport_contract_test.
//
//   const IoResult result = transport.Read(room);
//   if (!result.ok()) Close(transport.WhyFailed(result));      // Broken, and stays so.
//   if (result.kind() == IoResult::kWantRead) WaitUntilReadable();
//
// kWantRead and kWantWrite say what the descriptor must be ready for before the same call can get
// further; a transport that encrypts may need to write in order to read.

#ifndef MILLRACE_NET_TRANSPORT_H_
#define MILLRACE_NET_TRANSPORT_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/thread_role.h"
#include "net/io_result.h"
#include "net/socket.h"

namespace millrace {

class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  // Closes the socket. What was written is still delivered, and then the peer reads kEnd, unless
  // ResetOnClose() said otherwise.
  virtual ~Transport() = default;

  // For its descriptor, options and addresses: not to be read from or written to.
  virtual Socket& socket() = 0;

  // Called until it says kDone, before anything else.
  virtual IoResult Handshake() LOOP_ONLY = 0;
  // kDone with 1 or more bytes; kEnd, from then on, when the peer ended its stream in good order.
  // What there is no room for makes the descriptor readable again: nothing is held back in secret.
  virtual IoResult Read(absl::Span<char> into) LOOP_ONLY = 0;
  // kDone with what was taken: less than offered only if there is no more room.
  virtual IoResult Write(absl::Span<const iovec> from) LOOP_ONLY = 0;
  // One piece.
  IoResult Write(absl::string_view bytes) LOOP_ONLY {
    const iovec from = {const_cast<char*>(bytes.data()), bytes.size()};
    return Write({&from, 1});
  }
  // Sends up to `count` (> 0) bytes of `file` from `offset`. kEnd if the file ends there. Here:
  // reads a piece and writes it.
  virtual IoResult SendFile(int file, off_t offset, size_t count) LOOP_ONLY;
  // Ends our stream; the peer reads kEnd after all that was written. Called until it says kDone.
  virtual IoResult CloseWrite() LOOP_ONLY = 0;
  // What the last call's kFailed means. Here: what its errno means; who knows more says so.
  virtual absl::Status WhyFailed(const IoResult& result) LOOP_ONLY { return result.status(); }
};

// Makes the transport of a new connection. Empty means plain. Several loops call it at once.
using TransportFactory =
    absl::AnyInvocable<absl::StatusOr<std::unique_ptr<Transport>>(Socket socket) const>;

}  // namespace millrace

#endif  // MILLRACE_NET_TRANSPORT_H_
