// SPDX-License-Identifier: Apache-2.0
//
// What every Poller promises, but for how long it waits: that is in poller_wait_contract_test.cc.
// A new implementation is one more name in the list at the end of each.

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/monotonic_time.h"
#include "base/slot_map.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/io_result.h"
#include "net/poller.h"
#include "net/poller_named.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "tests/support/socket_pair.h"

namespace millrace {
namespace {

// Room for `descriptors` more than any test program has open.
void AllowDescriptors(rlim_t descriptors) {
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = std::max(limit.rlim_cur, descriptors + 64);
  limit.rlim_max = std::max(limit.rlim_max, limit.rlim_cur);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0) << "needs " << descriptors << " descriptors";
}

// A socket to watch, and the other end of it.
struct Line {
  Socket near, far;

  // Makes `near` readable.
  void Send() { ASSERT_EQ(far.Write("x"), (IoResult{IoResult::kDone, 1})); }
  // Makes `near` not readable again.
  void Drain() { ReadAll(near); }

  // Makes `near` not writable.
  void Fill() {
    std::string bytes(65536, 'x');
    IoResult result;
    while (result.kind() == IoResult::kDone) result = near.Write(bytes);
    ASSERT_TRUE(result.ok()) << result;
  }
  // Makes `near` writable again.
  void Unfill() { ReadAll(far); }

 private:
  static void ReadAll(Socket& socket) {
    std::string bytes(65536, '\0');
    IoResult result;
    while (result.kind() == IoResult::kDone) result = socket.Read(absl::MakeSpan(bytes));
    ASSERT_TRUE(result.ok()) << result;
  }
};

class PollerContractTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<Poller>> poller = PollerNamed(GetParam()).value()();
    ASSERT_TRUE(poller.ok()) << poller.status();
    poller_ = *std::move(poller);
  }

  static Line MakeLine() {
    auto [near, far] = Socket::Pair().value();
    return {std::move(near), std::move(far)};
  }

  void Add(const Socket& socket, Io interest, Token token) {
    const absl::Status status = poller_->Add(socket.fd(), interest, token);
    ASSERT_TRUE(status.ok()) << status;
  }

  void Modify(const Socket& socket, Io interest, Token token) {
    const absl::Status status = poller_->Modify(socket.fd(), interest, token);
    ASSERT_TRUE(status.ok()) << status;
  }

  // What one Wait() brings that does not wait, and has room for `room` events.
  std::vector<ReadyEvent> Wait(size_t room = 128) { return WaitUntil(MonotonicTime(), room); }
  // What is ready first, for as long as that takes.
  std::vector<ReadyEvent> WaitForEver() {
    std::vector<ReadyEvent> events;
    while (events.empty() && !HasFailure()) events = WaitUntil(MonotonicTime::InfiniteFuture());
    return events;
  }

  // What is ready of `token`, of what there is without waiting.
  Io Ready(Token token) {
    Io ready = Io::kNone;
    for (const ReadyEvent& event : Wait()) {
      if (event.token == token) ready |= event.ready;
    }
    return ready;
  }

  // Closes what is behind `*socket`, and has `*replacement` take its number.
  void CloseAndReuse(Socket* socket, Socket* replacement) {
    const int number = socket->fd();
    poller_->Forget(number);
    *socket = Socket();
    *replacement = Socket(UniqueFd(fcntl(replacement->fd(), F_DUPFD_CLOEXEC, number)));
    ASSERT_EQ(replacement->fd(), number);
  }

  const Token kOne = {.slot = 1, .generation = 1};
  const Token kTwo = {.slot = 2, .generation = 1};
  const Token kOneAgain = {.slot = 1, .generation = 2};

  std::unique_ptr<Poller> poller_;

 private:
  std::vector<ReadyEvent> WaitUntil(MonotonicTime until, size_t room = 128) {
    std::vector<ReadyEvent> events(room);
    const absl::StatusOr<int> count = poller_->Wait(Clock::System(), until, absl::MakeSpan(events));
    EXPECT_TRUE(count.ok()) << count.status();
    events.resize(count.value_or(0));
    return events;
  }
};

