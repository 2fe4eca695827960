// SPDX-License-Identifier: Apache-2.0
//
// The yardstick, "raw LT": the least that a server on epoll can do. Level-triggered, one recv into
// a buffer that all connections share, one send from it. A connection costs no memory of ours
// unless there is something of it to keep: what its peer does not take yet, or a frame that is not
// whole.

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "benchmarks/peers/frames.h"
#include "benchmarks/peers/peer_main.h"

namespace {

constexpr size_t kReceiveBytes = 64 << 10;
constexpr int kEventsMax = 1024;

// Becomes readable once SIGTERM or SIGINT has come.
int WatchSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

class Server {
 public:
  explicit Server(const peer::Flags& flags)
      : flags_(flags), signals_(WatchSignals()), listener_(peer::Listen(flags)) {
    Control(EPOLL_CTL_ADD, listener_, EPOLLIN);
    Control(EPOLL_CTL_ADD, signals_, EPOLLIN);
  }

  void Run() {
    std::array<epoll_event, kEventsMax> events;
    while (true) {
      const int count = epoll_wait(epoll_, events.data(), kEventsMax, -1);
      if (count < 0 && errno != EINTR) peer::Fail("epoll_wait", std::strerror(errno));
      for (int i = 0; i < count; ++i) {
        const int fd = events[i].data.fd;
        if (fd == signals_) return;
        if (fd == listener_) {
          Accept();
        } else if (events[i].events & EPOLLOUT) {
          WriteUnsent(fd);
        } else {
          Read(fd);
        }
      }
    }
  }

 private:
  void Control(int operation, int fd, uint32_t events) {
    epoll_event event = {};
    event.events = events;
    event.data.fd = fd;
    epoll_ctl(epoll_, operation, fd, &event);
  }

  void Accept() {
    while (true) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      Control(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
  }

  // While something is unsent we do not read: so nothing is when the peer's end is read.
  void Read(int fd) {
    const ssize_t size = recv(fd, received_.get(), kReceiveBytes, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) return Close(fd);
    const std::string_view bytes(received_.get(), static_cast<size_t>(size));
    flags_.framed ? Answer(fd, bytes) : Send(fd, bytes);
  }

  void Answer(int fd, std::string_view bytes) {
    const auto reply = [&](std::string_view frame) {
      flags_.joined ? static_cast<void>(replies_.append(frame)) : Send(fd, frame);
    };
    // Few connections have a frame that is not whole.
    const auto kept = cut_.empty() ? cut_.end() : cut_.find(fd);
    const size_t done = kept == cut_.end() ? peer::ForEachFrame(bytes, reply)
                                           : AnswerKept(kept->second, bytes, reply);
    if (done == peer::kBadFrame) return Close(fd);
    if (kept == cut_.end() && done < bytes.size()) cut_.emplace(fd, bytes.substr(done));
    if (kept != cut_.end() && kept->second.empty()) cut_.erase(kept);
    if (!replies_.empty()) Send(fd, replies_);
    replies_.clear();
  }

  template <typename Reply>
  static size_t AnswerKept(std::string& kept, std::string_view bytes, const Reply& reply) {
    kept.append(bytes);
    const size_t done = peer::ForEachFrame(kept, reply);
    if (done != peer::kBadFrame) kept.erase(0, done);
    return done;
  }

  void Send(int fd, std::string_view bytes) {
    if (!unsent_.empty()) {
      const auto unsent = unsent_.find(fd);
      if (unsent != unsent_.end()) return static_cast<void>(unsent->second.append(bytes));
    }
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(bytes.size())) return;
    // A connection that is broken tells so when it is written to again.
    unsent_.emplace(fd, bytes.substr(sent < 0 ? 0 : static_cast<size_t>(sent)));
    Control(EPOLL_CTL_MOD, fd, EPOLLOUT);
  }

  void WriteUnsent(int fd) {
    std::string& bytes = unsent_[fd];
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR ? static_cast<void>(0) : Close(fd);
    bytes.erase(0, static_cast<size_t>(sent));
    if (!bytes.empty()) return;
    unsent_.erase(fd);
    Control(EPOLL_CTL_MOD, fd, EPOLLIN);
  }

  void Close(int fd) {
    if (!unsent_.empty()) unsent_.erase(fd);
    if (!cut_.empty()) cut_.erase(fd);
    replies_.clear();
    close(fd);
  }

  const peer::Flags flags_;
  const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  const int signals_;  // Watched before anybody is told that we are there.
  const int listener_;
  const std::unique_ptr<char[]> received_{new char[kReceiveBytes]};
  std::string replies_;  // To what one read brought, if they are joined.
  std::unordered_map<int, std::string> unsent_;
  std::unordered_map<int, std::string> cut_;  // The beginning of a frame.
};

}  // namespace

int main(int argc, char** argv) { Server(peer::ParseFlags(argc, argv)).Run(); }
