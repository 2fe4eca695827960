// SPDX-License-Identifier: Apache-2.0
//
// Counter and Gauge are numbers that one thread writes and any thread may read. Having one writer,
// they need no locked instruction: counting costs what a plain variable costs, so that what is
// worth knowing can always be counted. A reader sees a value that was true a moment ago; two
// numbers read one after the other need not fit together.
//
//   struct Traffic { Counter bytes_read; Gauge connections; };   // A loop's own; others read it.
//   traffic.bytes_read.Add(n);                                   // On the loop.
//   total += traffic.bytes_read.value();                         // Anywhere.
//
// Writers that take turns under a lock count as one. Keep numbers of different writers out of each
// other's cache line, or they slow each other down.

#ifndef MILLRACE_BASE_COUNTERS_H_
#define MILLRACE_BASE_COUNTERS_H_

#include <atomic>
#include <cstdint>

namespace millrace {

// How often something has happened. Only grows; wraps round at 2^64, which takes centuries.
class Counter {
 public:
  Counter() = default;
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;

  // The writer only.
  void Add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void Increment() { Add(1); }

  // Any thread.
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

// How many of something there are now.
class Gauge {
 public:
  Gauge() = default;
  Gauge(const Gauge&) = delete;
  Gauge& operator=(const Gauge&) = delete;

  // The writer only.
  void Add(int64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void Sub(int64_t n) { Add(-n); }

  // Any thread.
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_BASE_COUNTERS_H_
