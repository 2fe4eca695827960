// SPDX-License-Identifier: Apache-2.0
//
// Line is what a soak knows of one connection: what each of its ends has sent, received and heard.
// The bytes of a direction are told by its key and their place, so the receiver can check them
// without being told. Both ends live on one thread, so the model can see both. A value.
//
//   line.client.sent += bytes.size();
//   if (!IsPattern(line.KeyOf(Side::kClient), line.server.received, input)) ...

#ifndef MILLRACE_TESTS_SIM_LINE_H_
#define MILLRACE_TESTS_SIM_LINE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace millrace {

enum class Side : uint8_t { kClient, kServer };

struct Line {
  struct End {
    uint64_t sent = 0, received = 0;
    bool opened = false, closed = false;
    bool heard_end = false;  // Of what the other end sends.
    bool left = false;       // Has closed: it drops what comes.
    absl::Status why;        // Once closed.
  };

  uint64_t key = 0;
  bool echo = false;  // The server sends what it receives.
  End client, server;

  End& end(Side side) { return side == Side::kClient ? client : server; }
  End& other(Side side) { return side == Side::kClient ? server : client; }
  // Of the bytes that this side sends.
  uint64_t KeyOf(Side side) const { return side == Side::kClient || echo ? key : ~key; }
};

// Bytes of the stream with this key, from `offset`.
std::string Pattern(uint64_t key, uint64_t offset, size_t size);
bool IsPattern(uint64_t key, uint64_t offset, absl::string_view bytes);

}  // namespace millrace

#endif  // MILLRACE_TESTS_SIM_LINE_H_
