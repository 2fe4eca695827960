// SPDX-License-Identifier: Apache-2.0
#include "net/restart/descriptor_message.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "net/socket.h"
#include "tests/support/fault_injection.h"
#include "tests/support/socket_pair.h"

namespace millrace {
namespace {

// Whether two descriptors stand for one thing.
bool AreSame(int a, int b) {
  struct stat first, second;
  return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

class DescriptorMessageTest : public ::testing::Test {
 protected:
  ReceivedDescriptors Receive(size_t bytes_max = 100) {
    return ReceiveWithDescriptors(to_, bytes_max).value();
  }

  std::pair<Socket, Socket> pair_ = UnixPair();
  Socket& from_ = pair_.first;
  Socket& to_ = pair_.second;
};

TEST_F(DescriptorMessageTest, DescriptorsArriveInOrderAsCopies) {
  auto [first, second] = UnixPair();
  ASSERT_TRUE(SendWithDescriptors(from_, "two", {first.fd(), second.fd()}).ok());
  const ReceivedDescriptors got = Receive();
  EXPECT_EQ(got.text, "two");
  ASSERT_EQ(got.descriptors.size(), 2u);
  EXPECT_NE(got.descriptors[0].get(), first.fd());
  EXPECT_TRUE(AreSame(got.descriptors[0].get(), first.fd()));
  EXPECT_TRUE(AreSame(got.descriptors[1].get(), second.fd()));
  EXPECT_EQ(fcntl(got.descriptors[0].get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(DescriptorMessageTest, TextAloneArrivesAlone) {
  ASSERT_TRUE(SendWithDescriptors(from_, "none", {}).ok());
  const ReceivedDescriptors got = Receive();
  EXPECT_EQ(got.text, "none");
  EXPECT_TRUE(got.descriptors.empty());
}

TEST_F(DescriptorMessageTest, ALongTextComesInPartsWithTheDescriptorsBesideTheFirst) {
  ASSERT_TRUE(SendWithDescriptors(from_, "abcdef", {to_.fd()}).ok());
  const ReceivedDescriptors first = Receive(/*bytes_max=*/4);
  EXPECT_EQ(first.text, "abcd");
  EXPECT_EQ(first.descriptors.size(), 1u);
  const ReceivedDescriptors rest = Receive();
  EXPECT_EQ(rest.text, "ef");
  EXPECT_TRUE(rest.descriptors.empty());
}

TEST_F(DescriptorMessageTest, AsManyAsTheKernelTakes) {
  const std::vector<int> many(kDescriptorsPerMessageMax, to_.fd());
  ASSERT_TRUE(SendWithDescriptors(from_, "x", many).ok());
  EXPECT_EQ(Receive().descriptors.size(), many.size());
}

TEST_F(DescriptorMessageTest, TheEndIsAnEmptyText) {
  from_ = Socket();
  EXPECT_EQ(Receive().text, "");
}

TEST_F(DescriptorMessageTest, NothingThereIsUnavailable) {
  EXPECT_TRUE(absl::IsUnavailable(ReceiveWithDescriptors(to_, 100).status()));
}

TEST_F(DescriptorMessageTest, ToNobodyIsAnError) {
  to_ = Socket();
  EXPECT_EQ(SendWithDescriptors(from_, "x", {from_.fd()}).code(), absl::ErrnoToStatusCode(EPIPE));
}

TEST_F(DescriptorMessageTest, WhatDoesNotFitWholeIsAnError) {
  EXPECT_FALSE(SendWithDescriptors(from_, std::string(16 << 20, 'x'), {}).ok());
}

TEST_F(DescriptorMessageTest, AnInterruptedCallIsMadeAgain) {
  const ScopedFault fault(Call::kSendmsg, {.error = EINTR, .times = 2});
  ASSERT_TRUE(SendWithDescriptors(from_, "x", {to_.fd()}).ok());
  EXPECT_TRUE(fault.spent());
  EXPECT_EQ(Receive().descriptors.size(), 1u);
}

TEST_F(DescriptorMessageTest, WithoutRoomForAllNoneIsKept) {
  ASSERT_TRUE(SendWithDescriptors(from_, "x", {to_.fd(), to_.fd(), to_.fd(), to_.fd()}).ok());
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const absl::Cleanup restore = [limit] { setrlimit(RLIMIT_NOFILE, &limit); };
  const int next = dup(to_.fd());
  close(next);
  rlimit less = limit;
  less.rlim_cur = static_cast<rlim_t>(next) + 2;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &less), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(ReceiveWithDescriptors(to_, 100).status()));
  const int after = dup(to_.fd());
  EXPECT_EQ(after, next) << "those that came are closed again";
  close(after);
}

}  // namespace
}  // namespace millrace
