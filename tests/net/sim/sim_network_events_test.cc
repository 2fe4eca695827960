// SPDX-License-Identifier: Apache-2.0
//
// What is under way, and what goes wrong there. What the calls answer is asked by the contract
// tests, tests/contract/network_contract_test.cc and network_names_contract_test.cc.
#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "net/io_result.h"
#include "net/poller.h"
#include "net/sim/sim_clock.h"
#include "net/sim/sim_faults.h"
#include "net/sim/sim_network.h"
#include "net/socket.h"
#include "net/socket_address.h"

namespace millrace {
namespace {

class SimNetworkEventsTest : public ::testing::Test {
 protected:
  SimNetworkEventsTest() {
    SimNetwork::Install(&network_);
    listener_ = Socket::Create(AF_INET).value();
    EXPECT_TRUE(listener_.Bind(SocketAddress::Loopback(7007)).ok());
    EXPECT_TRUE(listener_.Listen(10).ok());
  }
  ~SimNetworkEventsTest() override {
    listener_ = Socket();
    SimNetwork::Install(nullptr);
  }

  // Lets all happen that happens within `time`.
  void Pass(absl::Duration time) {
    const MonotonicTime end = clock_.Now() + time;
    while (network_.NextEvent() <= end) {
      clock_.AdvanceTo(network_.NextEvent());
      network_.DeliverDue();
    }
    clock_.AdvanceTo(end);
  }
  static Socket Connect() {
    Socket socket = Socket::Create(AF_INET).value();
    EXPECT_TRUE(socket.Connect(SocketAddress::Loopback(7007)).ok());
    return socket;
  }
  struct Line {
    Socket near, far;
  };
  Line MakeLine() {
    Line line = {Socket(), Connect()};
    Pass(absl::Milliseconds(1));
    line.near = std::move(listener_.Accept().socket);
    EXPECT_TRUE(line.near.valid());
    return line;
  }
  static std::string ReadAll(Socket& socket) {
    std::string all, room(100'000, '\0');
    IoResult result;
    while ((result = socket.Read(absl::MakeSpan(room))).kind() == IoResult::kDone) {
      all.append(room, 0, result.bytes());
    }
    return all;
  }
  Io Ready(const Socket& socket) const { return network_.Ready(socket.fd()); }
  static int Error(Socket& socket) {
    int error = 0;
    socklen_t bytes = sizeof(error);
    getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &bytes);
    return error;
  }

