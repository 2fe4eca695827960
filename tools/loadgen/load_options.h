// SPDX-License-Identifier: Apache-2.0
//
// LoadOptions says what load a run puts on a server: from where, how much, how long. A value.
//
//   LoadOptions options = {.addresses = {SocketAddress::Loopback(7007)}, .connections = 1000};
//   MILLRACE_RETURN_IF_ERROR(options.Check());

#ifndef MILLRACE_TOOLS_LOADGEN_LOAD_OPTIONS_H_
#define MILLRACE_TOOLS_LOADGEN_LOAD_OPTIONS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/socket_address.h"

namespace millrace {

enum class LoadMode {
  kEcho,   // Each connection sends messages and takes them back, until the end.
  kChurn,  // Each connects, sends one message, takes it back and closes, over and over.
  kIdle,   // Each connects, and that is all.
};

// "echo", "churn" or "idle".
absl::string_view LoadModeName(LoadMode mode);
absl::StatusOr<LoadMode> LoadModeNamed(absl::string_view name);

struct LoadOptions {
  std::vector<SocketAddress> addresses = {};  // Connections are spread over them evenly.
  LoadMode mode = LoadMode::kEcho;
  int threads = 0;  // 0: one for each core that this process may use.
  int connections = 100;
  int message_bytes = 64;
  // Each message is four bytes of length, the highest first, and that many bytes: for servers of
  // requests, which reply with the same. message_bytes is all of it, and so 4 or more.
  bool framed = false;
  int pipeline = 1;  // Messages in flight on a connection. Only in mode echo.
  // Messages per second of all connections together, whatever comes back: an open loop, in which
  // latency is measured from when a message was due, also if the pipeline was full then. 0: a
  // closed loop, in which each message that comes back is answered by the next. Only in mode echo.
  int rate = 0;

  // How long is measured, and how long the load is on before that, with all connections open.
  absl::Duration duration = absl::Seconds(10);
  absl::Duration warmup = absl::Seconds(1);

  // How long a connection may take to be made; and how long what is under way at the end may take
  // to come back, and before that, with a rate, what is overdue may take to be sent. They bound the
  // run if the server has stopped to answer.
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration grace = absl::Seconds(5);

  // Whether SIGINT and SIGTERM end the run early, with what was measured so far; a second one ends
  // the process. Only for main(), since signals are the whole process's. See OnLoadInterrupt.
  bool ends_on_signal = false;

  // How long the run may take to end once the load is off.
  absl::Duration ending_max() const {
    return mode == LoadMode::kIdle ? absl::ZeroDuration() : rate > 0 ? 2 * grace : grace;
  }

  // InvalidArgument that says what cannot be, or would be ignored.
  absl::Status Check() const;

  // Of the pattern that is sent.
  uint32_t frame_bytes() const { return framed ? static_cast<uint32_t>(message_bytes) : 0; }
  uint64_t bytes_in_flight_max() const {
    return static_cast<uint64_t>(message_bytes) * static_cast<uint64_t>(pipeline);
  }
};

// Of a connection; what is in flight on it is kept in memory until the kernel takes it.
inline constexpr int kMessageBytesMax = 64 << 20;
inline constexpr int kPipelineMax = 65'536;
inline constexpr int kRateMax = 10'000'000;
inline constexpr uint64_t kBytesInFlightMax = uint64_t{256} << 20;

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_LOAD_OPTIONS_H_
