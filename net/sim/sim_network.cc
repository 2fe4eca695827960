// SPDX-License-Identifier: Apache-2.0
//
// The calls. What happens later, in sim_network_events.cc.
#include "net/sim/sim_network.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iostream>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace millrace {
namespace {

thread_local SimNetwork* network_of_this_thread = nullptr;

// Of accept(2), those that a program can do nothing about.
constexpr std::array kAcceptErrors = {ECONNABORTED, EPROTO,    EPERM,        EMFILE,
                                      ENFILE,       ENOBUFS,   ENOMEM,       ENETDOWN,
                                      EINTR,        ETIMEDOUT, EHOSTUNREACH, ENETUNREACH};

// Whether the connection that was to be accepted is gone with the error.
bool TakesTheConnection(int error) {
  return error == ECONNABORTED || error == EPROTO || error == EPERM || error == ENETDOWN ||
         error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH;
}

}  // namespace

SimNetwork* SimNetwork::Current() { return network_of_this_thread; }

void SimNetwork::Install(SimNetwork* network) {
  CHECK(network == nullptr || network_of_this_thread == nullptr) << "one simulation at a time";
  network_of_this_thread = network;
}

void SimNetwork::Mix(absl::string_view what, uint64_t a, uint64_t b) {
  const auto mix = [this](uint64_t value) {
    trace_hash_ = (trace_hash_ ^ value) * 0x9e3779b97f4a7c15;
    trace_hash_ ^= trace_hash_ >> 29;
  };
  for (const char byte : what) mix(static_cast<uint8_t>(byte));
  mix(a);
  mix(b);
  mix(clock_.Now().nanoseconds());
}

void SimNetwork::Print(absl::string_view line) {
  const absl::Duration time = clock_.Now() - SimClock().Now();
  std::cerr << absl::StrFormat("%12.3f ms  %s\n", absl::ToDoubleMilliseconds(time), line);
}

void SimNetwork::Note(absl::string_view what, uint64_t number) {
  Mix(what, number, 0);
  if (trace_) Print(absl::StrCat(what, " ", number));
}

void SimNetwork::NoteOf(const SimSocket& socket, absl::string_view what) {
  Mix(what, socket.id, 0);
  if (trace_) Print(absl::StrCat(Describe(socket), "  ", what));
}

void SimNetwork::NoteOf(const SimSocket& socket, absl::string_view what, uint64_t number,
                        absl::string_view unit) {
  Mix(what, socket.id, number);
  if (trace_) Print(absl::StrCat(Describe(socket), "  ", what, " ", number, unit));
}

// "#7 10.0.0.9:40001 -> 127.0.0.1:7007": each end of a connection has a number of its own.
std::string SimNetwork::Describe(const SimSocket& socket) {
  std::string text = absl::StrCat("#", socket.id, " ", socket.local.ToString());
  if (socket.state != State::kListening) absl::StrAppend(&text, " -> ", socket.peer.ToString());
  return text;
}

SimNetwork::SimSocket& SimNetwork::Make(State state, int family) {
  auto socket = std::make_unique<SimSocket>();
  socket->state = state;
  socket->family = family;
  socket->id = sockets_.size();
  // As likely of each magnitude.
  const size_t spread = faults_.window_max / std::max<size_t>(faults_.window_min, 1);
  size_t window = faults_.window_min;
  for (size_t left = spread; left > 1 && random_.Below(2) == 0; left /= 2) window *= 2;
  socket->window = std::max<size_t>(window, 1);
  sockets_.push_back(std::move(socket));
  return *sockets_.back();
}

// The lowest free number, as the kernel does: so that what keeps one too long meets a stranger.
int SimNetwork::GiveFd(SimSocket& socket) {
  const auto free = std::find(fds_.begin(), fds_.end(), Id{0});
  const auto place = static_cast<size_t>(free - fds_.begin());
  if (free == fds_.end()) fds_.push_back(0);
  fds_[place] = socket.id;
  ++open_;
  return socket.fd = kFirstFd + static_cast<int>(place);
}

