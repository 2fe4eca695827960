// SPDX-License-Identifier: Apache-2.0
//
// The test plays the service manager: it puts sockets where a new process would find them, at 3 and
// on, and gives what was there before its place back.
#include "net/restart/inherited_sockets.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/acceptor.h"
#include "net/limits.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "tests/support/socket_pair.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

constexpr int kFirst = 3;

class InheritedSocketsTest : public ::testing::Test {
 protected:
  InheritedSocketsTest() {
    for (int i = 0; i < 4; ++i) saved_.push_back(fcntl(kFirst + i, F_DUPFD_CLOEXEC, 100));
    Say("LISTEN_PID", absl::StrCat(getpid()));
  }
  ~InheritedSocketsTest() override {
    for (int i = 0; i < 4; ++i) {
      if (saved_[i] < 0) {
        close(kFirst + i);
      } else {
        dup2(saved_[i], kFirst + i);
        close(saved_[i]);
      }
    }
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
      EXPECT_EQ(getenv(name), nullptr) << "left for children: " << name;
      unsetenv(name);
    }
  }

  static void Say(const char* name, const std::string& value) { setenv(name, value.c_str(), 1); }
  // As a manager leaves it: blocking, and open in children.
  void Give(Socket socket) {
    // Out of the way of the numbers that are given.
    const UniqueFd fd(fcntl(socket.fd(), F_DUPFD_CLOEXEC, 50));
    socket = Socket();
    fcntl(fd.get(), F_SETFL, 0);
    ASSERT_EQ(dup2(fd.get(), kFirst + given_), kFirst + given_);
    Say("LISTEN_FDS", absl::StrCat(++given_));
  }
  SocketAddress GiveListening() {
    Socket socket = ListenAt(SocketAddress::Loopback(0), {}).value();
    const SocketAddress address = socket.LocalAddress().value();
    Give(std::move(socket));
    return address;
  }
  void ExpectRefused(absl::string_view named, absl::string_view reason) {
    const absl::Status status = TakeInheritedSockets().status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(named));
    EXPECT_THAT(std::string(status.message()), HasSubstr(reason));
  }

  int given_ = 0;
  std::vector<int> saved_;
};

TEST_F(InheritedSocketsTest, AreTakenInOrderWithTheirNames) {
  const SocketAddress first = GiveListening(), second = GiveListening();
  Say("LISTEN_FDNAMES", "web:admin");
  const std::vector<InheritedSocket> sockets = TakeInheritedSockets().value();
  ASSERT_EQ(sockets.size(), 2u);
  EXPECT_EQ(sockets[0].socket.LocalAddress().value(), first);
  EXPECT_EQ(sockets[1].socket.LocalAddress().value(), second);
  EXPECT_EQ(sockets[0].name, "web");
  EXPECT_EQ(sockets[1].name, "admin");
  EXPECT_EQ(fcntl(sockets[0].socket.fd(), F_GETFD), FD_CLOEXEC);
  EXPECT_NE(fcntl(sockets[0].socket.fd(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(InheritedSocketsTest, NeedNoNames) {
  GiveListening();
  const std::vector<InheritedSocket> sockets = TakeInheritedSockets().value();
  ASSERT_EQ(sockets.size(), 1u);
  EXPECT_EQ(sockets[0].name, "");
}

TEST_F(InheritedSocketsTest, WithoutTheVariablesThereAreNone) {
  unsetenv("LISTEN_PID");
  EXPECT_TRUE(TakeInheritedSockets().value().empty());
  Say("LISTEN_PID", absl::StrCat(getpid()));
  EXPECT_TRUE(TakeInheritedSockets().value().empty()) << "no number of them";
  GiveListening();
  unsetenv("LISTEN_PID");
  EXPECT_TRUE(TakeInheritedSockets().value().empty()) << "nobody knows for whom";
}

TEST_F(InheritedSocketsTest, ThoseOfAnotherProcessAreLeftAlone) {
  GiveListening();
  Say("LISTEN_PID", absl::StrCat(getppid()));
  EXPECT_TRUE(TakeInheritedSockets().value().empty());
  EXPECT_GE(fcntl(kFirst, F_GETFD), 0);
}

TEST_F(InheritedSocketsTest, NumbersThatAreNoneAreRefused) {
  for (const char* text : {"", "x", "0", "-1", "1 2", "65", "99999999999"}) {
    Say("LISTEN_FDS", text);
    Say("LISTEN_PID", absl::StrCat(getpid()));
    ExpectRefused(absl::StrCat("LISTEN_FDS=", text), "from 1 to 64");
  }
  for (const char* text : {"", "me", "0", "-3"}) {
    Say("LISTEN_FDS", "1");
    Say("LISTEN_PID", text);
    ExpectRefused(absl::StrCat("LISTEN_PID=", text), "must be a whole number");
  }
}

TEST_F(InheritedSocketsTest, AsManyNamesAsSockets) {
  GiveListening();
  Say("LISTEN_FDNAMES", "web:admin");
  ExpectRefused("LISTEN_FDNAMES=web:admin", "2 names for LISTEN_FDS=1");
}

TEST_F(InheritedSocketsTest, WhatDoesNotListenIsRefusedByItsNumber) {
  GiveListening();
  Give(UnixPair().first);
  ExpectRefused("descriptor 4", "a socket that does not listen");
}

TEST_F(InheritedSocketsTest, WhatIsNoStreamSocketIsRefusedByItsNumberAndName) {
  Give(Socket(UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))));
  Say("LISTEN_FDNAMES", "dns");
  ExpectRefused("descriptor 3 (dns)", "not a stream socket");
}

TEST_F(InheritedSocketsTest, WhatIsNoSocketOrNotThereIsRefused) {
  Give(Socket(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC))));
  ExpectRefused("descriptor 3", "Socket operation on non-socket");
  Say("LISTEN_PID", absl::StrCat(getpid()));
  Say("LISTEN_FDS", "1");
  close(kFirst);
  ExpectRefused("descriptor 3", "Bad file descriptor");
}

}  // namespace
}  // namespace millrace
