// SPDX-License-Identifier: Apache-2.0
//
// What is select's own; what all pollers promise is in tests/contract/poller_contract_test.cc.
#include "net/select_poller.h"

#include <errno.h>
#include <sys/select.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/monotonic_time.h"
#include "gtest/gtest.h"
#include "net/socket.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

class SelectPollerTest : public ::testing::Test {
 protected:
  SelectPollerTest() : poller_(MakeSelectPoller().value()), line_(Socket::Pair().value()) {
    EXPECT_TRUE(poller_->Add(line_.first.fd(), Io::kWrite, {.slot = 1, .generation = 1}).ok());
  }

  absl::StatusOr<int> Wait() {
    ReadyEvent event;
    return poller_->Wait(Clock::System(), MonotonicTime(), {&event, 1});
  }

  std::unique_ptr<Poller> poller_;
  std::pair<Socket, Socket> line_;
};

TEST_F(SelectPollerTest, DescriptorBeyondItsSetsIsRefusedByNumber) {
  const absl::Status status = poller_->Add(FD_SETSIZE, Io::kRead, {.slot = 2, .generation = 1});
  EXPECT_EQ(status, absl::OutOfRangeError("select add 1024: descriptors from 1024 on are beyond "
                                          "select()"));
  EXPECT_EQ(Wait().value(), 1);
}

TEST_F(SelectPollerTest, SignalIsNoEventAndOtherFailuresAreErrors) {
  const ScopedFault other(Call::kSelect, {.error = ENOMEM});
  const ScopedFault signal(Call::kSelect, {.error = EINTR, .times = 1});
  EXPECT_EQ(Wait().value(), 0);
  EXPECT_EQ(Wait().status(), absl::ErrnoToStatus(ENOMEM, "select"));
}

TEST_F(SelectPollerTest, ClosedBehindItsBackIsAnErrorUntilRemoved) {
  const int closed = line_.first.fd();
  line_.first = Socket();
  EXPECT_EQ(Wait().status(), absl::ErrnoToStatus(EBADF, "select"));
  poller_->Remove(closed);
  EXPECT_EQ(Wait().value(), 0);
}

TEST(SelectPollerDeathTest, RemovingWhatIsNotWatchedIsABug) {
  const std::unique_ptr<Poller> poller = MakeSelectPoller().value();
  EXPECT_DEATH(poller->Remove(0), "descriptor 0 is not watched");
}

}  // namespace
}  // namespace millrace
