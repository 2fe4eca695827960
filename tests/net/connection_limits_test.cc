// SPDX-License-Identifier: Apache-2.0
#include "net/connection_limits.h"

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/limits.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

void ExpectRefused(const ConnectionLimits& limits, const std::string& field) {
  const absl::Status status = limits.Check();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << field;
  EXPECT_THAT(status.message(), HasSubstr(field));
}

TEST(ConnectionLimitsTest, TheDefaultsAreFine) { EXPECT_TRUE(ConnectionLimits().Check().ok()); }

TEST(ConnectionLimitsTest, ATurnsReadingIsAtLeastAByteAndAtMostTheReceiveBuffer) {
  ExpectRefused({.read_bytes_per_turn = 0}, "read_bytes_per_turn");
  EXPECT_TRUE(ConnectionLimits{.read_bytes_per_turn = 1}.Check().ok());
  EXPECT_TRUE(ConnectionLimits{.read_bytes_per_turn = kReceiveBufferBytes}.Check().ok());
  ExpectRefused({.read_bytes_per_turn = kReceiveBufferBytes + 1}, "read_bytes_per_turn");
}

TEST(ConnectionLimitsTest, SomeInputMustBeAllowedToWait) {
  ExpectRefused({.input_bytes_max = 0}, "input_bytes_max");
  EXPECT_TRUE(ConnectionLimits{.input_bytes_max = 1}.Check().ok());
}

TEST(ConnectionLimitsTest, RatesAreCheckedToo) {
  ExpectRefused({.rate = {.write = {.bytes_per_second = -1}}}, "write.bytes_per_second");
  EXPECT_TRUE(ConnectionLimits{.rate = {.read = {.bytes_per_second = 1}}}.Check().ok());
}

TEST(ConnectionLimitsTest, OutputMarksDoNotFall) {
  const auto marks = [](uint64_t low, uint64_t high, uint64_t max) {
    return ConnectionLimits{
        .output_bytes_low = low, .output_bytes_high = high, .output_bytes_max = max};
  };
  EXPECT_TRUE(marks(0, 0, 0).Check().ok());
  EXPECT_TRUE(marks(5, 5, 5).Check().ok());
  EXPECT_TRUE(marks(4, 5, 6).Check().ok());
  ExpectRefused(marks(6, 5, 7), "output_bytes");
  ExpectRefused(marks(4, 7, 6), "output_bytes");
}

TEST(ConnectionLimitsTest, TimesAreAMillisecondOrMoreAndMayBeInfinite) {
  const std::pair<const char*, absl::Duration ConnectionLimits::*> fields[] = {
      {"idle_timeout", &ConnectionLimits::idle_timeout},
      {"read_timeout", &ConnectionLimits::read_timeout},
      {"write_timeout", &ConnectionLimits::write_timeout},
      {"handshake_timeout", &ConnectionLimits::handshake_timeout},
      {"linger_timeout", &ConnectionLimits::linger_timeout},
  };
  for (const auto& [name, field] : fields) {
    ConnectionLimits limits;
    limits.*field = absl::Milliseconds(1);
    EXPECT_TRUE(limits.Check().ok()) << name;
    limits.*field = absl::InfiniteDuration();
    EXPECT_TRUE(limits.Check().ok()) << name;
    for (absl::Duration bad : {absl::Microseconds(999), absl::ZeroDuration(), absl::Seconds(-1),
                               -absl::InfiniteDuration()}) {
      limits.*field = bad;
      ExpectRefused(limits, name);
    }
  }
}

TEST(ConnectionTimeoutsTest, AreRoundedUpToMilliseconds) {
  EXPECT_EQ(ConnectionTimeouts::ToMilliseconds(absl::Milliseconds(7)), 7u);
  EXPECT_EQ(ConnectionTimeouts::ToMilliseconds(absl::Microseconds(7'001)), 8u);
  EXPECT_EQ(ConnectionTimeouts::ToMilliseconds(absl::Nanoseconds(1)), 1u);
  EXPECT_EQ(ConnectionTimeouts::ToMilliseconds(absl::ZeroDuration()), 1u) << "0 would be none";
}

TEST(ConnectionTimeoutsTest, SevenWeeksAreNoLimit) {
  EXPECT_NE(ConnectionTimeouts::ToMilliseconds(absl::Hours(24 * 49)), 0u);
  EXPECT_EQ(ConnectionTimeouts::ToMilliseconds(absl::Hours(24 * 50)), 0u);
  EXPECT_EQ(ConnectionTimeouts::ToMilliseconds(absl::InfiniteDuration()), 0u);
}

TEST(ConnectionTimeoutsTest, EachIsThatOfItsLimit) {
  const ConnectionTimeouts timeouts({.idle_timeout = absl::Milliseconds(1),
                                     .read_timeout = absl::Milliseconds(2),
                                     .write_timeout = absl::Milliseconds(3),
                                     .handshake_timeout = absl::Milliseconds(4),
                                     .linger_timeout = absl::Milliseconds(5)});
  EXPECT_EQ(timeouts.idle_ms, 1u);
  EXPECT_EQ(timeouts.read_ms, 2u);
  EXPECT_EQ(timeouts.write_ms, 3u);
  EXPECT_EQ(timeouts.handshake_ms, 4u);
  EXPECT_EQ(timeouts.linger_ms, 5u);
}

}  // namespace
}  // namespace millrace