TEST_P(PollerContractTest, SaysItsName) { EXPECT_EQ(poller_->name(), GetParam()); }

TEST_P(PollerContractTest, NothingIsReadyUnlessItIs) {
  EXPECT_TRUE(Wait().empty()) << "watching nothing";
  Line line = MakeLine();
  Add(line.near, Io::kRead, kOne);
  EXPECT_TRUE(Wait().empty());
}

TEST_P(PollerContractTest, ReadableIsReportedUntilRead) {
  Line line = MakeLine();
  Add(line.near, Io::kRead, kOne);
  line.Send();
  EXPECT_EQ(Ready(kOne), Io::kRead);
  EXPECT_EQ(Ready(kOne), Io::kRead) << "is level-triggered";
  line.Drain();
  EXPECT_EQ(Ready(kOne), Io::kNone);
}

TEST_P(PollerContractTest, WritableIsReportedWhileThereIsRoom) {
  Line line = MakeLine();
  Add(line.near, Io::kWrite, kOne);
  EXPECT_EQ(Ready(kOne), Io::kWrite);
  line.Fill();
  EXPECT_EQ(Ready(kOne), Io::kNone);
  line.Unfill();
  EXPECT_EQ(Ready(kOne), Io::kWrite);
}

TEST_P(PollerContractTest, BothAreReportedInOneEvent) {
  Line line = MakeLine();
  Add(line.near, Io::kReadWrite, kOne);
  EXPECT_EQ(Ready(kOne), Io::kWrite);
  line.Send();
  const std::vector<ReadyEvent> events = Wait();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, kOne);
  EXPECT_EQ(events[0].ready, Io::kReadWrite);
  line.Fill();
  EXPECT_EQ(Ready(kOne), Io::kRead);
}

TEST_P(PollerContractTest, WhatNobodyWaitsForIsNotReported) {
  Line line = MakeLine();
  line.Send();
  Add(line.near, Io::kWrite, kOne);
  EXPECT_EQ(Ready(kOne), Io::kWrite);
  Modify(line.near, Io::kRead, kOne);
  EXPECT_EQ(Ready(kOne), Io::kRead);
}

TEST_P(PollerContractTest, ModifyReplacesInterestAndToken) {
  Line line = MakeLine();
  Add(line.near, Io::kRead, kOne);
  Modify(line.near, Io::kWrite, kOneAgain);
  const std::vector<ReadyEvent> events = Wait();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, kOneAgain);
  EXPECT_EQ(events[0].ready, Io::kWrite);
}

TEST_P(PollerContractTest, AllBitsOfATokenComeBack) {
  const Token token = {.slot = 0xfffffffe, .generation = 0x80000001};
  Line line = MakeLine();
  Add(line.near, Io::kWrite, token);
  EXPECT_EQ(Ready(token), Io::kWrite);
}

TEST_P(PollerContractTest, RemovedIsSilentEvenIfReady) {
  Line line = MakeLine();
  Line other = MakeLine();
  Add(line.near, Io::kReadWrite, kOne);
  Add(other.near, Io::kWrite, kTwo);
  line.Send();
  EXPECT_EQ(Ready(kOne), Io::kReadWrite);
  poller_->Remove(line.near.fd());
  EXPECT_EQ(Ready(kOne), Io::kNone);
  EXPECT_EQ(Ready(kTwo), Io::kWrite);
  line.far = Socket();  // Nor is its hang-up heard.
  EXPECT_EQ(Ready(kOne), Io::kNone);
}

