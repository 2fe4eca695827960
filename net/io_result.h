// SPDX-License-Identifier: Apache-2.0
//
// IoResult says how far reading or writing got. A value of one register: what each message asks
// for twice must cost next to nothing, so a failure is carried as its errno and becomes a Status
// only when somebody asks for it.
//
//   const IoResult result = socket.Read(room);
//   if (result.kind() == IoResult::kDone) Take(room.first(result.bytes()));
//   if (!result.ok()) LOG(ERROR) << result.status();       // "recv: Connection reset by peer"

#ifndef MILLRACE_NET_IO_RESULT_H_
#define MILLRACE_NET_IO_RESULT_H_

#include <cstddef>
#include <cstdint>
#include <ostream>

#include "absl/status/status.h"

namespace millrace {

// Which call failed, for its name to be told.
enum class IoCall : uint8_t { kNone, kRecv, kSend, kSendfile, kPread, kShutdown };

class IoResult {
 public:
  enum Kind : uint8_t {
    kDone,       // Made progress: bytes() were moved. More may be possible at once.
    kWantRead,   // Nothing moved; try again when the socket is readable.
    kWantWrite,  // Nothing moved; try again when the socket is writable.
    kEnd,        // There is nothing more to come, in good order.
    kFailed,     // Broken, and stays so: status() tells why.
  };

  // Requires: bytes < 2^56.
  constexpr IoResult(Kind kind = kDone, size_t bytes = 0)
      : value_(uint64_t{kind} << kKindShift | bytes) {}
  // Requires: `error` is an errno.
  static constexpr IoResult Failed(IoCall call, int error) {
    return {kFailed, static_cast<size_t>(call) << 32 | static_cast<uint32_t>(error)};
  }

  constexpr Kind kind() const { return static_cast<Kind>(value_ >> kKindShift); }
  // Of kFailed it means nothing.
  constexpr size_t bytes() const { return value_ & ((uint64_t{1} << kKindShift) - 1); }

  bool ok() const { return kind() != kFailed; }
  // Of kFailed only: which call, and its errno.
  constexpr IoCall call() const { return static_cast<IoCall>(bytes() >> 32); }
  constexpr int error() const { return static_cast<int>(static_cast<uint32_t>(bytes())); }
  // What errno means, behind the name of the call; OK if it did not fail.
  absl::Status status() const;

  friend bool operator==(const IoResult&, const IoResult&) = default;
  friend std::ostream& operator<<(std::ostream& out, const IoResult& result);

 private:
  static constexpr int kKindShift = 56;

  uint64_t value_;  // The kind, and below it the bytes, or what failed: of kDone just the bytes.
};

static_assert(sizeof(IoResult) == 8, "one register");

}  // namespace millrace

#endif  // MILLRACE_NET_IO_RESULT_H_
