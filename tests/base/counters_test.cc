// SPDX-License-Identifier: Apache-2.0
#include "base/counters.h"

#include <cstdint>
#include <limits>

#include "absl/status/statusor.h"
#include "base/thread.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(CounterTest, CountsUp) {
  Counter counter;
  EXPECT_EQ(counter.value(), 0u);
  counter.Increment();
  counter.Add(41);
  EXPECT_EQ(counter.value(), 42u);
}

TEST(CounterTest, WrapsRound) {
  Counter counter;
  counter.Add(std::numeric_limits<uint64_t>::max());
  counter.Add(2);
  EXPECT_EQ(counter.value(), 1u);
}

TEST(CounterTest, ReaderOnAnotherThreadSeesItGrow) {
  constexpr uint64_t kTimes = 100'000;
  Counter counter;
  absl::StatusOr<Thread> writer = Thread::Start({.name = "writer"}, [&counter] {
    for (uint64_t i = 0; i < kTimes; ++i) counter.Increment();
  });
  ASSERT_TRUE(writer.ok()) << writer.status();
  uint64_t last = 0;
  while (last < kTimes) {
    const uint64_t now = counter.value();
    ASSERT_GE(now, last);
    last = now;
  }
  writer->Join();
  EXPECT_EQ(counter.value(), kTimes);
}

TEST(GaugeTest, GoesUpAndDownAndBelowZero) {
  Gauge gauge;
  EXPECT_EQ(gauge.value(), 0);
  gauge.Add(5);
  gauge.Sub(3);
  EXPECT_EQ(gauge.value(), 2);
  gauge.Sub(4);
  EXPECT_EQ(gauge.value(), -2);
}

}  // namespace
}  // namespace millrace