TEST_P(PollerContractTest, RemovedStaysOpenAndMayComeBack) {
  Line line = MakeLine();
  line.Send();
  for (uint32_t generation = 1; generation < 5; ++generation) {
    const Token token = {.slot = 1, .generation = generation};
    Add(line.near, Io::kRead, token);
    EXPECT_EQ(Ready(token), Io::kRead);
    poller_->Remove(line.near.fd());
    EXPECT_TRUE(Wait().empty());
  }
}

TEST_P(PollerContractTest, AddingTwiceFailsAndChangesNothing) {
  Line line = MakeLine();
  Add(line.near, Io::kWrite, kOne);
  const absl::Status status = poller_->Add(line.near.fd(), Io::kReadWrite, kTwo);
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
  line.Send();
  EXPECT_EQ(Ready(kOne), Io::kWrite);
  EXPECT_EQ(Ready(kTwo), Io::kNone);
}

TEST_P(PollerContractTest, ModifyingWhatIsNotWatchedFails) {
  Line line = MakeLine();
  EXPECT_TRUE(absl::IsNotFound(poller_->Modify(line.near.fd(), Io::kRead, kOne))) << "never was";
  Add(line.near, Io::kRead, kOne);
  poller_->Remove(line.near.fd());
  EXPECT_TRUE(absl::IsNotFound(poller_->Modify(line.near.fd(), Io::kRead, kOne))) << "is no more";
}

TEST_P(PollerContractTest, NoDescriptorIsAnError) {
  EXPECT_FALSE(poller_->Add(-1, Io::kRead, kOne).ok());
  EXPECT_FALSE(poller_->Modify(-1, Io::kRead, kOne).ok());
  EXPECT_TRUE(Wait().empty());
}

// Hang-ups and errors.

TEST_P(PollerContractTest, PeerClosingIsHeardByReaderAndByWriter) {
  for (Io interest : {Io::kRead, Io::kWrite}) {
    Line line = MakeLine();
    line.Fill();
    Add(line.near, interest, kOne);
    EXPECT_EQ(Ready(kOne), Io::kNone);
    line.far = Socket();
    EXPECT_EQ(Ready(kOne) & interest, interest);
    poller_->Remove(line.near.fd());
  }
}

TEST_P(PollerContractTest, PeerResettingIsHeardByReaderAndByWriter) {
  for (Io interest : {Io::kRead, Io::kWrite}) {
    auto [near, far] = TcpPair();
    Line line = {std::move(near), std::move(far)};
    line.Fill();
    Add(line.near, interest, kOne);
    line.far.ResetOnClose();
    line.far = Socket();
    const std::vector<ReadyEvent> events = WaitForEver();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].ready & interest, interest);
    EXPECT_FALSE(line.near.TakeError().ok());
    poller_->Remove(line.near.fd());
  }
}

TEST_P(PollerContractTest, PeerThatFinishedWritingIsHeardByReaderOnly) {
  Line line = MakeLine();
  Add(line.near, Io::kRead, kOne);
  EXPECT_TRUE(line.far.ShutdownWrite().ok());
  EXPECT_EQ(Ready(kOne) & Io::kRead, Io::kRead);
  Modify(line.near, Io::kWrite, kOne);
  EXPECT_EQ(Ready(kOne), Io::kWrite);
  line.Fill();
  EXPECT_EQ(Ready(kOne), Io::kNone) << "or its writer would spin";
}

// A pipe's end, unlike a socket's, makes neither reading nor writing ready by itself.
TEST_P(PollerContractTest, EndOfAPipeIsHeardByReaderAndByWriter) {
  for (Io interest : {Io::kRead, Io::kWrite}) {
    int fds[2];
    ASSERT_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    UniqueFd near(fds[interest == Io::kRead ? 0 : 1]), far(fds[interest == Io::kRead ? 1 : 0]);
    const std::string bytes(4096, 'x');
    while (write(near.get(), bytes.data(), bytes.size()) > 0) {  // Fills it, if it is the writer.
    }
    ASSERT_TRUE(poller_->Add(near.get(), interest, kOne).ok());
    EXPECT_EQ(Ready(kOne), Io::kNone);
    far.Reset();
    EXPECT_EQ(Ready(kOne) & interest, interest);
    poller_->Remove(near.get());
  }
}

