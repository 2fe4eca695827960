// SPDX-License-Identifier: Apache-2.0
//
// NetworkContractTest is the fixture of stories that are run twice: on loopback sockets of the
// kernel, and in a SimNetwork. It makes the system calls themselves, so an answer is what the call
// returned, or its errno below zero. On the test's thread.
//
//   TEST_P(NetworkContractTest, AnEndIsHeard) {
//     Line line = MakeLine();
//     line.near.Reset();
//     EXPECT_EQ(WaitAndReceive(line.far.get()), "end");
//   }
//   MILLRACE_ON_BOTH_NETWORKS(NetworkContractTest);
//
// Waiting is for what must come. What must not come is only asked for in what is there now: that
// the kernel is not slow to show it cannot be known.

#ifndef MILLRACE_TESTS_CONTRACT_NETWORK_CONTRACT_H_
#define MILLRACE_TESTS_CONTRACT_NETWORK_CONTRACT_H_

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstddef>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/poller.h"
#include "net/sim/sim_clock.h"
#include "net/sim/sim_network.h"
#include "net/socket_address.h"
#include "net/system_calls.h"

namespace millrace {

class NetworkUnderTest {
 public:
  virtual ~NetworkUnderTest() = default;

  // What is ready now; a hang-up is both.
  virtual Io Ready(int fd) = 0;
  virtual bool IsHungUp(int fd) = 0;
  // Until one of them is ready; until it is hung up.
  virtual void WaitFor(int fd, Io io) = 0;
  virtual void WaitForHangUp(int fd) = 0;
  // Lets no more descriptors be opened than there are, or again as many as before.
  virtual void ForbidDescriptors() = 0;
  virtual void AllowDescriptors() = 0;
};

class KernelNetwork final : public NetworkUnderTest {
 public:
  KernelNetwork() { getrlimit(RLIMIT_NOFILE, &limit_); }
  ~KernelNetwork() override { AllowDescriptors(); }

  Io Ready(int fd) override {
    const int ready = Poll(fd, POLLIN | POLLOUT, 0);
    if ((ready & (POLLHUP | POLLERR)) != 0) return Io::kReadWrite;
    return ((ready & POLLIN) != 0 ? Io::kRead : Io::kNone) |
           ((ready & POLLOUT) != 0 ? Io::kWrite : Io::kNone);
  }
  bool IsHungUp(int fd) override { return (Poll(fd, 0, 0) & POLLHUP) != 0; }
  void WaitFor(int fd, Io io) override {
    Poll(fd, (Any(io & Io::kRead) ? POLLIN : 0) | (Any(io & Io::kWrite) ? POLLOUT : 0), -1);
  }
  void WaitForHangUp(int fd) override { Poll(fd, 0, -1); }
  void ForbidDescriptors() override {
    const UniqueFd next(socket(AF_INET, SOCK_STREAM, 0));  // The lowest that is free.
    const rlimit none = {static_cast<rlim_t>(next.get()), limit_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
  }
  void AllowDescriptors() override { setrlimit(RLIMIT_NOFILE, &limit_); }

 private:
  static int Poll(int fd, int events, int timeout) {
    pollfd watched = {fd, static_cast<short>(events), 0};
    while (poll(&watched, 1, timeout) < 0 && errno == EINTR) {
    }
    return watched.revents;
  }

  rlimit limit_ = {};
};

class SimulatedNetwork final : public NetworkUnderTest {
 public:
  SimulatedNetwork() { SimNetwork::Install(&network_); }
  ~SimulatedNetwork() override { SimNetwork::Install(nullptr); }

  Io Ready(int fd) override { return network_.Ready(fd); }
  bool IsHungUp(int fd) override { return network_.IsHungUp(fd); }
  void WaitFor(int fd, Io io) override {
    while (!Any(network_.Ready(fd) & io) && Step()) {
    }
  }
  void WaitForHangUp(int fd) override {
    while (!network_.IsHungUp(fd) && Step()) {
    }
  }
  void ForbidDescriptors() override { network_.set_descriptors_max(network_.open_descriptors()); }
  void AllowDescriptors() override { network_.set_descriptors_max(SIZE_MAX); }

 private:
  bool Step() {
    const bool happens = network_.NextEvent() < MonotonicTime::InfiniteFuture();
    EXPECT_TRUE(happens) << "waits for ever";
    if (happens) clock_.AdvanceTo(network_.NextEvent());
    return happens && network_.DeliverDue();
  }

