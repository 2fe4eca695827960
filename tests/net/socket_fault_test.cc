// SPDX-License-Identifier: Apache-2.0
//
// What Socket makes of each way in which the system may fail it.

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "net/io_result.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

class SocketFaultTest : public ::testing::Test {
 protected:
  SocketFaultTest() { std::tie(near_, far_) = Socket::Pair().value(); }

  IoResult WriteOne() { return near_.Write(absl::string_view(bytes_, 4)); }
  IoResult WriteTwo() { return near_.Write({{bytes_, 4}, {bytes_ + 4, 4}}); }
  IoResult Read(size_t room) { return far_.Read({bytes_, room}); }
  IoResult SendFile() {
    UniqueFd file(memfd_create("socket_fault_test", MFD_CLOEXEC));
    EXPECT_EQ(write(file.get(), bytes_, sizeof(bytes_)), 8);
    return near_.SendFile(file.get(), 0, 8);
  }

  // A listener for whom somebody waits.
  Socket AwaitedListener() {
    Socket listener = Socket::Create(AF_INET).value();
    EXPECT_TRUE(listener.Bind(SocketAddress::Loopback(0)).ok());
    EXPECT_TRUE(listener.Listen(1).ok());
    client_ = Socket::Create(AF_INET).value();
    EXPECT_TRUE(client_.Connect(listener.LocalAddress().value()).ok());
    pollfd polled = {.fd = listener.fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&polled, 1, -1), 1);
    return listener;
  }

  Socket near_, far_, client_;
  char bytes_[8] = {'0', '1', '2', '3', '4', '5', '6', '7'};
};

// It did nothing, and whoever waits for the descriptor hears at once that it can go on.
TEST_F(SocketFaultTest, SignalLeavesTheCallToBeMadeAgain) {
  const Fault signal = {.error = EINTR, .times = 1};
  const ScopedFault send(Call::kSend, signal), sendmsg(Call::kSendmsg, signal);
  const ScopedFault sendfile(Call::kSendfile, signal), recv(Call::kRecv, signal);
  EXPECT_EQ(WriteOne(), IoResult{IoResult::kWantWrite});
  EXPECT_EQ(WriteOne(), (IoResult{IoResult::kDone, 4}));
  EXPECT_EQ(WriteTwo(), IoResult{IoResult::kWantWrite});
  EXPECT_EQ(WriteTwo(), (IoResult{IoResult::kDone, 8}));
  EXPECT_EQ(SendFile(), IoResult{IoResult::kWantWrite});
  EXPECT_EQ(SendFile(), (IoResult{IoResult::kDone, 8}));
  EXPECT_EQ(Read(4), IoResult{IoResult::kWantRead});
  EXPECT_EQ(Read(4), (IoResult{IoResult::kDone, 4}));
  EXPECT_EQ(Read(8), (IoResult{IoResult::kDone, 8}));
}

TEST_F(SocketFaultTest, SignalsHaveAcceptingMadeAgain) {
  const ScopedFault fault(Call::kAccept4, {.error = EINTR, .times = 3});
  EXPECT_TRUE(AwaitedListener().Accept().socket.valid());
  EXPECT_TRUE(fault.spent());
}

TEST_F(SocketFaultTest, SignalLeavesConnectingUnderWay) {
  Socket listener = AwaitedListener();
  Socket socket = Socket::Create(AF_INET).value();
  const ScopedFault fault(Call::kConnect, {.error = EINTR, .times = 1});
  EXPECT_EQ(socket.Connect(listener.LocalAddress().value()).value(),
            IoResult{IoResult::kWantWrite});
  EXPECT_TRUE(fault.spent());
}

TEST_F(SocketFaultTest, LittleGetsThroughAtATime) {
  const Fault little = {.short_bytes = 1};
  const ScopedFault send(Call::kSend, little), sendmsg(Call::kSendmsg, little);
  const ScopedFault sendfile(Call::kSendfile, little);
  EXPECT_EQ(WriteOne(), (IoResult{IoResult::kDone, 1}));
  EXPECT_EQ(WriteTwo(), (IoResult{IoResult::kDone, 1}));
  EXPECT_EQ(SendFile(), (IoResult{IoResult::kDone, 1}));
  const ScopedFault recv(Call::kRecv, little);
  EXPECT_EQ(Read(4), (IoResult{IoResult::kDone, 1}));
}

TEST_F(SocketFaultTest, WouldBlockIsNoError) {
  const Fault full = {.error = EAGAIN};
  const ScopedFault send(Call::kSend, full), sendmsg(Call::kSendmsg, full);
  const ScopedFault sendfile(Call::kSendfile, full);
  EXPECT_EQ(WriteOne(), IoResult{IoResult::kWantWrite});
  EXPECT_EQ(WriteTwo(), IoResult{IoResult::kWantWrite});
  EXPECT_EQ(SendFile(), IoResult{IoResult::kWantWrite});
  const ScopedFault recv(Call::kRecv, full);
  EXPECT_EQ(Read(4), IoResult{IoResult::kWantRead});
}

// Which of them the connection survives is not for the socket to say: each is an error, once.
TEST_F(SocketFaultTest, EveryOtherErrorIsAFailureThatNamesTheCall) {
  for (int error : {EPIPE, ECONNRESET, ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ENETDOWN,
                    ENOTCONN, ENOBUFS, ENOMEM, EIO, EBADF, EPERM}) {
    const Fault broken = {.error = error, .times = 1};
    const ScopedFault faults[] = {
        ScopedFault(Call::kSend, broken),
        ScopedFault(Call::kSendmsg, broken),
        ScopedFault(Call::kSendfile, broken),
        ScopedFault(Call::kRecv, broken),
    };
    EXPECT_EQ(WriteOne(), IoResult::Failed(IoCall::kSend, error));
    EXPECT_EQ(WriteTwo(), IoResult::Failed(IoCall::kSend, error));
    EXPECT_EQ(SendFile(), IoResult::Failed(IoCall::kSendfile, error));
    EXPECT_EQ(Read(4), IoResult::Failed(IoCall::kRecv, error));
    for (const ScopedFault& fault : faults) EXPECT_TRUE(fault.spent());
  }
}

