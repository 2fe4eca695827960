// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/load/chat_load_options.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace millrace {
namespace {

absl::Status CheckRange(absl::string_view name, int value, int min, int max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be ", min, " to ", max, ", not ", value));
}

absl::Status CheckAddresses(const std::vector<SocketAddress>& addresses) {
  if (addresses.empty()) return absl::InvalidArgumentError("there is no address to connect to");
  for (const SocketAddress& address : addresses) {
    if (!address.is_any()) continue;
    return absl::InvalidArgumentError(absl::StrCat(address, " is not one address to connect to"));
  }
  return absl::OkStatus();
}

// If rooms are spread over threads, each thread keeps the order of all messages.
absl::Status CheckLogBytes(const ChatLoadOptions& options) {
  const int copies = options.rooms < options.threads_used() ? options.threads_used() : 1;
  const double messages = options.rate * absl::ToDoubleSeconds(options.warmup + options.duration);
  if (messages * copies * sizeof(int64_t) <= kRoomLogBytesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("rate and duration make ", static_cast<int64_t>(messages),
                   " messages, and the order of no more than ",
                   kRoomLogBytesMax / sizeof(int64_t) / copies, " can be kept"));
}

}  // namespace

absl::Status ChatLoadOptions::Check() const {
  absl::Status status = CheckAddresses(addresses);
  status.Update(CheckRange("threads", threads, 1, 1024));
  status.Update(CheckRange("members", members, 1, 1'000'000));
  status.Update(CheckRange("rooms", rooms, 1, 1'000'000));
  status.Update(CheckRange("rate", rate, 1, 10'000'000));
  status.Update(
      CheckRange("message_bytes", message_bytes, kChatTextHeaderBytes, kChatTextBytesMax));
  if (status.ok() && rooms > members) {
    status = absl::InvalidArgumentError(absl::StrCat("rooms must not be more than members: ", rooms,
                                                     " rooms for ", members, " members"));
  }
  if (status.ok() && duration <= absl::ZeroDuration()) {
    status = absl::InvalidArgumentError("duration must be more than 0");
  }
  if (status.ok()) status = CheckLogBytes(*this);
  return status;
}

std::string MemberName(int member) { return absl::StrCat("load", member); }

std::string RoomName(int room) { return absl::StrCat("room", room); }

std::string DescribeMessage(const ChatLoadOptions& options, int64_t message) {
  return absl::StrCat(MemberName(options.sender_of(message)), "'s message ",
                      options.sequence_of(message) + 1);
}

}  // namespace millrace