TEST_P(PollerContractTest, RefusedConnectionIsHeardByWriter) {
  Socket unheard = Socket::Create(AF_INET).value();
  ASSERT_TRUE(unheard.Bind(SocketAddress::Loopback(0)).ok());
  Socket socket = Socket::Create(AF_INET).value();
  const absl::StatusOr<IoResult> result = socket.Connect(unheard.LocalAddress().value());
  if (!result.ok()) return;  // Told at once, and nothing is left to be heard.
  Add(socket, Io::kWrite, kOne);
  const std::vector<ReadyEvent> events = WaitForEver();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].ready & Io::kWrite, Io::kWrite);
  EXPECT_FALSE(socket.TakeError().ok());
}

// Numbers that are used again.

TEST_P(PollerContractTest, ReusedNumberReportsItsNewOwnerOnly) {
  Line old_line = MakeLine();
  Line new_line = MakeLine();
  Add(old_line.near, Io::kRead, kOne);
  old_line.Send();
  EXPECT_EQ(Ready(kOne), Io::kRead);
  CloseAndReuse(&old_line.near, &new_line.near);
  EXPECT_TRUE(Wait().empty());
  Add(new_line.near, Io::kRead, kOneAgain);
  EXPECT_TRUE(Wait().empty());
  new_line.Send();
  const std::vector<ReadyEvent> events = Wait();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, kOneAgain);
}

TEST_P(PollerContractTest, NumberReusedBeforeItsEventIsHandledIsToldByTheToken) {
  Line lines[] = {MakeLine(), MakeLine(), MakeLine()};
  Add(lines[0].near, Io::kRead, kOne);
  Add(lines[1].near, Io::kRead, kTwo);
  lines[0].Send();
  lines[1].Send();
  const std::vector<ReadyEvent> batch = Wait();
  ASSERT_EQ(batch.size(), 2u);
  // Whoever handles the first event closes the second one's socket, and opens another.
  const bool first_is_one = batch[0].token == kOne;
  CloseAndReuse(&lines[first_is_one ? 1 : 0].near, &lines[2].near);
  Add(lines[2].near, Io::kRead, kOneAgain);
  EXPECT_EQ(batch[1].token, first_is_one ? kTwo : kOne) << "which no longer names anything";
  const std::vector<ReadyEvent> events = Wait();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, batch[0].token);
}

TEST_P(PollerContractTest, ForgottenBeforeItsTurnCameIsNeverReported) {
  Line lines[] = {MakeLine(), MakeLine(), MakeLine()};
  Add(lines[0].near, Io::kRead, kOne);
  Add(lines[1].near, Io::kRead, kTwo);
  lines[0].Send();
  lines[1].Send();
  const std::vector<ReadyEvent> first = Wait(/*room=*/1);
  ASSERT_EQ(first.size(), 1u);
  const Token reported = first[0].token;
  CloseAndReuse(&lines[reported == kOne ? 1 : 0].near, &lines[2].near);
  Add(lines[2].near, Io::kRead, kOneAgain);
  for (int i = 0; i < 3; ++i) {
    const std::vector<ReadyEvent> next = Wait(/*room=*/1);
    ASSERT_EQ(next.size(), 1u);
    EXPECT_EQ(next[0].token, reported);
  }
}

// Many at once.