TEST_F(SocketFaultTest, EveryErrorOfAcceptIsHandedOnAndTheNextIsTaken) {
  for (int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT,
                    EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, EPERM, ETIMEDOUT}) {
    Socket listener = AwaitedListener();
    const ScopedFault fault(Call::kAccept4, {.error = error, .times = 1});
    const Socket::Accepted failed = listener.Accept();
    EXPECT_EQ(failed.error, error);
    EXPECT_FALSE(failed.socket.valid());
    const Socket::Accepted next = listener.Accept();
    EXPECT_EQ(next.error, 0);
    EXPECT_TRUE(next.socket.valid());
  }
}

// A file in the current folder whose name, with an "@" first, would be read as another one's.
TEST_F(SocketFaultTest, PeerWhoseAddressCannotBeToldIsNotTaken) {
  ASSERT_EQ(chdir(::testing::TempDir().c_str()), 0);
  sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = {}};
  memset(name.sun_path, '@', sizeof(name.sun_path) - 1);
  unlink(name.sun_path);
  const SocketAddress address = SocketAddress::Unix(absl::StrCat("@socket_fault_test-", getpid()));
  Socket listener = Socket::CreateFor(address).value();
  ASSERT_TRUE(listener.Bind(address).ok());
  ASSERT_TRUE(listener.Listen(1).ok());
  Socket client = Socket::CreateFor(address).value();
  ASSERT_EQ(bind(client.fd(), reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  ASSERT_TRUE(client.Connect(address).ok());
  const Socket::Accepted accepted = listener.Accept();
  EXPECT_EQ(accepted.error, EAFNOSUPPORT);
  EXPECT_FALSE(accepted.socket.valid());
  unlink(name.sun_path);
}

TEST_F(SocketFaultTest, ConnectsErrorsNameTheAddress) {
  const ScopedFault fault(Call::kConnect, {.error = ENETUNREACH});
  EXPECT_EQ(client_.Connect(SocketAddress::Parse("10.0.0.1:80").value()).status(),
            absl::ErrnoToStatus(ENETUNREACH, "connect 10.0.0.1:80"));
}

TEST_F(SocketFaultTest, AnyIsIpv4WhereThereIsNoIpv6) {
  const ScopedFault no_ipv6(Call::kSocket, {.error = EAFNOSUPPORT, .times = 1});
  const SocketAddress any = SocketAddress::Any(0);
  Socket listener = Socket::CreateFor(any).value();
  EXPECT_TRUE(no_ipv6.spent());
  ASSERT_TRUE(listener.Bind(any).ok());
  const SocketAddress address = listener.LocalAddress().value();
  EXPECT_EQ(address, SocketAddress::Parse("0.0.0.0:0")->WithPort(address.port()));
}

TEST_F(SocketFaultTest, OutOfDescriptorsIsAnErrorOfSocket) {
  const ScopedFault none_left(Call::kSocket, {.error = EMFILE});
  EXPECT_EQ(Socket::CreateFor(SocketAddress::Any(0)).status(),
            absl::ErrnoToStatus(EMFILE, "socket"));
  EXPECT_EQ(Socket::CreateFor(SocketAddress()).status(), absl::ErrnoToStatus(EMFILE, "socket"));
}

TEST_F(SocketFaultTest, RefusedOptionIsNamed) {
  const ScopedFault fault(Call::kSetsockopt, {.error = ENOPROTOOPT});
  Socket socket = Socket::Create(AF_INET6).value();
  EXPECT_TRUE(absl::StartsWith(socket.SetNoDelay().message(), "setsockopt TCP_NODELAY: "));
  EXPECT_TRUE(absl::StartsWith(socket.SetReuseAddress().message(), "setsockopt SO_REUSEADDR: "));
  EXPECT_TRUE(
      absl::StartsWith(socket.Bind(SocketAddress::Any(0)).message(), "setsockopt IPV6_V6ONLY: "));
}

// What the fast paths cost.
TEST_F(SocketFaultTest, OnePieceTakesTheShortestWay) {
  const ScopedFault send(Call::kSend), sendmsg(Call::kSendmsg);
  const ScopedFault recv(Call::kRecv);
  EXPECT_TRUE(WriteOne().ok());
  EXPECT_TRUE(Read(4).ok());
  EXPECT_EQ(send.hits(), 1);
  EXPECT_EQ(recv.hits(), 1);
  EXPECT_EQ(sendmsg.hits(), 0);
}

TEST_F(SocketFaultTest, AcceptingAsksNothingMore) {
  Socket listener = AwaitedListener();
  const ScopedFault accept(Call::kAccept4), get(Call::kGetsockopt), set(Call::kSetsockopt);
  Socket::Accepted accepted = listener.Accept();
  EXPECT_TRUE(accepted.socket.valid());
  EXPECT_EQ(accept.hits(), 1);
  EXPECT_EQ(get.hits() + set.hits(), 0);
}

TEST_F(SocketFaultTest, UnixSocketsAreNotAskedForTcp) {
  const ScopedFault set(Call::kSetsockopt);
  EXPECT_TRUE(near_.SetNoDelay().ok());
  EXPECT_TRUE(near_.SetKeepAlive({}).ok());
  EXPECT_EQ(set.hits(), 0);
}

}  // namespace
}  // namespace millrace
