// SPDX-License-Identifier: Apache-2.0
//
// ConnectionTest is the fixture of tests that play with one connection, or a few: real sockets, a
// loop stepped by hand, a Peer at the other end, and a ConnectionLog of what the handler was told.
//
//   TEST_F(ConnectionTest, Echoes) {
//     log_.on_data = [](TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); };
//     Peer peer = Open();
//     peer.Send("hello");
//     EXPECT_EQ(Receive(peer, 5), "hello");
//   }

#ifndef MILLRACE_TESTS_SUPPORT_CONNECTION_TEST_H_
#define MILLRACE_TESTS_SUPPORT_CONNECTION_TEST_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "base/ref.h"
#include "gtest/gtest.h"
#include "net/connection_limits.h"
#include "net/connection_owner.h"
#include "net/connection_table.h"
#include "net/event_loop.h"
#include "net/memory_budget.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/transport.h"
#include "tests/support/peer.h"
#include "tests/support/recording_handler.h"
#include "tests/support/socket_pair.h"
#include "tests/support/test_loop.h"

namespace millrace {

class ConnectionTest : public ::testing::Test {
 protected:
  explicit ConnectionTest(EventLoop::Options options = {}) : loop_(std::move(options)) {}

  // What a test sets before the first Open().
  ConnectionLimits limits_;
  TransportFactory transport_;
  Ref<MemoryBudget> budget_;  // None, unless a test makes one.

  ConnectionTable& table() {
    if (table_ == nullptr) {
      table_ = &loop_->Keep(std::make_unique<ConnectionTable>(*loop_, limits_, counters_, budget_));
    }
    return *table_;
  }

  // Opens a connection that tells `log_`, or another log, and returns its other end.
  Peer Open() { return Open(TcpPair(), log_); }
  // A Unix one whose output is blocked by a few KiB that the peer does not read.
  Peer OpenNarrow() { return Open(NarrowUnixPair(), log_); }
  // Another one on the same loop.
  Peer OpenNeighbour() { return Open(TcpPair(), neighbour_log_); }
  Peer Open(std::pair<Socket, Socket> ends, ConnectionLog& log) {
    const SocketAddress address = ends.first.PeerAddress().value_or(SocketAddress());
    table().Open(std::move(ends.first), address, transport_, RecordingHandlers(log));
    return Peer(std::move(ends.second));
  }

  // The connection. Requires: it is open.
  TcpConnection& conn() { return *log_.connection; }
  int fd() { return conn().transport()->socket().fd(); }
  ConnectionMemory& memory() { return loop_->Local<ConnectionMemory>(); }

  bool StepUntil(absl::FunctionRef<bool()> done) { return loop_.StepUntil(done); }
  bool StepUntilClosed() {
    return StepUntil([&] { return log_.closed(); });
  }
  // Turns until nothing happens any more, and whatever the kernel had to deliver is delivered.
  void Settle() { loop_.Steps(8); }
  // As much as comes, turning the loop, until `n` bytes are there or the stream is over.
  std::string Receive(Peer& peer, size_t n) {
    std::string received;
    StepUntil([&] {
      received += peer.ReceiveSome();
      return received.size() >= n || peer.ended() || peer.was_reset();
    });
    return received;
  }
  std::string ReceiveAll(Peer& peer) { return Receive(peer, std::string::npos); }
  // Turns the loop until all is sent.
  void Send(Peer& peer, absl::string_view bytes) {
    StepUntil([&] {
      bytes.remove_prefix(peer.SendSome(bytes));
      return bytes.empty();
    });
    EXPECT_TRUE(bytes.empty()) << "nobody reads";
  }

  ConnectionLog log_, neighbour_log_;
  ConnectionCounters counters_;
  TestLoop loop_;  // Goes first.

 private:
  ConnectionTable* table_ = nullptr;
};

// `n` bytes in which a byte that is lost, doubled or swapped shows.
inline std::string Pattern(size_t n, uint32_t seed = 1) {
  std::string bytes(n, '\0');
  uint32_t state = seed * 2654435761u + 1;
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_CONNECTION_TEST_H_
