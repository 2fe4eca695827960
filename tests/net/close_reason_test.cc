// SPDX-License-Identifier: Apache-2.0
#include "net/close_reason.h"

#include <cerrno>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

template <typename T>
std::string Told(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

TEST(CloseCauseTest, EachHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int i = 0; i < kCloseCauses; ++i) {
    const std::string name(NameOf(static_cast<CloseCause>(i)));
    EXPECT_THAT(name, ::testing::MatchesRegex("[a-z_]+"));
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(Told(CloseCause::kIdleTimeout), "idle_timeout");
}

TEST(CloseCauseTest, AFailedCallTellsWhoseFaultItIs) {
  const struct {
    int error;
    CloseCause cause;
  } cases[] = {
      {ECONNRESET, CloseCause::kPeerReset},    {ECONNABORTED, CloseCause::kPeerReset},
      {EPIPE, CloseCause::kPeerReset},         {ETIMEDOUT, CloseCause::kPeerLost},
      {ENETDOWN, CloseCause::kPeerLost},       {ENETRESET, CloseCause::kPeerLost},
      {ENETUNREACH, CloseCause::kPeerLost},    {EHOSTDOWN, CloseCause::kPeerLost},
      {EHOSTUNREACH, CloseCause::kPeerLost},   {EPROTO, CloseCause::kTransportFailed},
      {EBADMSG, CloseCause::kTransportFailed}, {ENOBUFS, CloseCause::kSystemFailed},
      {ENOMEM, CloseCause::kSystemFailed},     {EBADF, CloseCause::kSystemFailed},
      {ENOTCONN, CloseCause::kPeerReset},      {EIO, CloseCause::kSystemFailed},
  };
  for (const auto& [error, cause] : cases) {
    EXPECT_EQ(CauseOf(IoResult::Failed(IoCall::kRecv, error)), cause) << error;
    EXPECT_EQ(CauseOf(IoResult::Failed(IoCall::kSend, error)), cause) << error;
  }
}

TEST(CloseCauseTest, AFileIsToBlameForItsOwnErrorsOnly) {
  EXPECT_EQ(CauseOf(IoResult::Failed(IoCall::kSendfile, EIO)), CloseCause::kFileFailed);
  EXPECT_EQ(CauseOf(IoResult::Failed(IoCall::kPread, EISDIR)), CloseCause::kFileFailed);
  EXPECT_EQ(CauseOf(IoResult::Failed(IoCall::kSendfile, EPIPE)), CloseCause::kPeerReset);
}

TEST(CloseCauseTest, WhatNoCallFailedOnIsTheTransportsOwn) {
  EXPECT_EQ(CauseOf(IoResult::Failed(IoCall::kNone, EIO)), CloseCause::kTransportFailed);
}

TEST(CloseReasonTest, SaysWhoWhatAndTheErrnosName) {
  const std::vector<std::pair<CloseReason, std::string>> cases = {
      {{CloseCause::kIdleTimeout, 0, absl::DeadlineExceededError("idle for 10s")},
       "timeout: idle for 10s"},
      {{CloseCause::kPeerReset, ECONNRESET, absl::UnavailableError("recv: Connection reset")},
       "peer: reset (ECONNRESET)"},
      {{CloseCause::kPeerReset, EPIPE, absl::FailedPreconditionError("send: Broken pipe")},
       "peer: reset (EPIPE)"},
      {CloseReason{CloseCause::kPeerEnded}, "peer: ended"},
      {CloseReason{CloseCause::kHandlerClosed}, "handler: closed"},
      {{CloseCause::kPeerLost, EHOSTUNREACH, absl::UnavailableError("recv: No route to host")},
       "network: does not reach the peer (EHOSTUNREACH)"},
      {{CloseCause::kSystemFailed, ENOSPC, absl::ResourceExhaustedError("epoll_ctl add 7: full")},
       "system: epoll_ctl add 7: full (ENOSPC)"},
      {{CloseCause::kHandlerAborted, 0, absl::AbortedError("enough")}, "handler: enough"},
      {{CloseCause::kHandlerAborted, 0, absl::OkStatus()}, "handler: handler_aborted"},
      {{CloseCause::kSystemFailed, 4095, absl::UnknownError("odd")}, "system: odd (errno 4095)"},
      {CloseReason(), "open: not ended"},
  };
  for (const auto& [reason, text] : cases) {
    EXPECT_EQ(reason.ToString(), text);
    EXPECT_EQ(Told(reason), text);
  }
}

}  // namespace
}  // namespace millrace
