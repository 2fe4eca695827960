// SPDX-License-Identifier: Apache-2.0
//
// What a server on several loops tells of its connections.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/log/scoped_mock_log.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/event_loop_thread_pool.h"
#include "net/function_handler.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "tests/support/peer.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ServerReportTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (GetParam() > 0) workers_ = EventLoopThreadPool::Start({.threads = GetParam()}).value();
    server_ =
        TcpServer::Start(*main_, workers_.get(),
                         {.addresses = {SocketAddress::Loopback(0)},
                          .handler = FunctionHandlers({.on_data = [](TcpConnection&, Buffer&) {}}),
                          .limits = {.flight_recorder = true}})
            .value();
  }

  Peer Connect() { return Peer::ConnectedTo(server_->addresses()[0]); }
  std::vector<Peer> ConnectMany(int count) {
    std::vector<Peer> peers;
    for (int i = 0; i < count; ++i) peers.push_back(Connect());
    EXPECT_TRUE(main_.StepUntil([&] { return server_->stats().opened == count; }));
    return peers;
  }
  bool HasRead(int64_t bytes) {
    return main_.StepUntil([&] { return server_->stats().bytes_read == bytes; });
  }

  size_t loops() const { return 1 + static_cast<size_t>(GetParam()); }
  // Each loop has told how many it has, and as many pieces as it has connections.
  std::vector<std::string> ReportOf(size_t pieces) {
    server_->ReportConnections([this](absl::string_view text) {
      absl::MutexLock lock(&mutex_);
      pieces_.emplace_back(text);
    });
    EXPECT_TRUE(main_.StepUntil([&] {
      absl::MutexLock lock(&mutex_);
      return pieces_.size() >= loops() + pieces;
    }));
    absl::MutexLock lock(&mutex_);
    return std::exchange(pieces_, {});
  }

  TestLoop main_;
  std::unique_ptr<EventLoopThreadPool> workers_;
  std::unique_ptr<TcpServer> server_;

 private:
  absl::Mutex mutex_;
  std::vector<std::string> pieces_ ABSL_GUARDED_BY(mutex_);
};

INSTANTIATE_TEST_SUITE_P(Workers, ServerReportTest, ::testing::Values(0, 1, 2),
                         ::testing::PrintToStringParamName());

TEST_P(ServerReportTest, EachLoopTellsOfItsConnections) {
  std::vector<Peer> peers = ConnectMany(4);
  peers[2].Send("half a messa");
  ASSERT_TRUE(HasRead(12));
  const std::vector<std::string> pieces = ReportOf(4);
  for (size_t i = 0; i < loops(); ++i) {
    EXPECT_THAT(pieces, Contains(StartsWith(absl::StrCat("loop ", i, ": "))));
  }
  for (Peer& peer : peers) {
    EXPECT_THAT(pieces, Contains(HasSubstr(absl::StrCat(": ", peer.local_address(), " open"))));
  }
  EXPECT_THAT(pieces, Contains(HasSubstr("read 12\n")));
}

TEST_P(ServerReportTest, OfNobodyThereIsLittleToTell) {
  const std::vector<std::string> pieces = ReportOf(0);
  EXPECT_EQ(pieces.size(), loops());
  EXPECT_THAT(pieces, Contains("loop 0: 0 connections, 0 with bytes waiting; 0 follow\n"));
}

TEST_P(ServerReportTest, TheServerMayGoRightAfter) {
  const std::vector<Peer> peers = ConnectMany(4);
  for (int i = 0; i < 10; ++i) server_->ReportConnections([](absl::string_view) {});
  server_.reset();
  main_.Steps(3);
}

TEST_P(ServerReportTest, WorkersThatHaveStoppedHaveNothingToTell) {
  if (workers_ != nullptr) workers_->Stop();
  server_->ReportConnections([](absl::string_view) {});
  main_.Steps(3);
}

TEST_P(ServerReportTest, UnlessToldOtherwiseTheLogGetsIt) {
  if (GetParam() > 0) return;  // The log is one, whoever writes to it.
  const std::vector<Peer> peers = ConnectMany(1);
  absl::ScopedMockLog log(absl::MockLogDefault::kIgnoreUnexpected);
  EXPECT_CALL(log, Log(absl::LogSeverity::kInfo, testing::_,
                       "loop 0: 1 connections, 0 with bytes waiting; 1 follow"));
  EXPECT_CALL(log, Log(absl::LogSeverity::kInfo, testing::_, HasSubstr(" opened")));
  log.StartCapturingLogs();
  server_->ReportConnections();
}

}  // namespace
}  // namespace millrace
