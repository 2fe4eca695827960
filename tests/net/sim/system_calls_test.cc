// SPDX-License-Identifier: Apache-2.0
//
// Which calls come to the simulation, and which stay with the kernel.
#include "net/system_calls.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <thread>

#include "base/random.h"
#include "gtest/gtest.h"
#include "net/sim/sim_clock.h"
#include "net/sim/sim_network.h"

namespace millrace {
namespace {

// A network that this thread's calls come to while it lives.
struct Installed {
  explicit Installed(uint64_t seed = 7) : random(seed) { SimNetwork::Install(&network); }
  ~Installed() { SimNetwork::Install(nullptr); }

  SimClock clock;
  Random random;
  SimNetwork network{clock, random};
};

int MakeSocket() { return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); }

// errno of a call that must fail.
template <typename T>
int ErrorOf(T result) {
  EXPECT_EQ(result, -1);
  return errno;
}

void ExpectNoDescriptor(int fd) {
  sockaddr_storage storage = {};
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  socklen_t bytes = sizeof(storage);
  int number = 0;
  socklen_t number_bytes = sizeof(number);
  off_t offset = 0;
  iovec piece = {&number, sizeof(number)};
  msghdr message = {};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  EXPECT_EQ(ErrorOf(accept4(fd, address, &bytes, 0)), EBADF);
  EXPECT_EQ(ErrorOf(bind(fd, address, bytes)), EBADF);
  EXPECT_EQ(ErrorOf(connect(fd, address, bytes)), EBADF);
  EXPECT_EQ(ErrorOf(listen(fd, 1)), EBADF);
  EXPECT_EQ(ErrorOf(getsockname(fd, address, &bytes)), EBADF);
  EXPECT_EQ(ErrorOf(getpeername(fd, address, &bytes)), EBADF);
  EXPECT_EQ(ErrorOf(getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &number_bytes)), EBADF);
  EXPECT_EQ(ErrorOf(setsockopt(fd, SOL_SOCKET, SO_LINGER, &number, sizeof(number))), EBADF);
  EXPECT_EQ(ErrorOf(shutdown(fd, SHUT_WR)), EBADF);
  EXPECT_EQ(ErrorOf(millrace_recv(fd, &number, sizeof(number))), EBADF);
  EXPECT_EQ(ErrorOf(millrace_send(fd, &number, sizeof(number))), EBADF);
  EXPECT_EQ(ErrorOf(sendmsg(fd, &message, MSG_NOSIGNAL)), EBADF);
  EXPECT_EQ(ErrorOf(sendfile(fd, fd, &offset, 1)), EBADF);
  EXPECT_EQ(ErrorOf(read(fd, &number, sizeof(number))), EBADF);
  EXPECT_EQ(ErrorOf(write(fd, &number, sizeof(number))), EBADF);
  EXPECT_EQ(ErrorOf(close(fd)), EBADF);
}

TEST(SystemCallsTest, WhatAThreadMakesIsSimulatedWhileItHasASimulation) {
  {
    Installed installed;
    const int fd = MakeSocket();
    EXPECT_GE(fd, SimNetwork::kFirstFd);
    EXPECT_EQ(installed.network.open_descriptors(), 1u);
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(installed.network.open_descriptors(), 0u);
  }
  const int fd = MakeSocket();
  EXPECT_LT(fd, SimNetwork::kFirstFd);
  EXPECT_EQ(close(fd), 0);
}

TEST(SystemCallsTest, ASimulatedDescriptorIsNoneWithoutItsSimulation) {
  int fd;
  {
    Installed installed;
    fd = MakeSocket();
    std::thread(ExpectNoDescriptor, fd).join();
    EXPECT_EQ(installed.network.open_descriptors(), 1u) << "the other thread closed it";
  }
  ExpectNoDescriptor(fd);
}

TEST(SystemCallsTest, ANumberThatWasNeverGivenIsNone) {
  Installed installed;
  ExpectNoDescriptor(SimNetwork::kFirstFd + 1000);
}

TEST(SystemCallsTest, AnotherThreadsSocketsAreReal) {
  Installed installed;
  std::thread([] {
    const int fd = MakeSocket();
    EXPECT_LT(fd, SimNetwork::kFirstFd);
    EXPECT_EQ(close(fd), 0);
  }).join();
}

TEST(SystemCallsTest, RealDescriptorsStayReal) {
  Installed installed;
  std::array<int, 2> ends;
  ASSERT_EQ(pipe(ends.data()), 0);
  EXPECT_EQ(write(ends[1], "abc", 3), 3);
  std::array<char, 10> room;
  EXPECT_EQ(read(ends[0], room.data(), room.size()), 3);
  EXPECT_EQ(ErrorOf(listen(ends[0], 1)), ENOTSOCK);
  EXPECT_EQ(close(ends[0]), 0);
  EXPECT_EQ(close(ends[1]), 0);
}

TEST(SystemCallsTest, UnixSocketsAreRefused) {
  Installed installed;
  EXPECT_EQ(ErrorOf(socket(AF_UNIX, SOCK_STREAM, 0)), EAFNOSUPPORT);
}

TEST(SystemCallsTest, RandomNumbersComeFromTheSeed) {
  const auto draw = [](uint64_t seed) {
    Installed installed(seed);
    std::string bytes(100, '\0');
    EXPECT_EQ(getrandom(bytes.data(), bytes.size(), 0), 100);
    return bytes;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
}

TEST(SystemCallsTest, WhatIsNotSimulatedIsNotPassedOver) {
  Installed installed;
  const int fd = MakeSocket();
  msghdr message = {};
  EXPECT_DEATH(shutdown(fd, SHUT_RDWR), "only the end of output is simulated");
  EXPECT_DEATH(sendmsg(fd, &message, MSG_OOB), "no other flag is simulated");
  close(fd);
}

TEST(SystemCallsTest, AThreadHasOneSimulationAtATime) {
  Installed installed;
  EXPECT_DEATH(Installed(), "one simulation at a time");
}

}  // namespace
}  // namespace millrace