  SimClock clock_;
  Random random_{7};
  SimNetwork network_{clock_, random_};
};

template <typename Network>
std::unique_ptr<NetworkUnderTest> MakeNetwork() {
  return std::make_unique<Network>();
}

class NetworkContractTest
    : public ::testing::TestWithParam<std::unique_ptr<NetworkUnderTest> (*)()> {
 protected:
  // The answer of a call: what it returned, or -errno.
  template <typename T>
  static int Answer(T result) {
    return result < 0 ? -errno : static_cast<int>(result);
  }

  static UniqueFd MakeSocket(int family = AF_INET) {
    return UniqueFd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }
  static int Bind(int fd, const SocketAddress& address) {
    sockaddr_storage storage;
    const socklen_t bytes = address.ToSockaddr(storage);
    return Answer(bind(fd, reinterpret_cast<sockaddr*>(&storage), bytes));
  }
  static UniqueFd Listen(const SocketAddress& address = SocketAddress::Loopback(0),
                         int backlog = 10) {
    UniqueFd fd = MakeSocket(address.family());
    EXPECT_EQ(Bind(fd.get(), address), 0);
    EXPECT_EQ(Answer(listen(fd.get(), backlog)), 0);
    return fd;
  }
  static int Connect(int fd, const SocketAddress& address) {
    sockaddr_storage storage;
    const socklen_t bytes = address.ToSockaddr(storage);
    return Answer(connect(fd, reinterpret_cast<sockaddr*>(&storage), bytes));
  }
  static int Accept(int fd) { return Answer(accept4(fd, nullptr, nullptr, SOCK_NONBLOCK)); }

  template <typename Call>
  static SocketAddress Name(Call call, int fd) {
    sockaddr_storage storage;
    auto* const address = reinterpret_cast<sockaddr*>(&storage);
    socklen_t bytes = sizeof(storage);
    EXPECT_EQ(Answer(call(fd, address, &bytes)), 0);
    return SocketAddress::FromSockaddr(address, bytes).value();
  }
  static SocketAddress LocalName(int fd) { return Name(getsockname, fd); }
  static SocketAddress PeerName(int fd) { return Name(getpeername, fd); }

  static int Send(int fd, const std::string& bytes) {
    return Answer(millrace_send(fd, bytes.data(), bytes.size()));
  }
  // One recv(): its bytes in quotes, "end", or the errno's name.
  static std::string Receive(int fd, size_t room = 100) {
    std::string bytes(room, '\0');
    const int got = Answer(millrace_recv(fd, bytes.data(), bytes.size()));
    if (got < 0) return strerrorname_np(-got);
    return got == 0 ? "end" : absl::StrCat("'", bytes.substr(0, got), "'");
  }
  static int Error(int fd) {
    int error = -1;
    socklen_t bytes = sizeof(error);
    EXPECT_EQ(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes), 0);
    return error;
  }
  static void SetOption(int fd, int level, int option, int value) {
    ASSERT_EQ(setsockopt(fd, level, option, &value, sizeof(value)), 0);
  }
  static void SetLinger(int fd, int on, int seconds) {
    const linger value = {on, seconds};
    ASSERT_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof(value)), 0);
  }

  // `near` accepted, `far` connected.
  struct Line {
    UniqueFd listener, near, far;
  };
  Line MakeLine() {
    Line line = {Listen(), {}, MakeSocket()};
    const int answer = Connect(line.far.get(), LocalName(line.listener.get()));
    EXPECT_TRUE(answer == 0 || answer == -EINPROGRESS) << answer;
    network_->WaitFor(line.far.get(), Io::kWrite);
    EXPECT_EQ(Error(line.far.get()), 0);
    network_->WaitFor(line.listener.get(), Io::kRead);
    line.near = UniqueFd(Accept(line.listener.get()));
    EXPECT_TRUE(line.near.valid());
    return line;
  }
  std::string WaitAndReceive(int fd) {
    network_->WaitFor(fd, Io::kRead);
    return Receive(fd);
  }

  const std::unique_ptr<NetworkUnderTest> network_ = GetParam()();
};

#define MILLRACE_ON_BOTH_NETWORKS(Test)                                             \
  INSTANTIATE_TEST_SUITE_P(                                                         \
      Networks, Test,                                                               \
      ::testing::Values(MakeNetwork<KernelNetwork>, MakeNetwork<SimulatedNetwork>), \
      [](const auto& info) { return info.index == 0 ? "Kernel" : "Simulated"; })

}  // namespace millrace

#endif  // MILLRACE_TESTS_CONTRACT_NETWORK_CONTRACT_H_
