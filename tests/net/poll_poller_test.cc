// SPDX-License-Identifier: Apache-2.0
//
// What is poll's own; what all pollers promise is in tests/contract/poller_contract_test.cc.
#include "net/poll_poller.h"

#include <errno.h>

#include <array>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/monotonic_time.h"
#include "gtest/gtest.h"
#include "net/socket.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

class PollPollerTest : public ::testing::Test {
 protected:
  PollPollerTest() : poller_(MakePollPoller().value()) {
    for (uint32_t i = 0; i < 3; ++i) {
      lines_.push_back(Socket::Pair().value());
      EXPECT_TRUE(poller_->Add(fd(i), Io::kWrite, TokenOf(i)).ok());
    }
  }

  int fd(int line) const { return lines_[line].first.fd(); }
  static Token TokenOf(uint32_t line) { return {.slot = line, .generation = 1}; }

  std::vector<uint32_t> ReadyLines() {
    std::array<ReadyEvent, 8> events;
    const int count =
        poller_->Wait(Clock::System(), MonotonicTime(), absl::MakeSpan(events)).value();
    std::vector<uint32_t> lines;
    for (int i = 0; i < count; ++i) lines.push_back(events[i].token.slot);
    return lines;
  }

  std::unique_ptr<Poller> poller_;
  std::vector<std::pair<Socket, Socket>> lines_;
};

using Lines = std::vector<uint32_t>;

TEST_F(PollPollerTest, LastOneFillsTheGapOfTheRemoved) {
  poller_->Remove(fd(0));
  EXPECT_EQ(ReadyLines(), (Lines{2, 1}));
  ASSERT_TRUE(poller_->Modify(fd(2), Io::kRead, TokenOf(2)).ok());
  EXPECT_EQ(ReadyLines(), (Lines{1}));
}

TEST_F(PollPollerTest, LastOneMayBeTheRemoved) {
  poller_->Remove(fd(2));
  poller_->Remove(fd(1));
  poller_->Remove(fd(0));
  EXPECT_EQ(ReadyLines(), Lines{});
  EXPECT_TRUE(poller_->Add(fd(1), Io::kWrite, TokenOf(1)).ok());
  EXPECT_EQ(ReadyLines(), (Lines{1}));
}

TEST_F(PollPollerTest, SignalIsNoEventAndOtherFailuresAreErrors) {
  const ScopedFault other(Call::kPoll, {.error = ENOMEM});
  const ScopedFault signal(Call::kPoll, {.error = EINTR, .times = 1});
  EXPECT_EQ(ReadyLines(), Lines{});
  ReadyEvent event;
  EXPECT_EQ(poller_->Wait(Clock::System(), MonotonicTime(), {&event, 1}).status(),
            absl::ErrnoToStatus(ENOMEM, "poll"));
}

TEST_F(PollPollerTest, ClosedBehindItsBackIsReportedLikeAHangUp) {
  const int closed = fd(0);
  lines_[0].first = Socket();
  ReadyEvent event;
  ASSERT_EQ(poller_->Wait(Clock::System(), MonotonicTime(), {&event, 1}).value(), 1);
  EXPECT_EQ(event.token, TokenOf(0));
  EXPECT_EQ(event.ready, Io::kReadWrite);
  poller_->Remove(closed);
}

TEST(PollPollerDeathTest, RemovingWhatIsNotWatchedIsABug) {
  const std::unique_ptr<Poller> poller = MakePollPoller().value();
  EXPECT_DEATH(poller->Remove(0), "descriptor 0 is not watched");
}

}  // namespace
}  // namespace millrace
