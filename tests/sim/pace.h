// SPDX-License-Identifier: Apache-2.0
//
// Pace knows how fast a server with rate limits may be, and watches its system calls: in any time
// no more goes than the burst and what came in since, for each connection and for all together, as
// docs/overload.md has it. It counts in its own way, with none of the server's code. Owned by a
// World; for its thread.
//
//   Pace pace({.each = {.read = {.bytes_per_second = 1000}}});
//   pace.OnTransfer(transfer, now, [&](absl::string_view why) { world.Fail(why); });

#ifndef MILLRACE_TESTS_SIM_PACE_H_
#define MILLRACE_TESTS_SIM_PACE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "base/monotonic_time.h"
#include "net/rate_limit.h"
#include "net/sim/sim_network.h"
#include "net/socket_address.h"

namespace millrace {

class Pace {
 public:
  struct Rules {
    RateLimits each = {}, all = {};

    bool on() const { return each.on() || all.on(); }
  };

  explicit Pace(const Rules& rules) : rules_(rules) {}

  // A server's socket has moved bytes.
  void OnTransfer(const SimNetwork::Transfer& transfer, MonotonicTime now,
                  absl::FunctionRef<void(absl::string_view)> broken);
  // What its connection with this peer still reads is dropped, and need not wait.
  void Leave(const SocketAddress& peer) { lines_[peer.ToString()].left = true; }
  // What went so far, under a limit.
  uint64_t bytes(bool read) const { return read ? bytes_read_ : bytes_written_; }

 private:
  // Fills by what goes, and runs out at the rate: above the burst, too much went in some time.
  struct Level {
    double bytes = 0;
    MonotonicTime at;

    // Whether it is still below the burst, and what comes on top of it.
    bool Add(const RateLimit& limit, size_t n, double on_top, MonotonicTime now);
  };
  struct Line {
    Level read, written;
    bool left = false;
  };

  const Rules rules_;
  std::map<std::string, Line> lines_;  // By the peer's address.
  Level all_read_, all_written_;
  uint64_t bytes_read_ = 0, bytes_written_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SIM_PACE_H_
