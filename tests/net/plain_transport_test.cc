// SPDX-License-Identifier: Apache-2.0
//
// What every transport does is in transport_contract_test; here is what only this one does.
#include "net/plain_transport.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/io_result.h"
#include "net/socket.h"
#include "tests/support/fault_injection.h"
#include "tests/support/peer.h"
#include "tests/support/socket_pair.h"

namespace millrace {
namespace {

class PlainTransportTest : public ::testing::Test {
 protected:
  explicit PlainTransportTest(std::pair<Socket, Socket> ends = TcpPair())
      : transport_(std::move(ends.first)), peer_(std::move(ends.second)) {}

  PlainTransport transport_;
  Peer peer_;
};

TEST_F(PlainTransportTest, ShakesNoHands) {
  EXPECT_EQ(transport_.Handshake(), IoResult{});
  EXPECT_EQ(peer_.ReceiveSome(), "");
}

TEST_F(PlainTransportTest, BytesGoAsTheyAre) {
  EXPECT_EQ(transport_.Write("hello"), (IoResult{IoResult::kDone, 5}));
  EXPECT_EQ(peer_.Receive(5), "hello");
}

TEST_F(PlainTransportTest, OneCallGathersAllPieces) {
  std::string first = "first ", second = "second";
  const std::array<iovec, 2> from = {iovec{first.data(), 6}, iovec{second.data(), 6}};
  const ScopedFault spy(Call::kSendmsg);
  EXPECT_EQ(transport_.Write(from), (IoResult{IoResult::kDone, 12}));
  EXPECT_EQ(spy.hits(), 1);
  EXPECT_EQ(peer_.Receive(12), "first second");
}

TEST_F(PlainTransportTest, ReadingTakesNoMoreThanThereIsRoomFor) {
  peer_.Send("hello world");
  std::string first(6, '\0'), second(20, '\0');
  EXPECT_EQ(transport_.Read(absl::MakeSpan(first)), (IoResult{IoResult::kDone, 6}));
  EXPECT_EQ(first, "hello ");
  EXPECT_EQ(transport_.Read(absl::MakeSpan(second)), (IoResult{IoResult::kDone, 5}));
  EXPECT_EQ(second.substr(0, 5), "world");
}

TEST_F(PlainTransportTest, FilesGoThroughTheKernel) {
  const UniqueFd file(memfd_create("test", MFD_CLOEXEC));
  ASSERT_EQ(write(file.get(), "0123456789", 10), 10);
  const ScopedFault spy(Call::kSendfile);
  EXPECT_EQ(transport_.SendFile(file.get(), 2, 5), (IoResult{IoResult::kDone, 5}));
  EXPECT_EQ(spy.hits(), 1);
  EXPECT_EQ(peer_.Receive(5), "23456");
}

TEST_F(PlainTransportTest, ClosingTheWriteSideIsOneShutdown) {
  const ScopedFault spy(Call::kShutdown);
  EXPECT_EQ(transport_.CloseWrite(), IoResult{});
  EXPECT_EQ(spy.hits(), 1);
  EXPECT_EQ(peer_.ReceiveAll(), "");
  EXPECT_TRUE(peer_.ended());
}

TEST_F(PlainTransportTest, ErrorsNameTheirCall) {
  const ScopedFault no_recv(Call::kRecv, {.error = ECONNRESET});
  const ScopedFault no_send(Call::kSend, {.error = EPIPE});
  const ScopedFault no_sendfile(Call::kSendfile, {.error = EIO});
  const ScopedFault no_shutdown(Call::kShutdown, {.error = ENOTCONN});
  char byte;
  EXPECT_EQ(transport_.Read({&byte, 1}), IoResult::Failed(IoCall::kRecv, ECONNRESET));
  EXPECT_EQ(transport_.Write("x"), IoResult::Failed(IoCall::kSend, EPIPE));
  EXPECT_EQ(transport_.SendFile(0, 0, 1), IoResult::Failed(IoCall::kSendfile, EIO));
  const IoResult result = transport_.CloseWrite();
  EXPECT_EQ(result, IoResult::Failed(IoCall::kShutdown, ENOTCONN));
  EXPECT_EQ(transport_.WhyFailed(result), absl::ErrnoToStatus(ENOTCONN, "shutdown"));
}

}  // namespace
}  // namespace millrace