SimNetwork::SimSocket* SimNetwork::Find(int fd) const {
  const auto place = static_cast<size_t>(fd - kFirstFd);
  return fd < kFirstFd || place >= fds_.size() ? nullptr : FindId(fds_[place]);
}

bool SimNetwork::Happens(double SimFaults::*fault) {
  const bool happens = Chance(faults_.*fault);
  if (happens) met_.*fault += 1;
  return happens;
}

bool SimNetwork::HasDescriptor() {
  if (open_ < descriptors_max_) return true;
  ++descriptors_refused_;
  return false;
}

int SimNetwork::Fail(int error) {
  errno = error;
  return -1;
}

SimNetwork::SimSocket* SimNetwork::FindSocket(int fd) {
  SimSocket* const socket = Find(fd);
  if (socket == nullptr) errno = EBADF;
  if (socket == nullptr || socket->state != State::kEventFd) return socket;
  errno = ENOTSOCK;
  return nullptr;
}

// A call that could go on, and does not.
bool SimNetwork::Interferes() {
  const bool would_block = Happens(&SimFaults::would_block);
  if (!would_block && !Happens(&SimFaults::interrupted)) return false;
  errno = would_block ? EAGAIN : EINTR;
  return true;
}

size_t SimNetwork::PartOf(size_t bytes) {
  return bytes > 1 && Happens(&SimFaults::cut_short) ? 1 + random_.Below(bytes) : bytes;
}

int SimNetwork::Socket(int family) {
  if (family != AF_INET && family != AF_INET6) return Fail(EAFNOSUPPORT);
  if (!HasDescriptor()) return Fail(EMFILE);
  return GiveFd(Make(State::kNew, family));
}

int SimNetwork::EventFd(unsigned int count) {
  if (!HasDescriptor()) return Fail(EMFILE);
  SimSocket& event = Make(State::kEventFd, AF_UNSPEC);
  event.count = count;
  return GiveFd(event);
}

// The number is taken first, so there is no EAGAIN when all are in use: as in Linux.
int SimNetwork::Accept(int fd, sockaddr* peer, socklen_t* bytes) {
  if (!IsOpen(fd)) return Fail(EBADF);
  if (!HasDescriptor()) return Fail(EMFILE);
  SimSocket* const listener = FindSocket(fd);
  if (listener == nullptr) return -1;
  if (listener->state != State::kListening) return Fail(EINVAL);
  if (listener->waiting.empty()) return Fail(EAGAIN);
  if (Interferes()) return -1;
  if (Happens(&SimFaults::accept_error)) return FailAccept(*listener);
  SimSocket& accepted = *FindId(listener->waiting.front());
  listener->waiting.pop_front();
  NoteOf(accepted, "accepted");
  if (peer != nullptr) GiveName(accepted.peer, peer, bytes);
  return GiveFd(accepted);
}

int SimNetwork::FailAccept(SimSocket& listener) {
  const int error = kAcceptErrors[random_.Below(kAcceptErrors.size())];
  NoteOf(listener, "accept fails with errno", error);
  if (TakesTheConnection(error)) {
    const Id lost = listener.waiting.front();
    listener.waiting.pop_front();
    SendReset(lost, FindId(lost)->other, MonotonicTime::InfiniteFuture());
    sockets_[lost].reset();
  }
  return Fail(error);
}

