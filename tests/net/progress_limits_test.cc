// SPDX-License-Identifier: Apache-2.0
#include "net/progress_limits.h"

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/connection_limits.h"
#include "net/limits.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

void ExpectRefused(const ProgressLimits& limits, const std::string& field) {
  // As part of all that a connection may cost.
  const absl::Status status = ConnectionLimits{.progress = limits}.Check();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << field;
  EXPECT_THAT(status.message(), HasSubstr(field));
}

TEST(ProgressLimitsTest, AreOffUnlessSet) {
  EXPECT_EQ(ConnectionLimits().progress, ProgressLimits::Off());
  const ConnectionTimeouts timeouts{ConnectionLimits()};
  EXPECT_EQ(timeouts.first_byte_ms, 0u);
  EXPECT_FALSE(timeouts.limits_messages());
}

TEST(ProgressLimitsTest, PresetsAreFineAndStricterIsStricter) {
  const ProgressLimits lenient = ProgressLimits::Lenient(), strict = ProgressLimits::Strict();
  EXPECT_TRUE(ProgressLimits::Off().Check().ok());
  EXPECT_TRUE(lenient.Check().ok());
  EXPECT_TRUE(strict.Check().ok());
  EXPECT_LT(strict.first_byte_timeout, lenient.first_byte_timeout);
  EXPECT_LT(strict.message_timeout, lenient.message_timeout);
  EXPECT_GT(strict.bytes_per_second_min, lenient.bytes_per_second_min);
  EXPECT_LT(strict.rate_grace, lenient.rate_grace);
}

TEST(ProgressLimitsTest, PresetsHaveNames) {
  EXPECT_EQ(ProgressLimits::ByName("off").value(), ProgressLimits::Off());
  EXPECT_EQ(ProgressLimits::ByName("lenient").value(), ProgressLimits::Lenient());
  EXPECT_EQ(ProgressLimits::ByName("strict").value(), ProgressLimits::Strict());
  for (const char* name : {"", "Strict", "strict ", "none"}) {
    const absl::Status status = ProgressLimits::ByName(name).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(status.message(), HasSubstr(name));
  }
}

TEST(ProgressLimitsTest, TimesAreAMillisecondOrMore) {
  const absl::Duration bad = absl::Microseconds(999);
  ExpectRefused({.first_byte_timeout = bad}, "first_byte_timeout");
  ExpectRefused({.message_timeout = bad}, "message_timeout");
  ExpectRefused({.rate_grace = bad}, "rate_grace");
  const ProgressLimits shortest = {.first_byte_timeout = absl::Milliseconds(1),
                                   .message_timeout = absl::Milliseconds(1),
                                   .rate_grace = absl::Milliseconds(1)};
  EXPECT_TRUE(shortest.Check().ok());
}

TEST(ProgressLimitsTest, NoRateIsAskedForThatArithmeticCannotHold) {
  EXPECT_TRUE(ProgressLimits{.bytes_per_second_min = kMinimumRateMax}.Check().ok());
  ExpectRefused({.bytes_per_second_min = kMinimumRateMax + 1}, "bytes_per_second_min");
}

TEST(ProgressLimitsTest, WithAnEndlessGraceThereIsNoRate) {
  const ConnectionTimeouts timeouts(
      {.progress = {.bytes_per_second_min = 500, .rate_grace = absl::InfiniteDuration()}});
  EXPECT_FALSE(timeouts.limits_messages());
}

}  // namespace
}  // namespace millrace
