// SPDX-License-Identifier: Apache-2.0
#include "net/acceptor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/log/log.h"
#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace millrace {
namespace {

// Where connections come one by one, one try in five is in vain; a crowd is met within 24 turns.
constexpr int kFullBatchesBeforeMore = 4;

UniqueFd OpenReserve() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// Nothing left for one more connection: trying again at once would spin.
bool IsExhaustion(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// The socket is no listener, or none any more: waiting does not help.
bool IsHopeless(int error) { return error == EBADF || error == EINVAL || error == ENOTSOCK; }

// A server that was killed leaves its file behind, and bind(2) would refuse for ever. Connecting
// tells whether anybody listens: then the file is not touched.
void RemoveStaleFile(const SocketAddress& address) {
  SocketFile file = SocketFile::Of(address);
  if (!file.exists()) return;
  absl::StatusOr<Socket> probe = Socket::CreateFor(address);
  // Refused, and not that its queue is full.
  if (!probe.ok() || !absl::IsUnavailable(probe->Connect(address).status())) file.Leave();
}

// bind(2) calls all of these "Address already in use".
absl::Status ExplainFile(const SocketAddress& address, absl::Status why) {
  const std::string path(address.unix_path());
  struct stat info;
  if (path.empty() || path[0] == '@' || lstat(path.c_str(), &info) != 0) return why;
  if (S_ISSOCK(info.st_mode)) return why;
  const absl::string_view what =
      S_ISDIR(info.st_mode) ? "is a directory" : "is a file that is not a socket; it is left alone";
  return absl::Status(why.code(), absl::StrCat(address, ": ", what));
}

absl::Status Configure(Socket& socket, const SocketAddress& address, const ListenOptions& options) {
  if (address.is_unix()) return absl::OkStatus();
  MILLRACE_RETURN_IF_ERROR(socket.SetReuseAddress());
  if (options.reuse_port) MILLRACE_RETURN_IF_ERROR(socket.SetReusePort());
  return SetInherited(socket, options);
}

}  // namespace

absl::Status SetInherited(Socket& listener, const ListenOptions& options) {
  if (options.no_delay) MILLRACE_RETURN_IF_ERROR(listener.SetNoDelay());
  if (options.keep_alive) MILLRACE_RETURN_IF_ERROR(listener.SetKeepAlive(*options.keep_alive));
  return absl::OkStatus();
}

absl::StatusOr<Socket> ListenAt(const SocketAddress& address, const ListenOptions& options) {
  RemoveStaleFile(address);
  MILLRACE_ASSIGN_OR_RETURN(Socket socket, Socket::CreateFor(address));
  MILLRACE_RETURN_IF_ERROR(Configure(socket, address, options));
  const absl::Status bound = socket.Bind(address);
  if (!bound.ok()) return ExplainFile(address, bound);
  const absl::Status status = socket.Listen(options.backlog);
  if (status.ok()) return socket;
  return absl::Status(status.code(), absl::StrCat(address, ": ", status.message()));
}

Acceptor::Acceptor(EventLoop& loop, Socket listener, SocketAddress address, OnAccept on_accept,
                   AcceptCounters* counters, SocketFile file)
    : listener_(std::move(listener)),
      address_(std::move(address)),
      file_(std::move(file)),
      on_accept_(std::move(on_accept)),
      reserve_(OpenReserve()),
      rest_timer_(loop.timers(),
                  [this] {
                    AssertOnLoop();
                    UpdateInterest();
                  }),
      counters_(counters == nullptr ? own_counters_ : *counters) {}

absl::StatusOr<std::unique_ptr<Acceptor>> Acceptor::Listen(EventLoop& loop,
                                                           const SocketAddress& address,
                                                           const ListenOptions& options,
                                                           OnAccept on_accept) {
  MILLRACE_ASSIGN_OR_RETURN(Socket listener, ListenAt(address, options));
  return Adopt(loop, std::move(listener), std::move(on_accept), nullptr, SocketFile::Of(address));
}

absl::StatusOr<std::unique_ptr<Acceptor>> Acceptor::Adopt(EventLoop& loop, Socket listener,
                                                          OnAccept on_accept,
                                                          AcceptCounters* counters,
                                                          SocketFile file) {
  MILLRACE_ASSIGN_OR_RETURN(SocketAddress address, listener.LocalAddress());
  auto acceptor = absl::WrapUnique(new Acceptor(loop, std::move(listener), std::move(address),
                                                std::move(on_accept), counters, std::move(file)));
  MILLRACE_ASSIGN_OR_RETURN(acceptor->registration_,
                            loop.Watch(acceptor->listener_.fd(), Io::kRead, *acceptor));
  return acceptor;
}

Acceptor::~Acceptor() {
  AssertOnLoop();
  StopListening();
}

void Acceptor::StopListening() {
  if (!listener_.valid()) return;
  rest_timer_.Cancel();
  // Not EndBeforeClose(): another process may share the socket (it gave it to us, or took it over),
  // and then closing ours does not take it out of epoll, which would wake us for ever after.
  registration_ = Registration();
  listener_ = Socket();
  file_.Remove();
}

bool Acceptor::may_accept() const { return listener_.valid() && !paused_ && !rest_timer_.armed(); }

void Acceptor::OnIo(Io) {
  int accepted = 0;
  while (accepted < batch_ && may_accept() && (!ask_first_ || ask_first_()) &&
         AcceptOne(accepted == 0)) {
    ++accepted;
  }
  AdaptBatch(accepted);
}

// A try that finds nobody is a system call for nothing, and needless: who comes later wakes us
// again. So we try as often as found somebody last time, and more only when crowds keep coming.
void Acceptor::AdaptBatch(int accepted) {
  if (accepted < batch_) {
    batch_ = std::max(accepted, 1);
    full_batches_ = 0;
  } else if (++full_batches_ == kFullBatchesBeforeMore) {
    batch_ = std::min(batch_ * 2, kAcceptsPerTurnMax);
    full_batches_ = 0;
  }
}

// False if there is no sense in another try this turn.
bool Acceptor::AcceptOne(bool was_woken) {
  Socket::Accepted accepted = listener_.Accept();
  if (accepted.error == EAGAIN || accepted.error == EWOULDBLOCK) return FoundNobody(was_woken);
  if (!accepted.socket.valid()) return Failed(accepted.error);
  errors_in_a_row_ = 0;
  listened_again_ = false;
  counters_.accepted.Increment();
  on_accept_(std::move(accepted.socket), accepted.peer);
  return true;
}

// A wake-up for nobody is rare: another process that shares the socket was faster, or the socket is
// a Unix one that was shut down, of which accept(2) says no more, and which would wake us for ever.
bool Acceptor::FoundNobody(bool was_woken) {
  errors_in_a_row_ = 0;
  return was_woken && listener_.IsShutDown() && Failed(EINVAL);
}

bool Acceptor::Failed(int error) {
  counters_.errors.Increment();
  errors_in_a_row_ = std::min(errors_in_a_row_ + 1, kAcceptErrorsInARowMax);
  const bool stays = errors_in_a_row_ == kAcceptErrorsInARowMax;
  if (on_error_) on_error_(absl::ErrnoToStatus(error, absl::StrCat("accept at ", address_)));
  // The last one may also be about a peer.
  if (IsHopeless(error) || (stays && error == EOPNOTSUPP)) return !IsNoListener(error);
  if (IsExhaustion(error) || stays) Rest(error);
  return true;
}

// True if that is the end of it.
bool Acceptor::IsNoListener(int error) {
  if (ListenAgain()) {
    LOG_EVERY_N_SEC(WARNING, 5) << "accept at " << address_ << ": " << strerror(error)
                                << "; somebody has shut the socket down, and it listens again";
    return false;
  }
  counters_.failed.Increment();
  LOG(ERROR) << "accept at " << address_ << ": " << strerror(error)
             << "; the socket is no listener any more, and is closed";
  StopListening();
  if (on_failed_) on_failed_(absl::ErrnoToStatus(error, absl::StrCat("accept at ", address_)));
  return true;
}

// Linux lets a TCP socket listen again, and a Unix one not, though listen(2) says that it does.
// Once between two connections, so that two who disagree do not go on for ever.
bool Acceptor::ListenAgain() {
  if (std::exchange(listened_again_, true)) return false;
  // If the kernel chose the port, it is lost, and may be somebody else's by now. One that still has
  // its port cannot be bound again, and need not.
  if (!address_.is_unix()) {
    const absl::Status bound = listener_.Bind(address_);
    if (bound.code() == absl::ErrnoToStatusCode(EADDRINUSE)) return false;
  }
  if (!listener_.Listen(kListenBacklog).ok() || listener_.IsShutDown()) return false;
  const absl::StatusOr<SocketAddress> address = listener_.LocalAddress();
  return address.ok() && *address == address_;
}

void Acceptor::Rest(int error) {
  counters_.rests.Increment();
  if (error == EMFILE || error == ENFILE) RefuseSome();
  LOG_EVERY_N_SEC(WARNING, 5) << "accept at " << address_ << ": " << strerror(error)
                              << "; resting for " << kAcceptRetryDelay << " (rest "
                              << counters_.rests.value() << ", " << counters_.refused.value()
                              << " connections turned away)";
  rest_timer_.Arm(kAcceptRetryDelay);
  UpdateInterest();
}

// Those who wait learn at once that there is no room, instead of hanging in the backlog.
void Acceptor::RefuseSome() {
  for (int i = 0; i < kAcceptsPerTurnMax && reserve_.valid(); ++i) {
    reserve_.Reset();
    Socket::Accepted accepted = listener_.Accept();
    const bool refused = accepted.socket.valid();
    if (refused) {
      accepted.socket.ResetOnClose();
      counters_.refused.Increment();
    }
    accepted.socket = Socket();
    reserve_ = OpenReserve();
    if (!refused) return;
  }
  if (!reserve_.valid()) reserve_ = OpenReserve();
}

void Acceptor::Pause() {
  paused_ = true;
  UpdateInterest();
}

void Acceptor::Resume() {
  paused_ = false;
  UpdateInterest();
}

void Acceptor::UpdateInterest() {
  if (!listener_.valid()) return;
  const absl::Status status = registration_.SetInterest(may_accept() ? Io::kRead : Io::kNone);
  if (status.ok()) return;
  LOG_EVERY_N_SEC(ERROR, 5) << "accept at " << address_ << ": " << status;
  rest_timer_.Arm(kAcceptRetryDelay);  // The poller found no memory: later, then.
}

}  // namespace millrace
