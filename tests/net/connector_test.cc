// SPDX-License-Identifier: Apache-2.0
#include "net/connector.h"

#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/acceptor.h"
#include "net/socket_address.h"
#include "tests/support/fault_injection.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

class ConnectorTest : public ::testing::Test {
 protected:
  ConnectorTest() : listener_(ListenAt(SocketAddress::Loopback(0), {}).value()) {
    address_ = listener_.LocalAddress().value();
  }
  void Connect(const SocketAddress& address, ConnectOptions options = {}) {
    connector_->Connect(address, options,
                        [this](absl::StatusOr<Socket> socket) { result_ = std::move(socket); });
  }
  bool HasResult() {
    return loop_.StepUntil([&] { return result_.has_value(); });
  }
  // An address whose listener never answers: its backlog is full.
  SocketAddress FullListener() {
    full_ = ListenAt(SocketAddress::Loopback(0), {.backlog = 0}).value();
    const SocketAddress address = full_.LocalAddress().value();
    for (int i = 0; i < 4; ++i) {
      fillers_.push_back(Socket::Create(AF_INET).value());
      EXPECT_TRUE(fillers_.back().Connect(address).ok());
    }
    return address;
  }

  TestLoop loop_;
  Socket listener_, full_;
  std::vector<Socket> fillers_;
  SocketAddress address_ = SocketAddress::Any(0);
  std::unique_ptr<Connector> connector_ = std::make_unique<Connector>(*loop_);
  std::optional<absl::StatusOr<Socket>> result_;
};

TEST_F(ConnectorTest, Connects) {
  Connect(address_);
  EXPECT_TRUE(connector_->connecting());
  EXPECT_FALSE(result_.has_value()) << "never from inside Connect()";
  ASSERT_TRUE(HasResult());
  ASSERT_TRUE(result_->ok()) << result_->status();
  EXPECT_EQ((*result_)->PeerAddress().value(), address_);
  EXPECT_FALSE(connector_->connecting());
}

TEST_F(ConnectorTest, RefusedSaysWhereAndWhy) {
  listener_ = Socket();
  Connect(address_);
  ASSERT_TRUE(HasResult());
  EXPECT_EQ(result_->status().code(), absl::ErrnoToStatusCode(ECONNREFUSED));
  EXPECT_THAT(result_->status().message(), HasSubstr(address_.ToString()));
  EXPECT_THAT(result_->status().message(), HasSubstr("refused"));
}

TEST_F(ConnectorTest, AfterALoopStoodStillAnAnswerThatCameInTimeCounts) {
  Connect(address_, {.timeout = absl::Seconds(3)});
  const ScopedFault interrupted(Call::kEpollWait, {.error = EINTR, .times = 1});
  loop_.Advance(absl::Seconds(4));
  ASSERT_TRUE(result_.has_value());
  EXPECT_TRUE(result_->ok()) << result_->status();
}

TEST_F(ConnectorTest, GivesUpWhenItsTimeIsOver) {
  Connect(FullListener(), {.timeout = absl::Seconds(3)});
  loop_.Steps(3);
  loop_.Advance(absl::Milliseconds(2999));
  EXPECT_FALSE(result_.has_value());
  loop_.Advance(absl::Milliseconds(1));
  ASSERT_TRUE(result_.has_value());
  EXPECT_TRUE(absl::IsDeadlineExceeded(result_->status())) << result_->status();
}

TEST_F(ConnectorTest, DestroyedWhileConnectingNobodyHears) {
  Connect(FullListener());
  loop_.Step();
  connector_.reset();
  loop_.Advance(absl::Minutes(1));
  EXPECT_FALSE(result_.has_value());
}

TEST_F(ConnectorTest, DestroyedWithTheResultOnItsWay) {
  for (int i = 0; i < 100; ++i) {
    Connect(address_);
    connector_ = std::make_unique<Connector>(*loop_);
  }
  loop_.Steps(3);
  EXPECT_FALSE(result_.has_value());
}

TEST_F(ConnectorTest, MayBeDestroyedByItsResult) {
  bool told = false;
  connector_->Connect(address_, {}, [&](absl::StatusOr<Socket>) {
    connector_.reset();
    told = true;
  });
  EXPECT_TRUE(loop_.StepUntil([&] { return told; }));
}

TEST_F(ConnectorTest, MayConnectAgainFromItsResult) {
  int results = 0;
  connector_->Connect(address_, {}, [&](absl::StatusOr<Socket>) {
    ++results;
    Connect(address_);
  });
  ASSERT_TRUE(HasResult());
  EXPECT_TRUE(result_->ok());
  EXPECT_EQ(results, 1);
}

TEST_F(ConnectorTest, BindsTheLocalAddress) {
  const SocketAddress local = SocketAddress::Parse("127.0.0.2:0").value();
  Connect(address_, {.local_address = local});
  ASSERT_TRUE(HasResult());
  EXPECT_THAT((*result_)->LocalAddress().value().ToString(), HasSubstr("127.0.0.2:"));
}

TEST_F(ConnectorTest, LocalAddressThatIsNotOursIsToldLater) {
  Connect(address_, {.local_address = SocketAddress::Parse("192.0.2.1:0").value()});
  EXPECT_FALSE(result_.has_value());
  ASSERT_TRUE(HasResult());
  EXPECT_THAT(result_->status().message(), HasSubstr("192.0.2.1"));
}

TEST_F(ConnectorTest, ConnectingToItselfIsNoConnection) {
  // With its own port to come from and to go to, TCP's simultaneous open connects the socket to
  // itself.
  listener_ = Socket();
  Connect(address_, {.local_address = address_});
  ASSERT_TRUE(HasResult());
  EXPECT_THAT(result_->status().message(), HasSubstr("connected to itself"));
}

TEST_F(ConnectorTest, OutOfDescriptorsIsAStatus) {
  ScopedFault fault(Call::kSocket, {.error = EMFILE, .times = 1});
  Connect(address_);
  ASSERT_TRUE(HasResult());
  EXPECT_EQ(result_->status().code(), absl::ErrnoToStatusCode(EMFILE));
  EXPECT_THAT(result_->status().message(), HasSubstr(address_.ToString()));
}

TEST_F(ConnectorTest, InterruptedConnectGoesOn) {
  ScopedFault fault(Call::kConnect, {.error = EINTR, .times = 1});
  Connect(FullListener(), {.timeout = absl::Seconds(1)});
  EXPECT_EQ(fault.hits(), 1);
  // The call was not made, so nothing comes of it: but it is waited for, and not taken for failed.
  EXPECT_TRUE(connector_->connecting());
}

TEST_F(ConnectorTest, PollerThatCannotWatchIsAStatus) {
  ScopedFault fault(Call::kEpollCtl, {.error = ENOSPC, .times = 1});
  Connect(address_);
  ASSERT_TRUE(HasResult());
  EXPECT_FALSE(result_->ok());
  EXPECT_EQ(fault.hits(), 1);
}

TEST_F(ConnectorTest, FullUnixListenerIsToldAndNotWaitedFor) {
  const SocketAddress address = SocketAddress::Parse("unix:@millrace-connector-test").value();
  full_ = ListenAt(address, {.backlog = 0}).value();
  for (int i = 0; i < 4; ++i) {
    fillers_.push_back(Socket::CreateFor(address).value());
    fillers_.back().Connect(address).IgnoreError();
  }
  Connect(address);
  ASSERT_TRUE(HasResult());
  EXPECT_TRUE(absl::IsResourceExhausted(result_->status())) << result_->status();
}

}  // namespace
}  // namespace millrace
