// SPDX-License-Identifier: Apache-2.0
//
// What it costs a loop to accept connections.
//
//   bazel run //benchmarks:accept_benchmark

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "benchmarks/accept_rows.h"
#include "net/acceptor.h"
#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/socket.h"
#include "net/socket_address.h"

namespace millrace {
namespace {

class Watcher final : public IoHandler {
 public:
  Watcher(EventLoop& loop, Socket socket)
      : socket_(std::move(socket)),
        registration_(loop.Watch(socket_.fd(), Io::kRead, *this).value()) {}

 private:
  void OnIo(Io) override {}

  const Socket socket_;
  const Registration registration_;
};

class Listener {
 public:
  explicit Listener(Socket socket)
      : acceptor_(Acceptor::Adopt(*loop_, std::move(socket),
                                  [this](Socket accepted, const SocketAddress&) {
                                    ++accepted_;
                                    watchers_.push_back(
                                        std::make_unique<Watcher>(*loop_, std::move(accepted)));
                                  })
                      .value()) {}
  void Turn() { loop_->RunOnce(absl::ZeroDuration()); }
  int64_t accepted() const { return accepted_; }
  void CloseAccepted() { watchers_.clear(); }

 private:
  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  int64_t accepted_ = 0;
  std::vector<std::unique_ptr<Watcher>> watchers_;
  const std::unique_ptr<Acceptor> acceptor_;
};

const bool kAccept = RegisterAccept<Listener>("Millrace");

// What the system calls alone cost.
class RawListener {
 public:
  explicit RawListener(Socket socket) : socket_(std::move(socket)) { Watch(socket_.fd()); }
  void Turn() {
    epoll_event ready;
    if (epoll_wait(epoll_.get(), &ready, 1, /*timeout=*/0) != 1) return;
    while (true) {
      UniqueFd fd(accept4(socket_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd.valid()) return;
      Watch(fd.get());
      connections_.push_back(std::move(fd));
      ++accepted_;
    }
  }
  int64_t accepted() const { return accepted_; }
  void CloseAccepted() { connections_.clear(); }

 private:
  void Watch(int fd) {
    epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    CHECK_EQ(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), 0);
  }

  const Socket socket_;
  const UniqueFd epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  int64_t accepted_ = 0;
  std::vector<UniqueFd> connections_;
};
const bool kRawAccept = RegisterAccept<RawListener>("raw");

}  // namespace
}  // namespace millrace
