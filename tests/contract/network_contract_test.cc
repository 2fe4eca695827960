// SPDX-License-Identifier: Apache-2.0
//
// What net/ asks of the kernel, and what the simulated one answers: the same stories on loopback
// sockets and in a SimNetwork. What the simulation claims about Linux is checked against Linux.
#include "tests/contract/network_contract.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <iterator>
#include <string>

#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/poller.h"

namespace millrace {
namespace {

TEST_P(NetworkContractTest, BytesGoBothWays) {
  Line line = MakeLine();
  EXPECT_EQ(Receive(line.near.get()), "EAGAIN");
  EXPECT_EQ(Send(line.far.get(), "hello"), 5);
  EXPECT_EQ(WaitAndReceive(line.near.get()), "'hello'");
  EXPECT_EQ(Send(line.near.get(), "world"), 5);
  EXPECT_EQ(WaitAndReceive(line.far.get()), "'world'");
  EXPECT_EQ(Receive(line.far.get()), "EAGAIN");
}

TEST_P(NetworkContractTest, WhatIsNotReadStays) {
  Line line = MakeLine();
  EXPECT_EQ(Send(line.far.get(), "hello"), 5);
  network_->WaitFor(line.near.get(), Io::kRead);
  EXPECT_EQ(Receive(line.near.get(), 2), "'he'");
  EXPECT_EQ(network_->Ready(line.near.get()), Io::kReadWrite);
  EXPECT_EQ(Receive(line.near.get()), "'llo'");
  EXPECT_EQ(network_->Ready(line.near.get()), Io::kWrite);
}

TEST_P(NetworkContractTest, ReadAndWriteDoAsRecvAndSend) {
  Line line = MakeLine();
  EXPECT_EQ(Answer(write(line.far.get(), "abc", 3)), 3);
  network_->WaitFor(line.near.get(), Io::kRead);
  char room[10];
  EXPECT_EQ(Answer(read(line.near.get(), room, sizeof(room))), 3);
  EXPECT_EQ(Answer(read(line.near.get(), room, sizeof(room))), -EAGAIN);
}

TEST_P(NetworkContractTest, PiecesAreGathered) {
  Line line = MakeLine();
  iovec pieces[] = {{const_cast<char*>("ab"), 2}, {nullptr, 0}, {const_cast<char*>("cd"), 2}};
  msghdr message = {};
  message.msg_iov = pieces;
  message.msg_iovlen = std::size(pieces);
  EXPECT_EQ(Answer(sendmsg(line.far.get(), &message, MSG_NOSIGNAL)), 4);
  EXPECT_EQ(WaitAndReceive(line.near.get()), "'abcd'");
}

TEST_P(NetworkContractTest, PartOfAFileIsSent) {
  Line line = MakeLine();
  char name[] = "/tmp/network_contract_XXXXXX";
  const UniqueFd file(mkstemp(name));
  unlink(name);
  ASSERT_EQ(write(file.get(), "0123456789", 10), 10);
  off_t offset = 3;
  EXPECT_EQ(Answer(sendfile(line.far.get(), file.get(), &offset, 4)), 4);
  EXPECT_EQ(offset, 7);
  EXPECT_EQ(WaitAndReceive(line.near.get()), "'3456'");
  offset = 10;
  EXPECT_EQ(Answer(sendfile(line.far.get(), file.get(), &offset, 4)), 0) << "the file is over";
  EXPECT_EQ(Answer(sendfile(line.far.get(), -1, &offset, 4)), -EBADF);
}

TEST_P(NetworkContractTest, WhoeverIsNotReadMustWait) {
  Line line = MakeLine();
  const std::string much(size_t{1} << 20, 'x');
  size_t sent = 0;
  for (int n = 0; (n = Send(line.far.get(), much)) > 0;) sent += n;
  EXPECT_EQ(Send(line.far.get(), much), -EAGAIN);
  size_t received = 0;
  while (received < sent) {
    network_->WaitFor(line.near.get(), Io::kRead);
    const std::string bytes = Receive(line.near.get(), much.size());
    ASSERT_EQ(bytes[0], '\'') << bytes;
    received += bytes.size() - 2;
  }
  network_->WaitFor(line.far.get(), Io::kWrite);
  EXPECT_GT(Send(line.far.get(), "more"), 0);
}

// Ends.

TEST_P(NetworkContractTest, AfterItsEndAPeerStillHears) {
  Line line = MakeLine();
  EXPECT_EQ(Send(line.far.get(), "last"), 4);
  EXPECT_EQ(Answer(shutdown(line.far.get(), SHUT_WR)), 0);
  EXPECT_EQ(Send(line.far.get(), "more"), -EPIPE);
  EXPECT_EQ(WaitAndReceive(line.near.get()), "'last'");
  EXPECT_EQ(WaitAndReceive(line.near.get()), "end");
  EXPECT_EQ(Receive(line.near.get()), "end") << "again and again";
  EXPECT_EQ(network_->Ready(line.near.get()), Io::kReadWrite);
  EXPECT_FALSE(network_->IsHungUp(line.near.get())) << "our direction is open";
  EXPECT_EQ(Send(line.near.get(), "answer"), 6);
  EXPECT_EQ(WaitAndReceive(line.far.get()), "'answer'");
}

TEST_P(NetworkContractTest, WhenBothHaveEndedItIsHungUp) {
  Line line = MakeLine();
  EXPECT_EQ(Answer(shutdown(line.far.get(), SHUT_WR)), 0);
  EXPECT_EQ(WaitAndReceive(line.near.get()), "end");
  EXPECT_EQ(Answer(shutdown(line.near.get(), SHUT_WR)), 0);
  network_->WaitForHangUp(line.near.get());
  network_->WaitForHangUp(line.far.get());
  EXPECT_EQ(Receive(line.far.get()), "end");
  EXPECT_EQ(Error(line.far.get()), 0);
}

TEST_P(NetworkContractTest, ClosingIsAnEndIfAllWasRead) {
  Line line = MakeLine();
  EXPECT_EQ(Send(line.far.get(), "bye"), 3);
  EXPECT_EQ(WaitAndReceive(line.near.get()), "'bye'");
  line.near.Reset();
  EXPECT_EQ(WaitAndReceive(line.far.get()), "end");
  EXPECT_EQ(Error(line.far.get()), 0);
}

TEST_P(NetworkContractTest, AnEndThatNobodyReadDoesNotReset) {
  Line line = MakeLine();
  EXPECT_EQ(Answer(shutdown(line.far.get(), SHUT_WR)), 0);
  network_->WaitFor(line.near.get(), Io::kRead);
  line.near.Reset();
  EXPECT_EQ(WaitAndReceive(line.far.get()), "end");
  EXPECT_EQ(Error(line.far.get()), 0);
}

// Resets.

TEST_P(NetworkContractTest, ClosingWithInputUnreadResets) {
  Line line = MakeLine();
  EXPECT_EQ(Send(line.far.get(), "unread"), 6);
  network_->WaitFor(line.near.get(), Io::kRead);
  line.near.Reset();
  network_->WaitForHangUp(line.far.get());
  EXPECT_EQ(network_->Ready(line.far.get()), Io::kReadWrite);
  EXPECT_EQ(Receive(line.far.get()), "ECONNRESET");
  EXPECT_EQ(Receive(line.far.get()), "end") << "the error is told once";
  EXPECT_EQ(Send(line.far.get(), "x"), -EPIPE);
  EXPECT_EQ(Answer(shutdown(line.far.get(), SHUT_WR)), -ENOTCONN);
}

TEST_P(NetworkContractTest, WhoSendsFirstHearsOfTheReset) {
  Line line = MakeLine();
  SetLinger(line.near.get(), 1, 0);
  line.near.Reset();
  network_->WaitForHangUp(line.far.get());
  EXPECT_EQ(Send(line.far.get(), "x"), -ECONNRESET);
  EXPECT_EQ(Send(line.far.get(), "x"), -EPIPE);
  EXPECT_EQ(Receive(line.far.get()), "end");
}

TEST_P(NetworkContractTest, WhoAsksForTheErrorTakesIt) {
  Line line = MakeLine();
  SetLinger(line.near.get(), 1, 0);
  line.near.Reset();
  network_->WaitForHangUp(line.far.get());
  EXPECT_EQ(Error(line.far.get()), ECONNRESET);
  EXPECT_EQ(Error(line.far.get()), 0);
  EXPECT_EQ(Receive(line.far.get()), "end");
  sockaddr_storage storage;
  socklen_t bytes = sizeof(storage);
  EXPECT_EQ(Answer(getpeername(line.far.get(), reinterpret_cast<sockaddr*>(&storage), &bytes)),
            -ENOTCONN);
}

TEST_P(NetworkContractTest, LingerOffDoesNotReset) {
  Line line = MakeLine();
  SetLinger(line.near.get(), 0, 0);
  line.near.Reset();
  EXPECT_EQ(WaitAndReceive(line.far.get()), "end");
}

TEST_P(NetworkContractTest, WhatHadArrivedIsReadBeforeTheReset) {
  Line line = MakeLine();
  EXPECT_EQ(Send(line.near.get(), "last"), 4);
  network_->WaitFor(line.far.get(), Io::kRead);
  SetLinger(line.near.get(), 1, 0);
  line.near.Reset();
  network_->WaitForHangUp(line.far.get());
  EXPECT_EQ(Receive(line.far.get()), "'last'");
  EXPECT_EQ(Receive(line.far.get()), "ECONNRESET");
}

TEST_P(NetworkContractTest, AfterThePeersEndAResetIsToldToWhoeverSends) {
  Line line = MakeLine();
  EXPECT_EQ(Answer(shutdown(line.near.get(), SHUT_WR)), 0);
  EXPECT_EQ(WaitAndReceive(line.far.get()), "end");
  SetLinger(line.near.get(), 1, 0);
  line.near.Reset();
  network_->WaitForHangUp(line.far.get());
  EXPECT_EQ(Receive(line.far.get()), "end") << "as before";
  EXPECT_EQ(Error(line.far.get()), EPIPE);
  EXPECT_EQ(Send(line.far.get(), "x"), -EPIPE);
}

TEST_P(NetworkContractTest, WhatComesForAClosedSocketResets) {
  Line line = MakeLine();
  line.near.Reset();
  EXPECT_EQ(WaitAndReceive(line.far.get()), "end");
  EXPECT_EQ(Send(line.far.get(), "too late"), 8);
  network_->WaitForHangUp(line.far.get());
  EXPECT_EQ(Send(line.far.get(), "x"), -EPIPE);
}

MILLRACE_ON_BOTH_NETWORKS(NetworkContractTest);

}  // namespace
}  // namespace millrace
