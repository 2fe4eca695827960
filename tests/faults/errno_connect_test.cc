// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a client when connect(2), or what comes before it, fails: each errno of its
// manual, and those of unix(7) and the network. It hears why, leaves nothing behind, and the next
// try, after a pause, connects.
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/function_handler.h"
#include "net/tcp_client.h"
#include "tests/faults/errno_fixture.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

constexpr ErrnoRow kConnectRows[] = {
    {EACCES, Effect::kConnectFails},
    {EADDRINUSE, Effect::kConnectFails},
    {EADDRNOTAVAIL, Effect::kConnectFails},
    {EAFNOSUPPORT, Effect::kConnectFails},
    {EAGAIN, Effect::kConnectFails},  // A Unix listener's queue is full: nothing tells when to try.
    {EALREADY, Effect::kConnectFails},
    {EBADF, Effect::kConnectFails},
    {ECONNREFUSED, Effect::kConnectFails},
    {ECONNRESET, Effect::kConnectFails},
    {EFAULT, Effect::kConnectFails},
    {EHOSTUNREACH, Effect::kConnectFails},
    {EINPROGRESS, Effect::kGoesOn},
    {EINTR, Effect::kGoesOn},  // It goes on in the background.
    {EINVAL, Effect::kConnectFails},
    {EISCONN, Effect::kConnectFails},
    {ELOOP, Effect::kConnectFails},
    {ENAMETOOLONG, Effect::kConnectFails},
    {ENETDOWN, Effect::kConnectFails},
    {ENETUNREACH, Effect::kConnectFails},
    {ENOBUFS, Effect::kConnectFails},
    {ENOENT, Effect::kConnectFails},
    {ENOMEM, Effect::kConnectFails},
    {ENOTDIR, Effect::kConnectFails},
    {ENOTSOCK, Effect::kConnectFails},
    {EOPNOTSUPP, Effect::kConnectFails},
    {EPERM, Effect::kConnectFails},
    {EPROTOTYPE, Effect::kConnectFails},
    {ETIMEDOUT, Effect::kConnectFails},
};

class ErrnoConnectTest : public ErrnoTest {
 protected:
  // On the server's loop. Says hello, and hears it back.
  std::unique_ptr<TcpClient> MakeClient() {
    return std::make_unique<TcpClient>(
        **loop_,
        TcpClient::Options{
            .address = server_->addresses()[0],
            .handler = FunctionHandlers(
                {.on_open = [](TcpConnection& conn) { conn.Send("hello"); },
                 .on_data = [this](TcpConnection&, Buffer& input) { heard_ += input.readable(); }}),
            .retry = Backoff::Options(),
            .on_connect_failed = [this](const absl::Status& why) { told_.push_back(why); },
            .seed = 1});
  }
  void ExpectHeard(TcpClient& client) {
    for (int i = 0; i < 100 && !client.connected(); ++i) loop_->Advance(absl::Milliseconds(100));
    EXPECT_TRUE(loop_->StepUntil([&] { return heard_ == "hello"; }));
  }

  std::string heard_;
  std::vector<absl::Status> told_;
};

class ConnectErrnoTest : public ErrnoConnectTest, public ::testing::WithParamInterface<ErrnoRow> {};

TEST_P(ConnectErrnoTest, DoesAsItsRowSays) {
  const bool goes_on = GetParam().effect == Effect::kGoesOn;
  const int before = OpenDescriptors();
  const std::unique_ptr<TcpClient> client = MakeClient();
  const ScopedFault fault(Call::kConnect, {.error = GetParam().error, .times = 1, .made = goes_on});
  client->Connect();
  EXPECT_TRUE(fault.spent());
  EXPECT_TRUE(told_.empty()) << "never from inside the call";
  if (!goes_on) {
    loop_->Step();
    ASSERT_EQ(told_.size(), 1u);
    // What is worth trying again has a code of its own.
    const absl::StatusCode code = GetParam().error == EAGAIN
                                      ? absl::StatusCode::kResourceExhausted
                                      : absl::ErrnoToStatusCode(GetParam().error);
    EXPECT_EQ(told_[0].code(), code) << told_[0];
    EXPECT_TRUE(
        absl::StartsWith(told_[0].message(), absl::StrCat("connect ", server_->addresses()[0])))
        << told_[0];
    EXPECT_EQ(OpenDescriptors(), before);
    EXPECT_TRUE(client->will_retry());
  }
  ExpectHeard(*client);
  EXPECT_EQ(told_.size(), goes_on ? 0u : 1u);
}

INSTANTIATE_TEST_SUITE_P(Errno, ConnectErrnoTest, ::testing::ValuesIn(kConnectRows), NameOfErrno());

// What else a try needs: it fails the try, and the next one connects.
struct NeededCall {
  Call call;
  int error;
  const char* named;
};

class ConnectNeedsTest : public ErrnoConnectTest,
                         public ::testing::WithParamInterface<NeededCall> {};

TEST_P(ConnectNeedsTest, FailureIsToldAndTheNextTryConnects) {
  const std::unique_ptr<TcpClient> client = MakeClient();
  const ScopedFault fault(GetParam().call, {.error = GetParam().error, .times = 1});
  client->Connect();
  EXPECT_TRUE(loop_->StepUntil([&] { return !told_.empty(); }));
  EXPECT_TRUE(fault.spent());
  EXPECT_EQ(told_[0].code(), absl::ErrnoToStatusCode(GetParam().error)) << told_[0];
  EXPECT_TRUE(absl::StrContains(told_[0].message(), GetParam().named)) << told_[0];
  ExpectHeard(*client);
}

INSTANTIATE_TEST_SUITE_P(Calls, ConnectNeedsTest,
                         ::testing::Values(NeededCall{Call::kSocket, EMFILE, "socket"},
                                           NeededCall{Call::kSocket, ENOBUFS, "socket"},
                                           NeededCall{Call::kEpollCtl, ENOMEM, "epoll_ctl add"},
                                           NeededCall{Call::kEpollCtl, ENOSPC, "epoll_ctl add"},
                                           NeededCall{Call::kGetsockopt, ENOBUFS, "SO_ERROR"}));

}  // namespace
}  // namespace millrace
