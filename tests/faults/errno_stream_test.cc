// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a connection when a call that moves its bytes, or ends it, fails: each errno of
// recv(2), send(2) with sendmsg, sendfile(2) and shutdown(2), and those that tcp(7) and ip(7) add.
#include <cerrno>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "tests/faults/errno_fixture.h"
#include "tests/support/fault_injection.h"
#include "tests/support/peer.h"

namespace millrace {
namespace {

constexpr ErrnoRow kRecvRows[] = {
    {EAGAIN, Effect::kGoesOn},  // Also EWOULDBLOCK: a false alarm.
    {EBADF, Effect::kConnectionEnds},
    {ECONNREFUSED, Effect::kConnectionEnds},
    {ECONNRESET, Effect::kConnectionEnds},
    {EFAULT, Effect::kConnectionEnds},
    {EHOSTUNREACH, Effect::kConnectionEnds},
    {EINTR, Effect::kGoesOn},
    {EINVAL, Effect::kConnectionEnds},
    {EIO, Effect::kConnectionEnds},
    {ENETDOWN, Effect::kConnectionEnds},
    {ENETUNREACH, Effect::kConnectionEnds},
    {ENOBUFS, Effect::kConnectionEnds},
    {ENOMEM, Effect::kConnectionEnds},
    {ENOTCONN, Effect::kConnectionEnds},
    {ENOTSOCK, Effect::kConnectionEnds},
    {EPIPE, Effect::kConnectionEnds},
    {ETIMEDOUT, Effect::kConnectionEnds},
};

constexpr ErrnoRow kSendRows[] = {
    {EACCES, Effect::kConnectionEnds},
    {EAGAIN, Effect::kGoesOn},  // Also EWOULDBLOCK.
    {EALREADY, Effect::kConnectionEnds},
    {EBADF, Effect::kConnectionEnds},
    {ECONNRESET, Effect::kConnectionEnds},
    {EDESTADDRREQ, Effect::kConnectionEnds},
    {EFAULT, Effect::kConnectionEnds},
    {EHOSTUNREACH, Effect::kConnectionEnds},
    {EINTR, Effect::kGoesOn},
    {EINVAL, Effect::kConnectionEnds},
    {EIO, Effect::kConnectionEnds},
    {EISCONN, Effect::kConnectionEnds},
    {EMSGSIZE, Effect::kConnectionEnds},
    {ENETDOWN, Effect::kConnectionEnds},
    {ENETUNREACH, Effect::kConnectionEnds},
    {ENOBUFS, Effect::kConnectionEnds},  // To wait for writability would spin: it is writable.
    {ENOMEM, Effect::kConnectionEnds},
    {ENOTCONN, Effect::kConnectionEnds},
    {ENOTSOCK, Effect::kConnectionEnds},
    {EOPNOTSUPP, Effect::kConnectionEnds},
    {EPERM, Effect::kConnectionEnds},
    {EPIPE, Effect::kConnectionEnds},
    {ETIMEDOUT, Effect::kConnectionEnds},
};

constexpr ErrnoRow kSendfileRows[] = {
    {EAGAIN, Effect::kGoesOn},
    {EBADF, Effect::kConnectionEnds},
    {ECONNRESET, Effect::kConnectionEnds},
    {EFAULT, Effect::kConnectionEnds},
    {EINTR, Effect::kGoesOn},
    {EINVAL, Effect::kConnectionEnds},
    {EIO, Effect::kConnectionEnds},
    {ENOMEM, Effect::kConnectionEnds},
    {EOVERFLOW, Effect::kConnectionEnds},
    {EPIPE, Effect::kConnectionEnds},
    {ESPIPE, Effect::kConnectionEnds},
    {ETIMEDOUT, Effect::kConnectionEnds},
};

constexpr ErrnoRow kShutdownRows[] = {
    {EBADF, Effect::kConnectionEnds},
    {EINVAL, Effect::kConnectionEnds},
    {ENOTCONN, Effect::kConnectionEnds},  // The peer has reset it already.
    {ENOTSOCK, Effect::kConnectionEnds},
};

class ErrnoStreamTest : public ErrnoTest, public ::testing::WithParamInterface<ErrnoRow> {
 protected:
  // A client says `request`, and the call fails once on its connection, which ends or is answered.
  // A neighbour lives through it.
  void ExpectTheRow(Call call, absl::string_view name, absl::string_view request,
                    absl::string_view answer) {
    Peer& neighbour = Connect();
    Peer& peer = Connect();
    const ScopedFault fault(call, {.error = GetParam().error, .times = 1, .fd = NewestFd()});
    peer.Send(request);
    if (GetParam().effect == Effect::kGoesOn) {
      EXPECT_EQ(Receive(peer, answer.size()), answer);
      ExpectServed(peer);
    } else {
      ASSERT_TRUE(StepUntilClosed());
      EXPECT_EQ(closes_.front(), absl::ErrnoToStatus(GetParam().error, name));
      EXPECT_EQ(errors_.front(), GetParam().error);
      Receive(peer, std::string::npos);
      EXPECT_TRUE(peer.ended() || peer.was_reset());
    }
    EXPECT_TRUE(fault.spent());
    EXPECT_EQ(closes_.size(), GetParam().effect == Effect::kGoesOn ? 0u : 1u);
    EXPECT_EQ(server_->stats().closed_on_error, static_cast<int64_t>(closes_.size()));
    ExpectServed(neighbour);
  }
};

class RecvErrnoTest : public ErrnoStreamTest {};

TEST_P(RecvErrnoTest, DoesAsItsRowSays) { ExpectTheRow(Call::kRecv, "recv", kEcho, kEcho); }

INSTANTIATE_TEST_SUITE_P(Errno, RecvErrnoTest, ::testing::ValuesIn(kRecvRows), NameOfErrno());

class SendErrnoTest : public ErrnoStreamTest {};

TEST_P(SendErrnoTest, DoesAsItsRowSays) { ExpectTheRow(Call::kSend, "send", kEcho, kEcho); }

TEST_P(SendErrnoTest, DoesAsItsRowSaysWhenPiecesAreGathered) {
  ExpectTheRow(Call::kSendmsg, "send", kGather, Gathered());
}

INSTANTIATE_TEST_SUITE_P(Errno, SendErrnoTest, ::testing::ValuesIn(kSendRows), NameOfErrno());

class SendfileErrnoTest : public ErrnoStreamTest {};

TEST_P(SendfileErrnoTest, DoesAsItsRowSays) {
  ExpectTheRow(Call::kSendfile, "sendfile", kFile, kFile);
}

INSTANTIATE_TEST_SUITE_P(Errno, SendfileErrnoTest, ::testing::ValuesIn(kSendfileRows),
                         NameOfErrno());

class ShutdownErrnoTest : public ErrnoStreamTest {};

TEST_P(ShutdownErrnoTest, DoesAsItsRowSays) {
  ExpectTheRow(Call::kShutdown, "shutdown", kQuit, "");
}

INSTANTIATE_TEST_SUITE_P(Errno, ShutdownErrnoTest, ::testing::ValuesIn(kShutdownRows),
                         NameOfErrno());

}  // namespace
}  // namespace millrace