// Descriptors that are always readable.
std::vector<UniqueFd> MakeReadable(int count) {
  std::vector<UniqueFd> fds;
  for (int i = 0; i < count; ++i) fds.emplace_back(eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  return fds;
}

TEST_P(PollerContractTest, NobodyIsStarvedWhenMoreAreReadyThanFit) {
  const int count = GetParam() == "select" ? 900 : 2'000;
  constexpr int kRoom = 64;
  AllowDescriptors(count);
  std::vector<UniqueFd> fds = MakeReadable(count);
  for (int i = 0; i < count; ++i) {
    const Token token = {.slot = static_cast<uint32_t>(i), .generation = 1};
    ASSERT_TRUE(poller_->Add(fds[i].get(), Io::kRead, token).ok());
  }
  std::vector<int> reports(count);
  const int calls_per_round = (count + kRoom - 1) / kRoom;
  constexpr int kRounds = 10;
  for (int call = 0; call < kRounds * calls_per_round; ++call) {
    const std::vector<ReadyEvent> events = Wait(kRoom);
    ASSERT_EQ(events.size(), static_cast<size_t>(kRoom)) << "leaves out what is ready";
    for (const ReadyEvent& event : events) ++reports[event.token.slot];
  }
  // In so many calls there is room for each to be reported so many times.
  EXPECT_GE(*std::min_element(reports.begin(), reports.end()), kRounds - 1);
}

TEST_P(PollerContractTest, ManyComeAndGo) {
  constexpr int kLines = 100;
  std::vector<Line> lines;
  for (int i = 0; i < kLines; ++i) lines.push_back(MakeLine());
  struct Watch {
    Io interest = Io::kNone;  // None: is not watched.
    bool readable = false;
  };
  std::vector<Watch> watches(kLines);
  std::mt19937 random(7);  // The same story each time.
  for (uint32_t step = 1; step <= 2'000; ++step) {
    const uint32_t slot = random() % kLines;
    Watch& watch = watches[slot];
    const Io interest = static_cast<Io>(1 + random() % 3);
    const Token token = {.slot = slot, .generation = 1};
    const uint32_t action = random() % 4;
    if (action == 0 && Any(watch.interest)) {
      poller_->Remove(lines[slot].near.fd());
      watch.interest = Io::kNone;
    } else if (action == 1) {
      watch.readable ? lines[slot].Drain() : lines[slot].Send();
      watch.readable = !watch.readable;
    } else if (action > 1) {
      Any(watch.interest) ? Modify(lines[slot].near, interest, token)
                          : Add(lines[slot].near, interest, token);
      watch.interest = interest;
    }
    std::map<uint32_t, Io> expected;
    for (uint32_t i = 0; i < kLines; ++i) {
      const Io possible = watches[i].readable ? Io::kReadWrite : Io::kWrite;
      if (Any(watches[i].interest & possible)) expected[i] = watches[i].interest & possible;
    }
    std::map<uint32_t, Io> ready;
    for (const ReadyEvent& event : Wait()) ready[event.token.slot] = event.ready;
    ASSERT_EQ(ready, expected) << "in step " << step;
  }
}

TEST_P(PollerContractTest, DescriptorsBeyondSelectAreWatchedOrRefused) {
  AllowDescriptors(FD_SETSIZE + 1);
  Line line = MakeLine();
  Line high_line = MakeLine();
  high_line.near = Socket(UniqueFd(fcntl(high_line.near.fd(), F_DUPFD_CLOEXEC, FD_SETSIZE)));
  ASSERT_GE(high_line.near.fd(), FD_SETSIZE);
  line.Send();
  high_line.Send();
  Add(line.near, Io::kRead, kOne);
  const absl::Status status = poller_->Add(high_line.near.fd(), Io::kRead, kTwo);
  if (GetParam() == "select") {
    EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
    EXPECT_FALSE(poller_->Modify(high_line.near.fd(), Io::kRead, kTwo).ok());
    EXPECT_EQ(Ready(kTwo), Io::kNone);
  } else {
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(Ready(kTwo), Io::kRead);
  }
  EXPECT_EQ(Ready(kOne), Io::kRead);
}

INSTANTIATE_TEST_SUITE_P(Pollers, PollerContractTest, ::testing::Values("epoll", "poll", "select"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace millrace
