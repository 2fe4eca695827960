// SPDX-License-Identifier: Apache-2.0
//
// What the heap gives: nothing for a message, little for a connection that waits. All of malloc(3)
// and operator new is counted, since Buffer uses the one and everybody else the other. The linker's
// --wrap leads calls of the first from our code through here.
#include <malloc.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/connection_table.h"
#include "net/event_loop.h"
#include "net/tcp_connection.h"
#include "tests/support/socket_pair.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

std::atomic<int64_t> allocations{0};
std::atomic<int64_t> live_bytes{0};

// A block as the C library keeps it: what can be used, and its header.
int64_t BlockBytes(void* block) { return static_cast<int64_t>(malloc_usable_size(block)) + 8; }

void* Count(void* block) {
  if (block == nullptr) return block;
  allocations.fetch_add(1, std::memory_order_relaxed);
  live_bytes.fetch_add(BlockBytes(block), std::memory_order_relaxed);
  return block;
}

void Uncount(void* block) {
  if (block != nullptr) live_bytes.fetch_sub(BlockBytes(block), std::memory_order_relaxed);
}

}  // namespace
}  // namespace millrace

extern "C" {

void* __real_malloc(size_t n);
void* __real_calloc(size_t n, size_t size);
void* __real_realloc(void* block, size_t n);
void __real_free(void* block);

void* __wrap_malloc(size_t n) { return millrace::Count(__real_malloc(n)); }
void* __wrap_calloc(size_t n, size_t size) { return millrace::Count(__real_calloc(n, size)); }
void* __wrap_realloc(void* block, size_t n) {
  millrace::Uncount(block);
  return millrace::Count(__real_realloc(block, n));
}
void __wrap_free(void* block) {
  millrace::Uncount(block);
  __real_free(block);
}

}  // extern "C"

void* operator new(size_t n) { return __wrap_malloc(n); }
void* operator new[](size_t n) { return __wrap_malloc(n); }
void operator delete(void* block) noexcept { __wrap_free(block); }
void operator delete[](void* block) noexcept { __wrap_free(block); }
void operator delete(void* block, size_t) noexcept { __wrap_free(block); }
void operator delete[](void* block, size_t) noexcept { __wrap_free(block); }

namespace millrace {
namespace {

struct MovingEcho final : ConnectionHandler {
  void OnData(TcpConnection& conn, Buffer& input) override { conn.Send(std::move(input)); }
};
struct CopyingEcho final : ConnectionHandler {
  void OnData(TcpConnection& conn, Buffer& input) override {
    conn.Send(input.readable());
    input.Clear();
  }
};
// Leaves each first half to wait for the second.
struct WholeMessageEcho final : ConnectionHandler {
  void OnData(TcpConnection& conn, Buffer& input) override {
    if (input.size() < 64) return;
    conn.Send(std::move(input));
  }
};

// Connections with default options, and their peers, which allocate nothing.
class AllocationTest : public ::testing::Test {
 protected:
  template <typename Handler>
  void Open() {
    auto [ours, theirs] = TcpPair();
    ASSERT_TRUE(theirs.SetNoDelay().ok());
    table_.Open(std::move(ours), theirs.LocalAddress().value(), {},
                [] { return std::make_unique<Handler>(); });
    peers_.push_back(std::move(theirs));
  }

  // Sends `n` bytes and waits until they are back.
  void Exchange(size_t peer, size_t n) {
    const int fd = peers_[peer].fd();
    ASSERT_EQ(send(fd, bytes_.data(), n, MSG_NOSIGNAL), static_cast<ssize_t>(n));
    size_t received = 0;
    for (int i = 0; i < 1'000 && received < n; ++i) {
      loop_->RunOnce(absl::Milliseconds(5));
      char back[16 * 1024];
      const ssize_t got = recv(fd, back, sizeof(back), 0);
      if (got > 0) received += static_cast<size_t>(got);
    }
    ASSERT_EQ(received, n);
  }

  // The same with 64 bytes, of which the handler is offered 32 first.
  void ExchangeInHalves() {
    const int fd = peers_[0].fd();
    const uint64_t half_read = counters_.bytes_read.value() + 32;
    ASSERT_EQ(send(fd, bytes_.data(), 32, MSG_NOSIGNAL), 32);
    ASSERT_TRUE(loop_.StepUntil([&] { return counters_.bytes_read.value() == half_read; }));
    ASSERT_EQ(send(fd, bytes_.data(), 32, MSG_NOSIGNAL), 32);
    char back[64];
    ASSERT_TRUE(loop_.StepUntil([&] { return recv(fd, back, 64, 0) == 64; }));
  }