  SimClock clock_;
  Random random_{7};
  SimNetwork network_{clock_, random_};
  Socket listener_;
};

TEST_F(SimNetworkEventsTest, NothingArrivesBeforeItsTime) {
  Line line = MakeLine();
  network_.set_faults({.delay_min = absl::Milliseconds(10), .delay_max = absl::Milliseconds(10)});
  line.far.Write("hello");
  Pass(absl::Milliseconds(9));
  EXPECT_EQ(Ready(line.near), Io::kWrite);
  Pass(absl::Milliseconds(1));
  EXPECT_EQ(ReadAll(line.near), "hello");
}

TEST_F(SimNetworkEventsTest, WhatMovesIsTold) {
  Line line = MakeLine();
  std::vector<std::string> told;
  network_.set_on_transfer([&told](const SimNetwork::Transfer& transfer) {
    const bool by_server = transfer.local.port() == 7007;
    EXPECT_EQ(transfer.peer.port() == 7007, !by_server);
    told.push_back((by_server ? "server" : "client") + std::string(transfer.reads ? "<" : ">") +
                   std::to_string(transfer.bytes));
  });
  line.far.Write("hello");
  Pass(absl::Milliseconds(1));
  ReadAll(line.near);
  EXPECT_EQ(told, std::vector<std::string>({"client>5", "server<5"}));
}

TEST_F(SimNetworkEventsTest, BytesArriveInOrderWhateverTheDelays) {
  Line line = MakeLine();
  network_.set_faults({.cut_short = 0.5, .delay_max = absl::Seconds(1)});
  std::string sent;
  for (int i = 0; i < 100; ++i) {
    const std::string bytes = std::to_string(i) + ",";
    const IoResult result = line.far.Write(bytes);
    ASSERT_EQ(result.kind(), IoResult::kDone);
    sent.append(bytes, 0, result.bytes());
  }
  line.far.ShutdownWrite();
  Pass(absl::Seconds(1));
  EXPECT_EQ(ReadAll(line.near), sent);
}

TEST_F(SimNetworkEventsTest, OnlyAWindowIsUnderWay) {
  network_.set_faults({.window_min = 100, .window_max = 100});
  Line line = MakeLine();
  const std::string much(1000, 'x');
  EXPECT_EQ(line.far.Write(much), (IoResult{IoResult::kDone, 100}));
  EXPECT_EQ(line.far.Write(much).kind(), IoResult::kWantWrite);
  Pass(absl::Milliseconds(1));
  EXPECT_EQ(Ready(line.far), Io::kNone) << "arrived, and not read";
  EXPECT_EQ(ReadAll(line.near).size(), 100u);
  Pass(absl::Milliseconds(1));
  EXPECT_EQ(Ready(line.far), Io::kWrite);
}

TEST_F(SimNetworkEventsTest, ALostLineIsSilentAtBothEnds) {
  Line line = MakeLine();
  line.far.Write("under way");
  network_.Lose(line.far.fd());
  line.near.Write("later");
  line.far.ShutdownWrite();
  Pass(absl::Hours(1));
  EXPECT_EQ(Ready(line.near), Io::kWrite);
  EXPECT_EQ(ReadAll(line.near), "");
  EXPECT_EQ(ReadAll(line.far), "");
  line.far = Socket();
  Pass(absl::Hours(1));
  EXPECT_EQ(Ready(line.near), Io::kWrite) << "not told of the close either";
}

TEST_F(SimNetworkEventsTest, ALineThatIsLostWhileItSendsTakesNothingMore) {
  Line line = MakeLine();
  network_.set_faults({.lost = 1});
  line.far.Write("never arrives");
  Pass(absl::Hours(1));
  EXPECT_EQ(Ready(line.near), Io::kWrite);
}

TEST_F(SimNetworkEventsTest, ALineThatResetsBreaksBothEnds) {
  Line line = MakeLine();
  network_.set_faults({.reset = 1});
  line.far.Write("met by a reset");
  Pass(absl::Seconds(1));
  EXPECT_EQ(Error(line.near), ECONNRESET);
  EXPECT_EQ(Error(line.far), ECONNRESET);
}

TEST_F(SimNetworkEventsTest, AnAttemptThatIsLostTimesOut) {
  network_.set_faults({.connect_lost = 1});
  Socket client = Connect();
  Pass(absl::Seconds(126));
  EXPECT_EQ(Ready(client), Io::kNone);
  Pass(absl::Seconds(1));
  EXPECT_EQ(Ready(client), Io::kReadWrite);
  EXPECT_EQ(Error(client), ETIMEDOUT);
}

TEST_F(SimNetworkEventsTest, WhoeverIsCutOffWhileConnectingTimesOut) {
  Socket client = Connect();
  network_.Lose(client.fd());
  Pass(absl::Minutes(3));
  EXPECT_EQ(Error(client), ETIMEDOUT);
  EXPECT_EQ(listener_.Accept().error, EAGAIN);
}

TEST_F(SimNetworkEventsTest, AnAttemptMayBeRefused) {
  network_.set_faults({.connect_refused = 1});
  Socket client = Connect();
  Pass(absl::Seconds(1));
  EXPECT_EQ(Error(client), ECONNREFUSED);
}

TEST_F(SimNetworkEventsTest, OneThatSucceededDoesNotTimeOut) {
  Line line = MakeLine();
  Pass(absl::Hours(1));
  EXPECT_EQ(Ready(line.far), Io::kWrite);
  EXPECT_EQ(Error(line.far), 0);
}

TEST_F(SimNetworkEventsTest, WhoMeetsAFullQueueAsksAgain) {
  ASSERT_TRUE(listener_.Listen(0).ok());
  Socket first = Connect();
  Pass(absl::Milliseconds(1));
  Socket second = Connect();
  Pass(absl::Seconds(10));
  EXPECT_EQ(Ready(second), Io::kNone);
  EXPECT_TRUE(listener_.Accept().socket.valid());
  Pass(absl::Seconds(2));
  EXPECT_EQ(Ready(second), Io::kWrite);
  EXPECT_TRUE(listener_.Accept().socket.valid());
}

TEST_F(SimNetworkEventsTest, AListenerGoneMeanwhileRefuses) {
  Socket client = Connect();
  listener_ = Socket();
  Pass(absl::Seconds(1));
  EXPECT_EQ(Error(client), ECONNREFUSED);
}

TEST_F(SimNetworkEventsTest, AClientGoneMeanwhileIsNotHeardOf) {
  Connect();
  Pass(absl::Seconds(1));
  EXPECT_EQ(listener_.Accept().error, EAGAIN);
}

TEST_F(SimNetworkEventsTest, AConnectionMayBreakBeforeItIsAccepted) {
  std::vector<Socket> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(Connect());
  Pass(absl::Milliseconds(1));
  network_.set_faults({.accept_error = 1});
  for (int i = 0; i < 10; ++i) EXPECT_NE(listener_.Accept().error, 0);
  Pass(absl::Milliseconds(1));
  const auto gone = std::count_if(clients.begin(), clients.end(), [&](const Socket& client) {
    return network_.IsHungUp(client.fd());
  });
  EXPECT_GT(gone, 0) << "as some of the errors of accept(2) say";
  EXPECT_LT(gone, 10) << "and others do not";
}

}  // namespace
}  // namespace millrace
