// SPDX-License-Identifier: Apache-2.0
#include "net/restart/listener_handover.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "net/io_result.h"
#include "net/restart/descriptor_message.h"

namespace millrace {
namespace {

// What the new process says is shorter than that.
constexpr size_t kLineBytesMax = 64;

// False if the peer is gone. Otherwise a short word into an empty socket always fits.
bool Say(Socket& peer, absl::string_view line) {
  const std::string text = absl::StrCat(line, "\n");
  return peer.Write(text).kind() == IoResult::kDone;
}

}  // namespace

ListenerHandover::ListenerHandover(EventLoop& loop, Socket offer, ListenerSet& listeners,
                                   Options options)
    : loop_(loop),
      offer_(std::move(offer)),
      listeners_(listeners),
      options_(std::move(options)),
      timer_(loop.timers(), [this] {
        AssertOnLoop();
        OnTimer();
      }) {}

absl::StatusOr<std::unique_ptr<ListenerHandover>> ListenerHandover::Offer(EventLoop& loop,
                                                                          Socket offer,
                                                                          ListenerSet& listeners,
                                                                          Options options) {
  if (listeners.listeners().size() > static_cast<size_t>(kListenersMax)) {
    return absl::InvalidArgumentError(absl::StrCat(
        listeners.listeners().size(), " sockets cannot be handed over, only ", kListenersMax));
  }
  UniqueFd copy(fcntl(offer.fd(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return absl::ErrnoToStatus(errno, "dup of a listening socket");
  auto handover =
      absl::WrapUnique(new ListenerHandover(loop, std::move(offer), listeners, std::move(options)));
  MILLRACE_ASSIGN_OR_RETURN(
      handover->acceptor_,
      Acceptor::Adopt(loop, Socket(std::move(copy)),
                      [self = handover.get()](Socket socket, const SocketAddress&) {
                        AssertOnLoop();
                        self->OnAccept(std::move(socket));
                      }));
  return handover;
}

ListenerHandover::~ListenerHandover() {
  AssertOnLoop();
  Stop();
}

void ListenerHandover::Stop() {
  if (waiting_ == Waiting::kForReady) LeaveFiles();
  if (acceptor_ != nullptr) acceptor_->StopListening();
  EndSession();
  offer_file_.Remove();
}

void ListenerHandover::LeaveFiles() {
  listeners_.LeaveFiles();
  offer_file_.Leave();
}

void ListenerHandover::OnAccept(Socket socket) {
  const absl::StatusOr<ucred> peer = socket.PeerCredentials();
  if (!peer.ok() || !options_.is_trusted(*peer)) {
    counters_.refused.Increment();
    LOG_EVERY_N_SEC(WARNING, 5) << "takeover at " << acceptor_->address() << " refused to user "
                                << (peer.ok() ? absl::StrCat(peer->uid) : "unknown");
    return;
  }
  acceptor_->Pause();
  peer_ = std::move(socket);
  peer_pid_ = peer->pid;
  waiting_ = Waiting::kForHello;
  timer_.Arm(options_.hello_timeout);
  absl::StatusOr<Registration> registration = loop_.Watch(peer_.fd(), Io::kRead, *this);
  if (!registration.ok()) return Fail(registration.status().message());
  registration_ = *std::move(registration);
}

void ListenerHandover::OnTimer() {
  const Waiting waited = waiting_;
  // Where the loop stood still, what was said in time is not yet heard.
  OnIo(Io::kRead);
  if (waiting_ != waited) return;
  Fail(waited == Waiting::kForHello ? "it says nothing" : "it takes too long to start");
}

void ListenerHandover::OnIo(Io) {
  char bytes[kLineBytesMax];
  const IoResult result = peer_.Read(absl::MakeSpan(bytes));
  if (result.kind() == IoResult::kWantRead) return;
  if (result.kind() != IoResult::kDone) return Fail("it has ended");
  input_.append(bytes, result.bytes());
  const size_t end = input_.find('\n');
  if (end == input_.npos && input_.size() < kLineBytesMax) return;
  // Each line is answered before the next one may come.
  if (end != input_.size() - 1) return Fail("it speaks another language");
  const std::string line = std::exchange(input_, {});
  OnLine(absl::string_view(line).substr(0, end));
}

void ListenerHandover::OnLine(absl::string_view line) {
  if (waiting_ == Waiting::kForReady && line == kHandoverReady) return HandOver();
  if (waiting_ != Waiting::kForHello || line != kHandoverHello) {
    return Fail("it speaks another language");
  }
  const absl::Status status = SendListeners();
  if (!status.ok()) return Fail(status.message());
  waiting_ = Waiting::kForReady;
  timer_.Arm(options_.ready_timeout);
  LOG(INFO) << "process " << peer_pid_ << " takes over; waiting until it is ready";
}

absl::Status ListenerHandover::SendListeners() {
  std::vector<AnnouncedListener> announced;
  std::vector<int> descriptors = {offer_.fd()};
  for (const ListenerSet::Listener& each : listeners_.listeners()) {
    announced.push_back({.address = each.address, .lent = each.lent});
    descriptors.push_back(each.socket.fd());
  }
  return SendWithDescriptors(peer_, EncodeListeners(announced), descriptors);
}

void ListenerHandover::HandOver() {
  // It may have died since it said that it was ready. One that lives keeps its end open.
  if (!Say(peer_, kHandoverYours)) return Fail("it has ended");
  LeaveFiles();
  acceptor_->StopListening();
  EndSession();
  counters_.handed_over.Increment();
  if (options_.on_handed_over) options_.on_handed_over(peer_pid_);
}

void ListenerHandover::Fail(absl::string_view reason) {
  counters_.failed.Increment();
  LOG_EVERY_N_SEC(WARNING, 1) << "takeover by process " << peer_pid_ << " failed: " << reason
                              << "; going on as before";
  Say(peer_, absl::StrCat(kHandoverNo, reason));
  EndSession();
}

void ListenerHandover::EndSession() {
  waiting_ = Waiting::kForNobody;
  timer_.Cancel();
  registration_ = Registration();
  peer_ = Socket();
  input_.clear();
  if (acceptor_ != nullptr) acceptor_->Resume();
}

}  // namespace millrace
