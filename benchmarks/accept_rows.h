// SPDX-License-Identifier: Apache-2.0
//
// What it costs to accept connections: the rows Accept/Waiting/WHO/N, the same for every library.
// One takes part with a loop that listens and belongs to one thread:
//
//   class Listener {
//     explicit Listener(Socket socket);  // Listens already, and does not block.
//     void Turn();                       // Without waiting. Accepts, and watches what it accepted.
//     int64_t accepted() const;          // Since it was made.
//     void CloseAccepted();
//   };
//   const bool kAccept = RegisterAccept<Listener>("libuv");

#ifndef MILLRACE_BENCHMARKS_ACCEPT_ROWS_H_
#define MILLRACE_BENCHMARKS_ACCEPT_ROWS_H_

#include <time.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "benchmark/benchmark.h"
#include "net/acceptor.h"
#include "net/socket.h"
#include "net/socket_address.h"

namespace millrace {

// As many as wait in the backlog once this returns.
inline std::vector<Socket> ConnectMany(const SocketAddress& address, int64_t count) {
  std::vector<Socket> clients;
  while (static_cast<int64_t>(clients.size()) < count) {
    clients.push_back(Socket::CreateFor(address).value());
    clients.back().ResetOnClose();  // Or their ports would be used up before long.
    CHECK_OK(clients.back().Connect(address).status());
  }
  return clients;
}

// Of this thread, so that others on a busy machine do not count.
inline double CpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// N connections wait; timed are the turns until the last of them is accepted and watched.
template <typename Listener>
void Accept(benchmark::State& state) {
  Socket socket = ListenAt(SocketAddress::Loopback(0), {}).value();
  const SocketAddress address = socket.LocalAddress().value();
  Listener listener(std::move(socket));
  int64_t connected = 0;
  for (auto _ : state) {
    const std::vector<Socket> clients = ConnectMany(address, state.range(0));
    connected += state.range(0);
    const double start = CpuSeconds();
    while (listener.accepted() < connected) listener.Turn();
    listener.Turn();  // Some begin to watch only now.
    state.SetIterationTime(CpuSeconds() - start);
    listener.CloseAccepted();
  }
  state.SetItemsProcessed(connected);
}

template <typename Listener>
bool RegisterAccept(const std::string& who) {
  benchmark::RegisterBenchmark(("Accept/Waiting/" + who).c_str(), Accept<Listener>)
      ->Arg(1)
      ->Arg(16)
      ->Arg(256)
      ->UseManualTime();
  return true;
}

}  // namespace millrace

#endif  // MILLRACE_BENCHMARKS_ACCEPT_ROWS_H_
