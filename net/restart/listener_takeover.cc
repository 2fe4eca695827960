// SPDX-License-Identifier: Apache-2.0
#include "net/restart/listener_takeover.h"

#include <poll.h>
#include <sys/socket.h>

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

// For poll(2): rounded up, or the last wait would be one of many that are too short.
int MillisecondsUntil(MonotonicTime deadline) {
  const auto left = absl::Ceil(deadline - Clock::System().Now(), absl::Milliseconds(1));
  return static_cast<int>(
      std::clamp<int64_t>(absl::ToInt64Milliseconds(left), 0, 24 * 3600 * 1000));
}

absl::Status ToldToEnd() { return absl::CancelledError("told to end before it was ready"); }

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
  LOG(INFO) << "takeover at " << address_ << ": waiting for process " << predecessor_;
  return WriteLine(peer_, kHandoverHello);
}

absl::Status ListenerTakeover::Receive() {
  const MonotonicTime deadline = Clock::System().Now() + options_.answer_timeout;
  std::string text;
  std::vector<UniqueFd> descriptors;
  while (true) {
    MILLRACE_RETURN_IF_ERROR(WaitForAnswer(deadline));
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
  // It would be given the sockets only to close them: then nobody had them.
  if (IsCancelled()) return Named(ToldToEnd());
  const MonotonicTime deadline = Clock::System().Now() + options_.answer_timeout;
  // If it cannot be told, its last word may still be there.
  const absl::Status told = WriteLine(peer_, kHandoverReady);
  const absl::Status answered = WaitForAnswer(deadline);
  // Either `yours` has come, or the old one cannot say it any more, and goes on.
  if (absl::IsCancelled(answered)) shutdown(peer_.fd(), SHUT_RD);
  const std::string text = LastWords();
  // If it only hangs, it shall see when it wakes that we are alive: then this stays open.
  if (answered.ok()) peer_ = Socket();
  const absl::Status refusal = Refusal(text);
  if (!refusal.ok()) return Named(refusal);
  if (text == absl::StrCat(kHandoverYours, "\n")) return absl::OkStatus();
  if (absl::IsCancelled(answered)) return Named(answered);
  LOG(WARNING) << "takeover at " << address_ << ": process " << predecessor_
               << (told.ok() && !answered.ok() ? " does not answer" : " has ended")
               << "; serving in its place";
  return absl::OkStatus();
}

std::string ListenerTakeover::LastWords() {
  const absl::StatusOr<ReceivedDescriptors> words =
      ReceiveWithDescriptors(peer_, kHandoverMessageBytesMax);
  return words.ok() ? words->text : "";
}

bool ListenerTakeover::IsCancelled() const {
  pollfd cancel = {.fd = options_.cancel_fd, .events = POLLIN, .revents = 0};
  return poll(&cancel, 1, 0) > 0;
}

// An answer that is there comes first: it may be the last.
absl::Status ListenerTakeover::WaitForAnswer(MonotonicTime deadline) const {
  while (true) {
    const int milliseconds = MillisecondsUntil(deadline);
    pollfd ready[] = {{.fd = peer_.fd(), .events = POLLIN, .revents = 0},
                      {.fd = options_.cancel_fd, .events = POLLIN, .revents = 0}};
    const int count = poll(ready, 2, milliseconds);
    if (count < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
    if (count > 0) return ready[0].revents != 0 ? absl::OkStatus() : ToldToEnd();
    if (count == 0 && Clock::System().Now() >= deadline) {
      return absl::DeadlineExceededError("the old process does not answer");
    }
  }
}

}  // namespace millrace
