// SPDX-License-Identifier: Apache-2.0
//
// The other half of tests/contract/network_contract_test.cc: names, listeners, attempts to connect,
// descriptors, and calls at the wrong time.
#include <errno.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/poller.h"
#include "net/socket_address.h"
#include "tests/contract/network_contract.h"

namespace millrace {
namespace {

// Names.

TEST_P(NetworkContractTest, BothEndsAgreeOnTheirNames) {
  Line line = MakeLine();
  EXPECT_EQ(PeerName(line.far.get()), LocalName(line.listener.get()));
  EXPECT_EQ(LocalName(line.near.get()), LocalName(line.listener.get()));
  EXPECT_EQ(PeerName(line.near.get()), LocalName(line.far.get()));
}

TEST_P(NetworkContractTest, AcceptTellsWhoCame) {
  UniqueFd listener = Listen();
  UniqueFd client = MakeSocket();
  Connect(client.get(), LocalName(listener.get()));
  network_->WaitFor(listener.get(), Io::kRead);
  sockaddr_storage storage;
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  socklen_t bytes = sizeof(storage);
  UniqueFd accepted(accept4(listener.get(), address, &bytes, SOCK_NONBLOCK));
  ASSERT_TRUE(accepted.valid());
  EXPECT_EQ(SocketAddress::FromSockaddr(address, bytes).value(), LocalName(client.get()));
}

TEST_P(NetworkContractTest, PortZeroPicksAFreeOne) {
  UniqueFd one = Listen();
  UniqueFd two = Listen();
  EXPECT_NE(LocalName(one.get()).port(), 0);
  EXPECT_NE(LocalName(two.get()).port(), 0);
  EXPECT_NE(LocalName(one.get()), LocalName(two.get()));
}

TEST_P(NetworkContractTest, APortIsTakenUntilItsListenerIsClosed) {
  UniqueFd first = Listen();
  const SocketAddress address = LocalName(first.get());
  UniqueFd second = MakeSocket();
  EXPECT_EQ(Bind(second.get(), address), -EADDRINUSE);
  first.Reset();
  EXPECT_EQ(Bind(second.get(), address), 0);
  EXPECT_EQ(Bind(second.get(), address), -EINVAL) << "has its name already";
}

TEST_P(NetworkContractTest, AnyAddressTakesThePortOfAll) {
  UniqueFd any = MakeSocket();
  ASSERT_EQ(Bind(any.get(), SocketAddress::Parse("0.0.0.0:0").value()), 0);
  UniqueFd one = MakeSocket();
  EXPECT_EQ(Bind(one.get(), SocketAddress::Loopback(LocalName(any.get()).port())), -EADDRINUSE);
}

TEST_P(NetworkContractTest, OneAddressKeepsAnyFromItsPort) {
  UniqueFd one = Listen();
  const uint16_t port = LocalName(one.get()).port();
  UniqueFd any = MakeSocket();
  EXPECT_EQ(Bind(any.get(), SocketAddress::Parse("0.0.0.0:0").value().WithPort(port)), -EADDRINUSE);
}

TEST_P(NetworkContractTest, APortIsSharedIfAllAgree) {
  UniqueFd sockets[] = {MakeSocket(), MakeSocket(), MakeSocket()};
  SetOption(sockets[0].get(), SOL_SOCKET, SO_REUSEPORT, 1);
  SetOption(sockets[1].get(), SOL_SOCKET, SO_REUSEPORT, 1);
  ASSERT_EQ(Bind(sockets[0].get(), SocketAddress::Loopback(0)), 0);
  const SocketAddress address = LocalName(sockets[0].get());
  EXPECT_EQ(Bind(sockets[1].get(), address), 0);
  EXPECT_EQ(Bind(sockets[2].get(), address), -EADDRINUSE);
}

TEST_P(NetworkContractTest, ListeningWithoutANameTakesAPort) {
  UniqueFd fd = MakeSocket();
  EXPECT_EQ(Answer(listen(fd.get(), 1)), 0);
  EXPECT_NE(LocalName(fd.get()).port(), 0);
}

TEST_P(NetworkContractTest, Ipv6AnyTakesIpv4UnlessToldNot) {
  for (const bool only_ipv6 : {false, true}) {
    UniqueFd listener = MakeSocket(AF_INET6);
    if (!listener.valid()) GTEST_SKIP() << "no IPv6 here";
    SetOption(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, only_ipv6);
    ASSERT_EQ(Bind(listener.get(), SocketAddress::Parse("[::]:0").value()), 0);
    ASSERT_EQ(Answer(listen(listener.get(), 1)), 0);
    UniqueFd client = MakeSocket();
    Connect(client.get(), SocketAddress::Loopback(LocalName(listener.get()).port()));
    network_->WaitFor(client.get(), Io::kWrite);
    EXPECT_EQ(Error(client.get()), only_ipv6 ? ECONNREFUSED : 0);
  }
}

TEST_P(NetworkContractTest, AnAddressOfAnotherFamilyIsRefused) {
  UniqueFd fd = MakeSocket();
  EXPECT_EQ(Connect(fd.get(), SocketAddress::Parse("[::1]:7").value()), -EAFNOSUPPORT);
  EXPECT_EQ(Bind(fd.get(), SocketAddress::Parse("[::1]:0").value()), -EAFNOSUPPORT);
}

// Connecting.

TEST_P(NetworkContractTest, NobodyListensSoItIsRefused) {
  UniqueFd bound = MakeSocket();
  ASSERT_EQ(Bind(bound.get(), SocketAddress::Loopback(0)), 0);
  UniqueFd client = MakeSocket();
  const int answer = Connect(client.get(), LocalName(bound.get()));
  if (answer == -ECONNREFUSED) return;  // As fast as that.
  EXPECT_EQ(answer, -EINPROGRESS);
  network_->WaitForHangUp(client.get());
  EXPECT_EQ(network_->Ready(client.get()), Io::kReadWrite);
  EXPECT_EQ(Error(client.get()), ECONNREFUSED);
  EXPECT_EQ(Error(client.get()), 0);
  EXPECT_EQ(Receive(client.get()), "end");
}

TEST_P(NetworkContractTest, ARefusalIsToldByRecvToo) {
  UniqueFd bound = MakeSocket();
  ASSERT_EQ(Bind(bound.get(), SocketAddress::Loopback(0)), 0);
  UniqueFd client = MakeSocket();
  if (Connect(client.get(), LocalName(bound.get())) == -ECONNREFUSED) return;
  network_->WaitForHangUp(client.get());
  EXPECT_EQ(Receive(client.get()), "ECONNREFUSED");
}

TEST_P(NetworkContractTest, AcceptingWhenNobodyWaitsWouldBlock) {
  UniqueFd listener = Listen();
  EXPECT_EQ(Accept(listener.get()), -EAGAIN);
  EXPECT_EQ(network_->Ready(listener.get()), Io::kNone);
}

TEST_P(NetworkContractTest, ALineIsConnectedBeforeItIsAccepted) {
  UniqueFd listener = Listen();
  UniqueFd client = MakeSocket();
  Connect(client.get(), LocalName(listener.get()));
  network_->WaitFor(client.get(), Io::kWrite);
  EXPECT_EQ(Send(client.get(), "early"), 5);
  UniqueFd accepted(Accept(listener.get()));
  EXPECT_EQ(WaitAndReceive(accepted.get()), "'early'");
}

TEST_P(NetworkContractTest, WhoeverLeavesTheQueueIsStillAccepted) {
  UniqueFd listener = Listen();
  UniqueFd client = MakeSocket();
  Connect(client.get(), LocalName(listener.get()));
  network_->WaitFor(listener.get(), Io::kRead);
  network_->WaitFor(client.get(), Io::kWrite);
  client.Reset();
  UniqueFd accepted(Accept(listener.get()));
  EXPECT_EQ(WaitAndReceive(accepted.get()), "end");
}

TEST_P(NetworkContractTest, AListenerThatClosesResetsThoseWhoWait) {
  UniqueFd listener = Listen();
  UniqueFd client = MakeSocket();
  Connect(client.get(), LocalName(listener.get()));
  network_->WaitFor(client.get(), Io::kWrite);
  listener.Reset();
  network_->WaitForHangUp(client.get());
  EXPECT_EQ(Receive(client.get()), "ECONNRESET");
}

TEST_P(NetworkContractTest, AFullQueueLetsNobodyIn) {
  UniqueFd listener = Listen(SocketAddress::Loopback(0), /*backlog=*/0);
  UniqueFd first = MakeSocket(), second = MakeSocket();
  Connect(first.get(), LocalName(listener.get()));
  network_->WaitFor(listener.get(), Io::kRead);
  Connect(second.get(), LocalName(listener.get()));
  EXPECT_EQ(network_->Ready(second.get()), Io::kNone);
  UniqueFd accepted(Accept(listener.get()));
  EXPECT_TRUE(accepted.valid());
  EXPECT_EQ(Accept(listener.get()), -EAGAIN) << "there was room for one";
}

// Descriptors.

TEST_P(NetworkContractTest, TheLowestFreeNumberIsTaken) {
  UniqueFd fds[] = {MakeSocket(), MakeSocket(), MakeSocket()};
  const int middle = fds[1].get();
  fds[1].Reset();
  EXPECT_EQ(MakeSocket().get(), middle);
  UniqueFd event(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  EXPECT_EQ(event.get(), middle);
}

TEST_P(NetworkContractTest, WithoutDescriptorsNothingIsAccepted) {
  UniqueFd listener = Listen();
  UniqueFd client = MakeSocket();
  network_->ForbidDescriptors();
  EXPECT_EQ(Answer(socket(AF_INET, SOCK_STREAM, 0)), -EMFILE);
  EXPECT_EQ(Answer(eventfd(0, 0)), -EMFILE);
  EXPECT_EQ(Accept(listener.get()), -EMFILE) << "even if nobody waits";
  Connect(client.get(), LocalName(listener.get()));
  network_->WaitFor(listener.get(), Io::kRead);
  EXPECT_EQ(Accept(listener.get()), -EMFILE);
  network_->AllowDescriptors();
  EXPECT_TRUE(UniqueFd(Accept(listener.get())).valid()) << "who waited is not lost";
}

TEST_P(NetworkContractTest, ADescriptorThatIsClosedIsNone) {
  const int fd = MakeSocket().get();
  EXPECT_EQ(Answer(close(fd)), -EBADF);
  EXPECT_EQ(Receive(fd), "EBADF");
  EXPECT_EQ(Send(fd, "x"), -EBADF);
  EXPECT_EQ(Accept(fd), -EBADF);
  EXPECT_EQ(Connect(fd, SocketAddress::Loopback(7)), -EBADF);
  EXPECT_EQ(Bind(fd, SocketAddress::Loopback(0)), -EBADF);
  EXPECT_EQ(Answer(listen(fd, 1)), -EBADF);
  EXPECT_EQ(Answer(shutdown(fd, SHUT_WR)), -EBADF);
}

// Calls at the wrong time.

TEST_P(NetworkContractTest, ASocketThatWasNeverConnected) {
  UniqueFd fd = MakeSocket();
  EXPECT_EQ(Receive(fd.get()), "ENOTCONN");
  EXPECT_EQ(Send(fd.get(), "x"), -EPIPE);
  EXPECT_EQ(Answer(shutdown(fd.get(), SHUT_WR)), -ENOTCONN);
  EXPECT_EQ(Accept(fd.get()), -EINVAL);
  EXPECT_EQ(network_->Ready(fd.get()), Io::kReadWrite);
  EXPECT_TRUE(network_->IsHungUp(fd.get()));
}

TEST_P(NetworkContractTest, AListenerIsNoLine) {
  UniqueFd listener = Listen();
  EXPECT_EQ(Receive(listener.get()), "ENOTCONN");
  EXPECT_EQ(Send(listener.get(), "x"), -EPIPE);
  EXPECT_EQ(Connect(listener.get(), SocketAddress::Loopback(7)), -EISCONN);
}

TEST_P(NetworkContractTest, ALineIsNoListener) {
  Line line = MakeLine();
  EXPECT_EQ(Accept(line.near.get()), -EINVAL);
  EXPECT_EQ(Answer(listen(line.near.get(), 1)), -EINVAL);
  EXPECT_EQ(Connect(line.near.get(), SocketAddress::Loopback(7)), -EISCONN);
}

TEST_P(NetworkContractTest, AnEventfdCounts) {
  UniqueFd event(eventfd(4, EFD_NONBLOCK | EFD_CLOEXEC));
  uint64_t count = 0;
  EXPECT_EQ(Answer(read(event.get(), &count, sizeof(count))), static_cast<int>(sizeof(count)));
  EXPECT_EQ(count, 4u);
  EXPECT_EQ(network_->Ready(event.get()), Io::kWrite);
  EXPECT_EQ(Answer(read(event.get(), &count, sizeof(count))), -EAGAIN);
  for (const uint64_t add : {2, 3}) {
    EXPECT_EQ(Answer(write(event.get(), &add, sizeof(add))), static_cast<int>(sizeof(add)));
  }
  EXPECT_EQ(network_->Ready(event.get()), Io::kReadWrite);
  EXPECT_EQ(Answer(read(event.get(), &count, sizeof(count))), static_cast<int>(sizeof(count)));
  EXPECT_EQ(count, 5u);
  EXPECT_EQ(network_->Ready(event.get()), Io::kWrite);
}

TEST_P(NetworkContractTest, AnEventfdIsNoSocket) {
  UniqueFd event(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  EXPECT_EQ(Receive(event.get()), "ENOTSOCK");
  EXPECT_EQ(Send(event.get(), "x"), -ENOTSOCK);
  EXPECT_EQ(Accept(event.get()), -ENOTSOCK);
  EXPECT_EQ(Connect(event.get(), SocketAddress::Loopback(7)), -ENOTSOCK);
  EXPECT_EQ(Answer(listen(event.get(), 1)), -ENOTSOCK);
  EXPECT_EQ(Answer(shutdown(event.get(), SHUT_WR)), -ENOTSOCK);
}

MILLRACE_ON_BOTH_NETWORKS(NetworkContractTest);

}  // namespace
}  // namespace millrace