  int64_t AllocationsOfAThousandMessages() {
    for (int i = 0; i < 100; ++i) Exchange(0, 64);
    const int64_t before = allocations.load();
    for (int i = 0; i < 1'000; ++i) Exchange(0, 64);
    return allocations.load() - before;
  }

  ConnectionCounters counters_;
  TestLoop loop_;
  ConnectionTable& table_ =
      loop_->Keep(std::make_unique<ConnectionTable>(*loop_, ConnectionLimits(), counters_));
  std::vector<Socket> peers_;
  const std::string bytes_ = std::string(16 * 1024, 'x');
};

TEST_F(AllocationTest, TheCountCounts) {
  const int64_t before = allocations.load(), live_before = live_bytes.load();
  auto one = std::make_unique<int>(1);
  void* two = std::malloc(100);
  two = std::realloc(two, 200);
  EXPECT_EQ(allocations.load() - before, 3);
  EXPECT_GE(live_bytes.load() - live_before, 200 + 4 + 16);
  std::free(two);
  one.reset();
  EXPECT_EQ(live_bytes.load(), live_before);
}

TEST_F(AllocationTest, AMessageSentOnAllocatesNothing) {
  Open<MovingEcho>();
  EXPECT_EQ(AllocationsOfAThousandMessages(), 0);
}

TEST_F(AllocationTest, AMessageCopiedAllocatesNothing) {
  Open<CopyingEcho>();
  EXPECT_EQ(AllocationsOfAThousandMessages(), 0);
}

TEST_F(AllocationTest, MessagesOfManyConnectionsInTurnAllocateNothing) {
  for (int i = 0; i < 20; ++i) Open<CopyingEcho>();
  for (size_t i = 0; i < 20; ++i) Exchange(i, 64);
  const int64_t before = allocations.load();
  for (size_t i = 0; i < 1'000; ++i) Exchange(i % 20, 64);
  EXPECT_EQ(allocations.load() - before, 0);
}

// And the Buffer that holds it.
TEST_F(AllocationTest, WhatIsLeftUnreadCostsOneBlock) {
  Open<WholeMessageEcho>();
  for (int i = 0; i < 10; ++i) ExchangeInHalves();
  const int64_t before = allocations.load();
  for (int i = 0; i < 100; ++i) ExchangeInHalves();
  EXPECT_EQ(allocations.load() - before, 200);
}

TEST_F(AllocationTest, WhatIsLeftUnreadIsFreedWhenWeTakeOurLeave) {
  struct Leaver final : ConnectionHandler {
    void OnData(TcpConnection& conn, Buffer& input) override {
      if (input.size() == 10'001) conn.CloseAfterFlush();
    }
  };
  Open<Leaver>();
  const int64_t before = live_bytes.load();
  const auto send_and_wait = [&](size_t n, uint64_t in_all) {
    ASSERT_EQ(send(peers_[0].fd(), bytes_.data(), n, MSG_NOSIGNAL), static_cast<ssize_t>(n));
    ASSERT_TRUE(loop_.StepUntil([&] { return counters_.bytes_read.value() == in_all; }));
  };
  send_and_wait(10'000, 10'000);
  EXPECT_GE(live_bytes.load() - before, 10'000);
  send_and_wait(1, 10'001);
  EXPECT_LT(live_bytes.load() - before, 10'000);
  EXPECT_EQ(table_.size(), 1u);
}

TEST_F(AllocationTest, AnIdleConnectionCostsAtMostThreeHundredAndTwentyBytes) {
  constexpr int kConnections = 1'000;
  rlimit files = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  ASSERT_GT(files.rlim_max, 2u * kConnections + 100) << "ulimit -Hn";
  peers_.reserve(kConnections + 1);
  Open<MovingEcho>();
  Exchange(0, bytes_.size());

  const int64_t before = live_bytes.load();
  for (int i = 0; i < kConnections; ++i) Open<MovingEcho>();
  loop_.Steps(4);
  EXPECT_LE((live_bytes.load() - before) / kConnections, 320);
  RecordProperty("bytes_per_connection",
                 static_cast<int>((live_bytes.load() - before) / kConnections));

  for (size_t i = 0; i < peers_.size(); ++i) Exchange(i, bytes_.size());
  loop_.Advance(absl::Seconds(1));
  loop_.Steps(4);
  EXPECT_LE((live_bytes.load() - before) / kConnections, 320) << "after 16 KiB each";
  EXPECT_EQ(table_.size(), size_t{kConnections + 1});
}

}  // namespace
}  // namespace millrace
