// SPDX-License-Identifier: Apache-2.0
#include "net/close_reason.h"

#include <string.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

struct Row {
  CloseCause cause;
  absl::string_view name;
  absl::string_view who;
  absl::string_view what;  // Empty: what the status says.
};

constexpr Row kRows[] = {
    {CloseCause::kNone, "none", "open", "not ended"},
    {CloseCause::kPeerEnded, "peer_ended", "peer", "ended"},
    {CloseCause::kHandlerClosed, "handler_closed", "handler", "closed"},
    {CloseCause::kDrainIdle, "drain_idle", "server", "drained it when idle"},
    {CloseCause::kPeerReset, "peer_reset", "peer", "reset"},
    {CloseCause::kPeerLost, "peer_lost", "network", "does not reach the peer"},
    {CloseCause::kTransportFailed, "transport_failed", "transport", ""},
    {CloseCause::kHandshakeFailed, "handshake_failed", "handshake", ""},
    {CloseCause::kFileFailed, "file_failed", "file", ""},
    {CloseCause::kSystemFailed, "system_failed", "system", ""},
    {CloseCause::kHandshakeTimeout, "handshake_timeout", "timeout", ""},
    {CloseCause::kFirstByteTimeout, "first_byte_timeout", "timeout", ""},
    {CloseCause::kMessageTimeout, "message_timeout", "timeout", ""},
    {CloseCause::kRateTimeout, "rate_timeout", "timeout", ""},
    {CloseCause::kReadTimeout, "read_timeout", "timeout", ""},
    {CloseCause::kWriteTimeout, "write_timeout", "timeout", ""},
    {CloseCause::kIdleTimeout, "idle_timeout", "timeout", ""},
    {CloseCause::kLingerTimeout, "linger_timeout", "timeout", ""},
    {CloseCause::kInputLimit, "input_limit", "limit", ""},
    {CloseCause::kOutputLimit, "output_limit", "limit", ""},
    {CloseCause::kSlowConsumer, "slow_consumer", "limit", ""},
    {CloseCause::kMemoryBudget, "memory_budget", "limit", ""},
    {CloseCause::kBadInput, "bad_input", "protocol", ""},
    {CloseCause::kHandlerAborted, "handler_aborted", "handler", ""},
    {CloseCause::kRefused, "refused", "refused", ""},
    {CloseCause::kDrainTimeout, "drain_timeout", "server", ""},
    {CloseCause::kOwnerGone, "owner_gone", "owner", ""},
};

constexpr bool AllInOrder() {
  for (int i = 0; i < kCloseCauses; ++i) {
    if (static_cast<int>(kRows[i].cause) != i) return false;
  }
  return true;
}
static_assert(sizeof(kRows) / sizeof(kRows[0]) == kCloseCauses, "a row for each cause");
static_assert(AllInOrder());

const Row& RowOf(CloseCause cause) { return kRows[static_cast<int>(cause)]; }

std::string NameOfErrno(int error) {
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : absl::StrCat("errno ", error);
}

}  // namespace

absl::string_view NameOf(CloseCause cause) { return RowOf(cause).name; }

std::ostream& operator<<(std::ostream& out, CloseCause cause) { return out << NameOf(cause); }

CloseCause CauseOf(IoResult failed) {
  if (failed.call() == IoCall::kNone) return CloseCause::kTransportFailed;
  switch (failed.error()) {
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:  // Of shutdown(2), if the reset came unnoticed.
      return CloseCause::kPeerReset;
    case ETIMEDOUT:
    case ENETDOWN:
    case ENETRESET:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
      return CloseCause::kPeerLost;
    case EPROTO:
    case EBADMSG:
      return CloseCause::kTransportFailed;
    default:
      break;
  }
  const bool of_file = failed.call() == IoCall::kPread || failed.call() == IoCall::kSendfile;
  return of_file ? CloseCause::kFileFailed : CloseCause::kSystemFailed;
}

std::string CloseReason::ToString() const {
  const Row& row = RowOf(cause);
  absl::string_view what = row.what.empty() ? status.message() : row.what;
  if (what.empty()) what = row.name;
  std::string text = absl::StrCat(row.who, ": ", what);
  if (error != 0) absl::StrAppend(&text, " (", NameOfErrno(error), ")");
  return text;
}

std::ostream& operator<<(std::ostream& out, const CloseReason& reason) {
  return out << reason.ToString();
}

}  // namespace millrace
