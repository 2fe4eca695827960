// SPDX-License-Identifier: Apache-2.0
#include "net/io_result.h"

#include <errno.h>

#include <sstream>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

std::string Told(const IoResult& result) {
  std::ostringstream out;
  out << result;
  return out.str();
}

TEST(IoResultTest, IsOkUnlessItFailed) {
  for (IoResult::Kind kind :
       {IoResult::kDone, IoResult::kWantRead, IoResult::kWantWrite, IoResult::kEnd}) {
    EXPECT_TRUE(IoResult(kind).ok());
    EXPECT_EQ(IoResult(kind, 5).status(), absl::OkStatus());
  }
  EXPECT_FALSE(IoResult::Failed(IoCall::kSend, EPIPE).ok());
}

TEST(IoResultTest, FailureIsItsErrnoBehindTheNameOfTheCall) {
  const struct {
    IoCall call;
    const char* name;
  } calls[] = {{IoCall::kRecv, "recv"},         {IoCall::kSend, "send"},
               {IoCall::kSendfile, "sendfile"}, {IoCall::kPread, "pread"},
               {IoCall::kShutdown, "shutdown"}, {IoCall::kNone, ""}};
  for (const auto& [call, name] : calls) {
    EXPECT_EQ(IoResult::Failed(call, ECONNRESET).status(), absl::ErrnoToStatus(ECONNRESET, name));
  }
}

TEST(IoResultTest, AFailureTellsTheCallAndItsErrno) {
  constexpr IoResult kFailed = IoResult::Failed(IoCall::kSendfile, EHOSTUNREACH);
  EXPECT_EQ(kFailed.call(), IoCall::kSendfile);
  EXPECT_EQ(kFailed.error(), EHOSTUNREACH);
}

TEST(IoResultTest, EqualIsWhatSaysTheSame) {
  EXPECT_EQ(IoResult(), (IoResult{IoResult::kDone, 0}));
  EXPECT_NE(IoResult(IoResult::kDone, 1), IoResult(IoResult::kDone, 2));
  EXPECT_NE(IoResult(IoResult::kWantRead), IoResult(IoResult::kWantWrite));
  const IoResult failed = IoResult::Failed(IoCall::kSend, EPIPE);
  EXPECT_EQ(failed, IoResult::Failed(IoCall::kSend, EPIPE));
  EXPECT_NE(failed, IoResult::Failed(IoCall::kSend, EIO));
  EXPECT_NE(failed, IoResult::Failed(IoCall::kRecv, EPIPE));
}

TEST(IoResultTest, IsShownAsWhatItSays) {
  EXPECT_EQ(Told({IoResult::kDone, 5}), "done, 5 bytes");
  EXPECT_EQ(Told(IoResult::kWantRead), "wants to read, 0 bytes");
  EXPECT_EQ(Told({IoResult::kWantWrite, 2}), "wants to write, 2 bytes");
  EXPECT_EQ(Told(IoResult::kEnd), "end, 0 bytes");
  const IoResult failed = IoResult::Failed(IoCall::kSend, EPIPE);
  EXPECT_EQ(Told(failed), failed.status().ToString());
}

}  // namespace
}  // namespace millrace
