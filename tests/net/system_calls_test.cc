// SPDX-License-Identifier: Apache-2.0
#include "net/system_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include <string>

#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

class SystemCallsTest : public ::testing::Test {
 protected:
  SystemCallsTest() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    near_ = UniqueFd(fds[0]);
    far_ = UniqueFd(fds[1]);
  }

  static ssize_t Send(const UniqueFd& from, const std::string& bytes) {
    return millrace_send(from.get(), bytes.data(), bytes.size());
  }
  // Up to `room` bytes.
  static std::string Receive(const UniqueFd& to, size_t room) {
    std::string bytes(room, '#');
    const ssize_t n = millrace_recv(to.get(), bytes.data(), room);
    EXPECT_GE(n, 0) << "errno " << errno;
    EXPECT_EQ(bytes.find_first_not_of('#', n < 0 ? 0 : n), std::string::npos) << "beyond";
    return bytes.substr(0, n < 0 ? 0 : n);
  }

  UniqueFd near_, far_;
};

TEST_F(SystemCallsTest, BytesCrossBothWays) {
  EXPECT_EQ(Send(near_, "hello"), 5);
  EXPECT_EQ(Receive(far_, 3), "hel") << "no more than there is room for";
  EXPECT_EQ(Receive(far_, 3), "lo");
  EXPECT_EQ(Send(far_, "back"), 4);
  EXPECT_EQ(Receive(near_, 100), "back");
}

TEST_F(SystemCallsTest, WhatWouldBlockSaysEagain) {
  char byte;
  errno = 0;
  EXPECT_EQ(millrace_recv(near_.get(), &byte, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
  const std::string bytes(65536, 'x');
  while (Send(near_, bytes) > 0) {
  }
  EXPECT_EQ(errno, EAGAIN);
}

TEST_F(SystemCallsTest, TheEndIsNothingMore) {
  Send(near_, "last");
  near_.Reset();
  EXPECT_EQ(Receive(far_, 100), "last");
  EXPECT_EQ(Receive(far_, 100), "");
}

TEST_F(SystemCallsTest, SendingToWhoIsGoneIsAnErrorAndNoSignal) {
  signal(SIGPIPE, SIG_DFL);  // To die of one, if there is one.
  far_.Reset();
  errno = 0;
  EXPECT_EQ(Send(near_, "anybody?"), -1);
  EXPECT_EQ(errno, EPIPE);
}

TEST_F(SystemCallsTest, WhatIsNoSocketIsAnError) {
  char byte = 'x';
  errno = 0;
  EXPECT_EQ(millrace_recv(-1, &byte, 1), -1);
  EXPECT_EQ(errno, EBADF);
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(millrace_send(null.get(), &byte, 1), -1);
  EXPECT_EQ(errno, ENOTSOCK);
}

}  // namespace
}  // namespace millrace
