// SPDX-License-Identifier: Apache-2.0
#include "net/io_result.h"

#include <ostream>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace millrace {
namespace {

absl::string_view NameOf(IoCall call) {
  switch (call) {
    case IoCall::kRecv:
      return "recv";
    case IoCall::kSend:
      return "send";
    case IoCall::kSendfile:
      return "sendfile";
    case IoCall::kPread:
      return "pread";
    case IoCall::kShutdown:
      return "shutdown";
    case IoCall::kNone:
      break;
  }
  return "";
}

absl::string_view NameOf(IoResult::Kind kind) {
  switch (kind) {
    case IoResult::kDone:
      return "done";
    case IoResult::kWantRead:
      return "wants to read";
    case IoResult::kWantWrite:
      return "wants to write";
    case IoResult::kEnd:
      return "end";
    case IoResult::kFailed:
      break;
  }
  return "failed";
}

}  // namespace

absl::Status IoResult::status() const {
  if (ok()) return absl::OkStatus();
  const auto call = static_cast<IoCall>(bytes() >> 32);
  return absl::ErrnoToStatus(static_cast<int>(static_cast<uint32_t>(bytes())), NameOf(call));
}

std::ostream& operator<<(std::ostream& out, const IoResult& result) {
  if (!result.ok()) return out << result.status();
  return out << NameOf(result.kind()) << ", " << result.bytes() << " bytes";
}

}  // namespace millrace
