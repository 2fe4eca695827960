// SPDX-License-Identifier: Apache-2.0
//
// What the stress tests share: how much is a stress, an echo server on threads of its own, and ways
// to run and to wait. A StressServer belongs to the test and stops with it; its address() and
// stats() may be asked by any thread.
//
//   StressServer server;
//   RunOnThreads(4, [&](int thread) {
//     for (int i = 0; i < Scaled(10'000); ++i) Visit(server.address(), i);
//   });
//   EXPECT_TRUE(Until([&] { return server.stats().open == 0; }));

#ifndef MILLRACE_TESTS_STRESS_STRESS_H_
#define MILLRACE_TESTS_STRESS_STRESS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/config.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/notification.h"
#include "base/thread.h"
#include "net/event_loop_thread_pool.h"
#include "net/loop_ref.h"
#include "net/socket_address.h"
#include "net/tcp_server.h"

namespace millrace {

// Sanitizers make everything several times slower, and keep memory that says nothing about us.
#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// `count` times the environment's MILLRACE_STRESS, 1 if it is not set; under a sanitizer a fifth of
// that. At least 1.
int Scaled(int count);

// The same, for connections that the test holds at the same time, both ends of each: no more than
// the process may have descriptors for, of which it asks as many as it can have.
int ScaledAtOnce(int count);

// Waits until `done`; false if that takes half a minute, so that what hangs fails and is named.
bool Until(absl::FunctionRef<bool()> done);

// Runs `body(0)` to `body(threads - 1)` at the same time, and returns when all have.
void RunOnThreads(int threads, absl::FunctionRef<void(int)> body);

class StressServer {
 public:
  // Sends back what comes.
  static TcpServer::Options Echo();

  explicit StressServer(int workers = 2, TcpServer::Options options = Echo());
  StressServer(const StressServer&) = delete;
  StressServer& operator=(const StressServer&) = delete;
  ~StressServer();

  // One of `kDestinations` addresses of this machine, all of which lead to the server: each has
  // ports of its own for those that were closed and linger in the kernel.
  SocketAddress address(int i = 0) const;
  static constexpr int kDestinations = 16;
  TcpServer::Stats stats() const { return server_->stats(); }
  // Turns that its loops have made, each of which was asked, and so woken, once.
  int64_t Turns();

 private:
  void Run(int workers, TcpServer::Options options);

  absl::Notification started_;
  std::vector<LoopRef> loops_;  // The main loop's first.
  uint16_t port_ = 0;
  const TcpServer* server_ = nullptr;
  Thread thread_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_STRESS_STRESS_H_