int SimNetwork::Connect(int fd, const sockaddr* address, socklen_t bytes) {
  SimSocket* const socket = FindSocket(fd);
  if (socket == nullptr) return -1;
  if (socket->state == State::kConnecting) return Fail(EALREADY);
  if (socket->state != State::kNew) return Fail(EISCONN);
  absl::StatusOr<SocketAddress> peer = SocketAddress::FromSockaddr(address, bytes);
  if (!peer.ok() || address->sa_family != socket->family) return Fail(EAFNOSUPPORT);
  socket->peer = *std::move(peer);
  if (!socket->bound) socket->local = AddressOfClient(socket->peer.family());
  socket->state = State::kConnecting;
  NoteOf(*socket, "connects");
  if (Happens(&SimFaults::connect_refused)) {
    Schedule(Event::kRefused, clock_.Now() + Delay(), socket->id, 0);
  } else if (!Happens(&SimFaults::connect_lost)) {
    Schedule(Event::kSyn, clock_.Now() + Delay(), 0, socket->id);
  }
  // As long as Linux tries; see tcp_syn_retries in tcp(7).
  Schedule(Event::kTimedOut, clock_.Now() + absl::Seconds(127), socket->id, 0);
  return Fail(Happens(&SimFaults::interrupted) ? EINTR : EINPROGRESS);
}

// After the peer's end there is only the end; the error is left to who sends, or asks for it.
ssize_t SimNetwork::ReceiveNothing(SimSocket& socket) {
  if (socket.end_received) return 0;
  if (socket.error != 0) return Fail(std::exchange(socket.error, 0));
  switch (socket.state) {
    case State::kReset:
      return 0;
    case State::kOpen:
    case State::kConnecting:
      return Fail(EAGAIN);
    default:
      return Fail(ENOTCONN);
  }
}

ssize_t SimNetwork::Receive(int fd, void* into, size_t bytes) {
  SimSocket* const socket = FindSocket(fd);
  if (socket == nullptr) return -1;
  if (socket->received.empty()) return ReceiveNothing(*socket);
  if (Interferes()) return -1;
  const size_t count = PartOf(std::min(bytes, socket->received.size()));
  std::memcpy(into, socket->received.data(), count);
  socket->received.erase(0, count);
  if (!socket->lost) {
    Schedule(Event::kAck, clock_.Now() + Delay(), socket->other, socket->id, {}, count);
  }
  NoteOf(*socket, "reads", count, " bytes");
  TellTransfer(*socket, true, count);
  return static_cast<ssize_t>(count);
}

void SimNetwork::TellTransfer(const SimSocket& socket, bool reads, size_t bytes) {
  if (on_transfer_) on_transfer_({socket.local, socket.peer, reads, bytes});
}

ssize_t SimNetwork::Queue(SimSocket& socket, std::string bytes) {
  const size_t count = bytes.size();
  socket.under_way += count;
  NoteOf(socket, "sends", count, " bytes");
  TellTransfer(socket, false, count);
  // What one call took may arrive in pieces.
  while (bytes.size() > 1 && Happens(&SimFaults::cut_short)) {
    const size_t first = 1 + random_.Below(bytes.size() - 1);
    SendSegment(socket, bytes.substr(0, first));
    bytes.erase(0, first);
  }
  SendSegment(socket, std::move(bytes));
  return static_cast<ssize_t>(count);
}

// What keeps a socket from sending: an errno, or 0.
int SimNetwork::WhyNotSend(SimSocket& socket) {
  if (socket.error != 0) return std::exchange(socket.error, 0);
  if (socket.state == State::kConnecting) return EAGAIN;
  if (socket.write_ended || socket.state != State::kOpen) return EPIPE;
  return socket.under_way >= socket.window ? EAGAIN : 0;
}

ssize_t SimNetwork::Send(int fd, absl::Span<const iovec> from) {
  SimSocket* const socket = FindSocket(fd);
  if (socket == nullptr) return -1;
  if (const int error = WhyNotSend(*socket); error != 0) return Fail(error);
  if (Interferes()) return -1;
  size_t room = socket->window - socket->under_way;
  std::string bytes;
  for (const iovec& piece : from) {
    const size_t count = std::min(piece.iov_len, room);
    bytes.append(static_cast<const char*>(piece.iov_base), count);
    room -= count;
  }
  bytes.resize(PartOf(bytes.size()));
  return bytes.empty() ? 0 : Queue(*socket, std::move(bytes));
}

