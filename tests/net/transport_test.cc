// SPDX-License-Identifier: Apache-2.0
//
// What Transport does for those that cannot do better; the seam itself has transport_contract_test.
#include "net/transport.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/io_result.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

// One that must see the bytes that it sends, as TLS does.
class SeeingTransport final : public Transport {
 public:
  Socket& socket() override { return socket_; }
  IoResult Handshake() override { return {}; }
  IoResult Read(absl::Span<char>) override { return {}; }
  IoResult CloseWrite() override { return {}; }
  IoResult Write(absl::Span<const iovec> from) override {
    if (result.kind() != IoResult::kDone) return result;
    const size_t n = std::min(from[0].iov_len, room);
    seen.append(static_cast<const char*>(from[0].iov_base), n);
    return {IoResult::kDone, n};
  }

  std::string seen;
  size_t room = SIZE_MAX;
  IoResult result;

 private:
  Socket socket_;
};

class TransportTest : public ::testing::Test {
 protected:
  TransportTest() : file_(memfd_create("test", MFD_CLOEXEC)) {
    for (int i = 0; i < 100'000; ++i) bytes_.push_back(static_cast<char>(i * 7 + i / 256));
    EXPECT_EQ(write(file_.get(), bytes_.data(), bytes_.size()), 100'000);
  }

  const UniqueFd file_;
  std::string bytes_;
  SeeingTransport transport_;
};

TEST_F(TransportTest, AFileIsReadPieceByPiece) {
  size_t sent = 0;
  while (sent < bytes_.size()) {
    const IoResult result =
        transport_.SendFile(file_.get(), static_cast<off_t>(sent), bytes_.size() - sent);
    ASSERT_EQ(result.kind(), IoResult::kDone);
    ASSERT_GT(result.bytes(), 0u);
    sent += result.bytes();
  }
  EXPECT_TRUE(transport_.seen == bytes_);
}

TEST_F(TransportTest, NoMoreIsReadThanAskedFor) {
  EXPECT_EQ(transport_.SendFile(file_.get(), 10, 3), (IoResult{IoResult::kDone, 3}));
  EXPECT_EQ(transport_.seen, bytes_.substr(10, 3));
}

TEST_F(TransportTest, WhatDidNotGoIsNotCounted) {
  transport_.room = 5;
  EXPECT_EQ(transport_.SendFile(file_.get(), 0, 100), (IoResult{IoResult::kDone, 5}));
  transport_.result = IoResult::kWantRead;
  EXPECT_EQ(transport_.SendFile(file_.get(), 5, 95), IoResult{IoResult::kWantRead});
}

TEST_F(TransportTest, TheEndOfTheFileIsTold) {
  EXPECT_EQ(transport_.SendFile(file_.get(), 99'999, 10), (IoResult{IoResult::kDone, 1}));
  EXPECT_EQ(transport_.SendFile(file_.get(), 100'000, 10), IoResult{IoResult::kEnd});
}

TEST_F(TransportTest, ReadingIsTakenUpAfterASignal) {
  const ScopedFault fault(Call::kPread, {.error = EINTR, .times = 3});
  EXPECT_EQ(transport_.SendFile(file_.get(), 0, 10), (IoResult{IoResult::kDone, 10}));
  EXPECT_TRUE(fault.spent());
}

TEST_F(TransportTest, AFileThatCannotBeReadIsAnError) {
  const ScopedFault fault(Call::kPread, {.error = EIO});
  EXPECT_EQ(transport_.SendFile(file_.get(), 0, 10), IoResult::Failed(IoCall::kPread, EIO));
  EXPECT_EQ(transport_.seen, "");
}

TEST_F(TransportTest, WhatWritingComesToIsPassedOn) {
  transport_.result = IoResult::Failed(IoCall::kSend, EPIPE);
  EXPECT_EQ(transport_.SendFile(file_.get(), 0, 10), transport_.result);
}

TEST_F(TransportTest, WhyItFailedIsWhatItsErrnoMeans) {
  EXPECT_EQ(transport_.WhyFailed(IoResult::Failed(IoCall::kSend, EPIPE)),
            absl::ErrnoToStatus(EPIPE, "send"));
}

}  // namespace
}  // namespace millrace
