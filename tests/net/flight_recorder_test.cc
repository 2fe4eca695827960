// SPDX-License-Identifier: Apache-2.0
#include "net/flight_recorder.h"

#include <cerrno>
#include <limits>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/limits.h"

namespace millrace {
namespace {

using ::testing::StartsWith;

constexpr MonotonicTime At(int64_t milliseconds) {
  return MonotonicTime::FromNanoseconds(milliseconds * 1'000'000);
}

TEST(FlightRecorderTest, TellsTheOldestFirstAndHowLongAgoItWas) {
  FlightRecorder recorder(At(1'000));
  recorder.Record(FlightEvent::kOpened, 0, At(1'000));
  recorder.Record(FlightEvent::kRead, 512, At(3'500));
  recorder.Record(FlightEvent::kWriteBlocked, 4'096, At(3'999));
  EXPECT_EQ(recorder.ToString(At(4'000)),
            "-3s opened\n-500ms read 512\n-1ms write blocked, waiting 4096\n");
  EXPECT_EQ(recorder.since(), At(1'000));
  EXPECT_EQ(recorder.recorded(), 3u);
}

TEST(FlightRecorderTest, AFailureTellsItsErrno) {
  FlightRecorder recorder(At(0));
  recorder.Record(FlightEvent::kFailed, ECONNRESET, At(0));
  recorder.Record(FlightEvent::kFailed, 0, At(0));
  EXPECT_EQ(recorder.ToString(At(0)), "0 failed ECONNRESET\n0 failed\n");
}

TEST(FlightRecorderTest, KeepsTheLastOnes) {
  FlightRecorder recorder(At(0));
  for (size_t i = 0; i < kFlightEventsMax + 5; ++i) {
    recorder.Record(FlightEvent::kRead, i, At(0));
  }
  EXPECT_EQ(recorder.recorded(), kFlightEventsMax + 5);
  std::string expected;
  for (size_t i = 5; i < kFlightEventsMax + 5; ++i) absl::StrAppend(&expected, "0 read ", i, "\n");
  EXPECT_EQ(recorder.ToString(At(0)), expected);
}

TEST(FlightRecorderTest, OfNothingThereIsNothingToTell) {
  EXPECT_EQ(FlightRecorder(At(0)).ToString(At(1)), "");
}

TEST(FlightRecorderTest, ANumberThatDoesNotFitLeavesTheEventAlone) {
  FlightRecorder recorder(At(0));
  recorder.Record(FlightEvent::kWrote, std::numeric_limits<uint64_t>::max(), At(0));
  EXPECT_THAT(recorder.ToString(At(0)), StartsWith("0 wrote 72057594037927935"));
}

TEST(FlightRecorderTest, EachEventHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int i = 0; i <= static_cast<int>(FlightEvent::kFailed); ++i) {
    const std::string name(NameOf(static_cast<FlightEvent>(i)));
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_NE(name, "?");
  }
}

TEST(FlightRecorderTest, IsWithinTheCostThatTheDocumentTells) {
  EXPECT_LE(sizeof(FlightRecorder), 32u * 16 + 16);
}

}  // namespace
}  // namespace millrace