ssize_t SimNetwork::SendFile(int fd, int file, off_t* offset, size_t count) {
  std::string bytes(std::min<size_t>(count, 65536), '\0');
  const ssize_t read = pread(file, bytes.data(), bytes.size(), *offset);
  if (read <= 0) return read;
  const iovec piece = {bytes.data(), static_cast<size_t>(read)};
  const ssize_t sent = Send(fd, {&piece, 1});
  if (sent > 0) *offset += sent;
  return sent;
}

ssize_t SimNetwork::ReadEvent(int fd, void* into, size_t bytes) {
  SimSocket* const event = Find(fd);
  if (event == nullptr) return Fail(EBADF);
  if (event->state != State::kEventFd) return Receive(fd, into, bytes);
  if (event->count == 0) return Fail(EAGAIN);
  if (Happens(&SimFaults::interrupted)) return Fail(EINTR);
  std::memcpy(into, &event->count, sizeof(event->count));
  event->count = 0;
  return sizeof(event->count);
}

ssize_t SimNetwork::WriteEvent(int fd, const void* from, size_t bytes) {
  SimSocket* const event = Find(fd);
  if (event == nullptr) return Fail(EBADF);
  if (event->state != State::kEventFd) {
    const iovec piece = {const_cast<void*>(from), bytes};
    return Send(fd, {&piece, 1});
  }
  if (Happens(&SimFaults::interrupted)) return Fail(EINTR);
  uint64_t count;
  std::memcpy(&count, from, sizeof(count));
  event->count += count;
  return sizeof(count);
}

int SimNetwork::Shutdown(int fd) {
  SimSocket* const socket = FindSocket(fd);
  if (socket == nullptr) return -1;
  if (socket->state != State::kOpen) return Fail(ENOTCONN);
  if (!socket->write_ended) SendEnd(*socket);
  return 0;
}

int SimNetwork::Close(int fd) {
  SimSocket* const socket = Find(fd);
  if (socket == nullptr) return Fail(EBADF);
  fds_[fd - kFirstFd] = 0;
  --open_;
  if (socket->state != State::kEventFd) NoteOf(*socket, "closes");
  if (socket->state == State::kListening) CloseListener(*socket);
  if (socket->state == State::kConnecting && socket->other != 0) {
    SendReset(socket->id, socket->other, clock_.Now());
  } else if (socket->state == State::kOpen) {
    if (socket->resets_on_close || !socket->received.empty()) {
      SendReset(socket->id, socket->other, socket->last_arrival);
    } else if (!socket->write_ended) {
      SendEnd(*socket);
    }
  }
  sockets_[socket->id].reset();
  return 0;
}

void SimNetwork::CloseListener(SimSocket& socket) {
  for (const Id id : socket.waiting) {
    SendReset(id, FindId(id)->other, MonotonicTime::InfiniteFuture());
    sockets_[id].reset();
  }
}

void SimNetwork::FillRandom(void* into, size_t bytes) {
  auto* const place = static_cast<char*>(into);
  for (size_t i = 0; i < bytes; ++i) place[i] = static_cast<char>(random_.Next());
}

bool SimNetwork::IsHungUp(int fd) const {
  const SimSocket* const socket = Find(fd);
  if (socket == nullptr) return false;
  const bool both_ended = socket->end_received && socket->write_ended;
  return socket->state == State::kNew || socket->state == State::kReset || both_ended;
}

Io SimNetwork::Ready(int fd) const {
  const SimSocket* const socket = Find(fd);
  if (socket == nullptr) return Io::kNone;
  if (IsHungUp(fd)) return Io::kReadWrite;
  const auto both = [](bool read, bool write) {
    return (read ? Io::kRead : Io::kNone) | (write ? Io::kWrite : Io::kNone);
  };
  switch (socket->state) {
    case State::kNew:
    case State::kReset:
    case State::kConnecting:
      return Io::kNone;
    case State::kListening:
      return both(!socket->waiting.empty(), false);
    case State::kEventFd:
      return both(socket->count > 0, true);
    case State::kOpen:
      break;
  }
  return both(!socket->received.empty() || socket->end_received,
              socket->under_way < socket->window || socket->write_ended);
}

}  // namespace millrace
