// SPDX-License-Identifier: Apache-2.0
#include "net/restart/listener_takeover.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "absl/log/log.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/monotonic_time.h"
#include "base/status_macros.h"
#include "net/io_result.h"
#include "net/restart/descriptor_message.h"
#include "net/restart/inherited_sockets.h"

namespace millrace {
namespace {

absl::Status WaitToRead(const Socket& socket, MonotonicTime deadline) {
  while (true) {
    const absl::Duration left = deadline - Clock::System().Now();
    const auto rounded_up = absl::Ceil(left, absl::Milliseconds(1));
    const int milliseconds = static_cast<int>(
        std::clamp<int64_t>(absl::ToInt64Milliseconds(rounded_up), 0, 24 * 3600 * 1000));
    pollfd ready = {.fd = socket.fd(), .events = POLLIN, .revents = 0};
    const int count = poll(&ready, 1, milliseconds);
    if (count > 0) return absl::OkStatus();
    if (count < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
    if (count == 0 && left <= absl::Milliseconds(milliseconds)) {
      return absl::DeadlineExceededError("the old process does not answer");
    }
  }
}

absl::Status WriteLine(Socket& socket, absl::string_view line) {
  const std::string text = absl::StrCat(line, "\n");
  const IoResult result = socket.Write(text);
  if (result.kind() == IoResult::kDone && result.bytes() == text.size()) return absl::OkStatus();
  return absl::UnavailableError("the old process has ended");
}

// What the old process said in the place of an answer, if it did.
absl::Status Refusal(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, kHandoverNo)) return absl::OkStatus();
  return absl::AbortedError(
      absl::StrCat("the old process goes on: ", absl::StripSuffix(text, "\n")));
}

}  // namespace

absl::Status ListenerTakeover::Named(const absl::Status& status) const {
  return absl::Status(status.code(),
                      absl::StrCat("takeover at ", address_, ": ", status.message()));
}

absl::StatusOr<ListenerTakeover> ListenerTakeover::From(const SocketAddress& offer,
                                                        Options options) {
  ListenerTakeover takeover(offer, options);
  absl::Status status = takeover.Connect();
  if (absl::IsNotFound(status)) return status;
  if (status.ok()) status = takeover.Receive();
  if (!status.ok()) return takeover.Named(status);
  return takeover;
}

absl::Status ListenerTakeover::Connect() {
  MILLRACE_ASSIGN_OR_RETURN(peer_, Socket::CreateFor(address_));
  const absl::Status status = peer_.Connect(address_).status();
  // No file, or one that a process left which was killed.
  if (absl::IsNotFound(status) || absl::IsUnavailable(status)) {
    return absl::NotFoundError(status.message());
  }
  MILLRACE_RETURN_IF_ERROR(status);
  MILLRACE_ASSIGN_OR_RETURN(const ucred peer, peer_.PeerCredentials());
  if (!options_.is_trusted(peer)) {
    return absl::PermissionDeniedError(absl::StrCat("it belongs to user ", peer.uid));
  }
  predecessor_ = peer.pid;
  return WriteLine(peer_, kHandoverHello);
}

absl::Status ListenerTakeover::Receive() {
  const MonotonicTime deadline = Clock::System().Now() + options_.answer_timeout;
  std::string text;
  std::vector<UniqueFd> descriptors;
  while (true) {
    MILLRACE_RETURN_IF_ERROR(WaitToRead(peer_, deadline));
    MILLRACE_ASSIGN_OR_RETURN(ReceivedDescriptors part,
                              ReceiveWithDescriptors(peer_, kHandoverMessageBytesMax));
    if (part.text.empty()) return absl::UnavailableError("the old process has ended");
    text += part.text;
    std::move(part.descriptors.begin(), part.descriptors.end(), std::back_inserter(descriptors));
    MILLRACE_RETURN_IF_ERROR(Refusal(text));
    MILLRACE_ASSIGN_OR_RETURN(const auto announced, DecodeListeners(text));
    if (announced) return Adopt(*announced, std::move(descriptors));
  }
}

absl::Status ListenerTakeover::Adopt(const std::vector<AnnouncedListener>& announced,
                                     std::vector<UniqueFd> descriptors) {
  if (descriptors.size() != announced.size() + 1) {
    return absl::InvalidArgumentError(absl::StrCat(descriptors.size(), " descriptors came for ",
                                                   announced.size(), " sockets and the offer"));
  }
  MILLRACE_ASSIGN_OR_RETURN(offer_, AdoptListening(std::move(descriptors[0]), "the offer"));
  for (size_t i = 0; i < announced.size(); ++i) {
    const std::string name = announced[i].address.ToPrintable();
    MILLRACE_ASSIGN_OR_RETURN(Socket socket, AdoptListening(std::move(descriptors[i + 1]), name));
    MILLRACE_ASSIGN_OR_RETURN(const SocketAddress real, socket.LocalAddress());
    if (real != announced[i].address) {
      return absl::InvalidArgumentError(absl::StrCat("what is called ", name, " is ", real));
    }
    listeners_.push_back({.socket = std::move(socket), .address = real, .lent = announced[i].lent});
  }
  return absl::OkStatus();
}

absl::Status ListenerTakeover::Finish() {
  const MonotonicTime deadline = Clock::System().Now() + options_.answer_timeout;
  // If it cannot be told, its last word may still be there.
  const absl::Status told = WriteLine(peer_, kHandoverReady);
  const absl::Status answered = WaitToRead(peer_, deadline);
  const absl::StatusOr<ReceivedDescriptors> answer =
      ReceiveWithDescriptors(peer_, kHandoverMessageBytesMax);
  const std::string text = answer.ok() ? answer->text : "";
  // If it only hangs, it shall see when it wakes that we are alive: then this stays open.
  if (answered.ok()) peer_ = Socket();
  const absl::Status refusal = Refusal(text);
  if (!refusal.ok()) return Named(refusal);
  if (text != absl::StrCat(kHandoverYours, "\n")) {
    LOG(WARNING) << "takeover at " << address_ << ": process " << predecessor_
                 << (told.ok() && !answered.ok() ? " does not answer" : " has ended")
                 << "; serving in its place";
  }
  return absl::OkStatus();
}

}  // namespace millrace
