// SPDX-License-Identifier: Apache-2.0
#include "net/wakeup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdint>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

class WakeupTest : public ::testing::Test {
 protected:
  bool IsRinging() const {
    pollfd polled = {.fd = wakeup_.fd(), .events = POLLIN, .revents = 0};
    return poll(&polled, 1, 0) == 1;
  }

  const Wakeup wakeup_ = Wakeup::Create().value();
};

TEST_F(WakeupTest, RingsFromSignalToDrain) {
  EXPECT_FALSE(IsRinging());
  wakeup_.Signal();
  EXPECT_TRUE(IsRinging());
  EXPECT_TRUE(IsRinging()) << "looking does not stop it";
  wakeup_.Drain();
  EXPECT_FALSE(IsRinging());
}

TEST_F(WakeupTest, OneDrainSilencesManySignals) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      for (int j = 0; j < 100; ++j) wakeup_.Signal();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(IsRinging());
  wakeup_.Drain();
  EXPECT_FALSE(IsRinging());
}

TEST_F(WakeupTest, DrainingASilentOneReturnsAtOnce) {
  wakeup_.Drain();
  EXPECT_FALSE(IsRinging());
}

TEST_F(WakeupTest, FullCounterRingsOnAndBlocksNobody) {
  const uint64_t all_that_fits = UINT64_MAX - 1;
  ASSERT_EQ(write(wakeup_.fd(), &all_that_fits, sizeof all_that_fits), 8);
  wakeup_.Signal();
  EXPECT_TRUE(IsRinging());
  wakeup_.Drain();
  EXPECT_FALSE(IsRinging());
}

TEST_F(WakeupTest, InterruptedCallsAreMadeAgain) {
  const Fault signals = {.error = EINTR, .times = 3, .fd = wakeup_.fd()};
  const ScopedFault write_fault(Call::kWrite, signals), read_fault(Call::kRead, signals);
  wakeup_.Signal();
  EXPECT_TRUE(write_fault.spent());
  EXPECT_TRUE(IsRinging());
  wakeup_.Drain();
  EXPECT_TRUE(read_fault.spent());
  EXPECT_FALSE(IsRinging());
}

TEST_F(WakeupTest, OutOfDescriptorsIsAnError) {
  const ScopedFault fault(Call::kEventfd, {.error = EMFILE});
  EXPECT_EQ(Wakeup::Create().status(), absl::ErrnoToStatus(EMFILE, "eventfd"));
}

TEST_F(WakeupTest, ProgramsThatWeStartDoNotInheritIt) {
  EXPECT_EQ(fcntl(wakeup_.fd(), F_GETFD), FD_CLOEXEC);
}

}  // namespace
}  // namespace millrace
