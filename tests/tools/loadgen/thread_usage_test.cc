// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/thread_usage.h"

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

ThreadUsage::Sample SampleAt(absl::Duration time, absl::Duration on_core, absl::Duration queued) {
  return {.time = MonotonicTime() + time, .on_core = on_core, .queued = queued};
}

TEST(ThreadUsageTest, SharesAreOfTheTimeBetween) {
  ThreadUsage usage;
  usage.Begin(SampleAt(absl::Seconds(10), absl::Seconds(3), absl::Seconds(1)));
  EXPECT_EQ(usage.busy(), 0) << "no time has passed";
  usage.End(SampleAt(absl::Seconds(12), absl::Seconds(4.5), absl::Seconds(1.25)));
  EXPECT_DOUBLE_EQ(usage.busy(), 0.75);
  EXPECT_DOUBLE_EQ(usage.queued(), 0.125);
}

TEST(ThreadUsageTest, TheFirstEndCounts) {
  ThreadUsage usage;
  usage.End(SampleAt(absl::Seconds(1), absl::Seconds(1), absl::ZeroDuration()));
  EXPECT_EQ(usage.busy(), 0) << "it has not begun";
  usage.Begin(SampleAt(absl::Seconds(1), absl::Seconds(1), absl::ZeroDuration()));
  usage.End(SampleAt(absl::Seconds(2), absl::Seconds(2), absl::ZeroDuration()));
  usage.End(SampleAt(absl::Seconds(5), absl::Seconds(2), absl::ZeroDuration()));
  EXPECT_EQ(usage.busy(), 1);
}

// The two clocks are not read at the same moment.
TEST(ThreadUsageTest, NoShareIsMoreThanAll) {
  ThreadUsage usage;
  usage.Begin(SampleAt(absl::Seconds(1), absl::ZeroDuration(), absl::Seconds(9)));
  usage.End(SampleAt(absl::Seconds(2), absl::Seconds(1.001), absl::Seconds(8)));
  EXPECT_EQ(usage.busy(), 1);
  EXPECT_EQ(usage.queued(), 0);
}

// Work is seen as work, however long the machine takes for it.
TEST(ThreadUsageTest, AThreadThatWorksUsesACore) {
  const ThreadUsage::Sample begin = ThreadUsage::SampleNow();
  ThreadUsage::Sample now = begin;
  while (now.on_core < begin.on_core + absl::Milliseconds(5)) now = ThreadUsage::SampleNow();
  EXPECT_GE(now.time - begin.time, absl::Milliseconds(5)) << "one thread, one core at a time";
  EXPECT_GE(now.queued, begin.queued);
}

}  // namespace
}  // namespace millrace
