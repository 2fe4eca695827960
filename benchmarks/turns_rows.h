// SPDX-License-Identifier: Apache-2.0
//
// What a loop's turn costs beside what it is there for: the rows Turns/OPERATION/WHO[/N], the same
// for every library. One takes part with a loop that belongs to one thread:
//
//   class Turns {
//     explicit Turns(const std::vector<int>& eventfds);  // Borrowed. Watched; each that is ready
//     void Turn();                                       // in a turn is read by its handler.
//     int64_t events() const;                            // How often that was.
//   };
//   const bool kTurns = RegisterTurns<Turns>("libuv");

#ifndef MILLRACE_BENCHMARKS_TURNS_ROWS_H_
#define MILLRACE_BENCHMARKS_TURNS_ROWS_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "base/unique_fd.h"
#include "benchmark/benchmark.h"

namespace millrace {

class EventFds {
 public:
  explicit EventFds(int64_t count) {
    while (static_cast<int64_t>(fds_.size()) < count) {
      owned_.emplace_back(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      fds_.push_back(owned_.back().get());
    }
  }
  const std::vector<int>& fds() const { return fds_; }
  void MakeReady() {
    for (const int fd : fds_) CHECK_EQ(eventfd_write(fd, 1), 0);
  }

 private:
  std::vector<UniqueFd> owned_;
  std::vector<int> fds_;
};

// What a handler does: it makes the descriptor wait for its next event.
inline void ReadEventFd(int fd) {
  eventfd_t value;
  CHECK_EQ(eventfd_read(fd, &value), 0);
}

// One descriptor is watched, and nothing happens: a system call, and the rest.
template <typename Turns>
void EmptyTurn(benchmark::State& state) {
  EventFds silent(1);
  Turns turns(silent.fds());
  for (auto _ : state) turns.Turn();
  state.SetItemsProcessed(state.iterations());
}

// N descriptors are ready. An item is an event, with the system calls that make it and read it.
template <typename Turns>
void ReadyTurn(benchmark::State& state) {
  EventFds fds(state.range(0));
  Turns turns(fds.fds());
  int64_t made = 0;
  for (auto _ : state) {
    fds.MakeReady();
    made += state.range(0);
    while (turns.events() < made) turns.Turn();
  }
  state.SetItemsProcessed(made);
}

template <typename Turns>
bool RegisterTurns(const std::string& who) {
  benchmark::RegisterBenchmark(("Turns/Empty/" + who).c_str(), EmptyTurn<Turns>);
  benchmark::RegisterBenchmark(("Turns/Ready/" + who).c_str(), ReadyTurn<Turns>)
      ->Arg(1)
      ->Arg(16)
      ->Arg(256);
  return true;
}

}  // namespace millrace

#endif  // MILLRACE_BENCHMARKS_TURNS_ROWS_H_
