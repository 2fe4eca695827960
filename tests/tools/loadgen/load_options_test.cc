// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/load_options.h"

#include <string>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/socket_address.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

LoadOptions Good() { return {.addresses = {SocketAddress::Loopback(7007)}}; }

std::string ErrorOf(const LoadOptions& options) { return std::string(options.Check().message()); }

TEST(LoadOptionsTest, DefaultsAreFine) { EXPECT_TRUE(Good().Check().ok()); }

TEST(LoadOptionsTest, EachThatCannotBeIsNamed) {
  LoadOptions options = Good();
  options.addresses.clear();
  EXPECT_THAT(ErrorOf(options), HasSubstr("no address"));
  options = Good();
  options.addresses.push_back(SocketAddress::Any(7007));
  EXPECT_THAT(ErrorOf(options), HasSubstr("*:7007"));
  options = Good();
  options.connections = 0;
  EXPECT_THAT(ErrorOf(options), HasSubstr("connections must be 1 to"));
  options = Good();
  options.message_bytes = 0;
  EXPECT_THAT(ErrorOf(options), HasSubstr("message_bytes must be 1 to"));
  options = Good();
  options.pipeline = kPipelineMax + 1;
  EXPECT_THAT(ErrorOf(options), HasSubstr("pipeline must be 1 to"));
  options = Good();
  options.duration = absl::ZeroDuration();
  EXPECT_THAT(ErrorOf(options), HasSubstr("duration"));
  options = Good();
  options.threads = -1;
  EXPECT_THAT(ErrorOf(options), HasSubstr("threads"));
}

TEST(LoadOptionsTest, ARateIsForModeEchoOnly) {
  LoadOptions options = Good();
  options.rate = kRateMax;
  EXPECT_TRUE(options.Check().ok());
  options.mode = LoadMode::kChurn;
  EXPECT_EQ(ErrorOf(options), "rate is for mode echo only, not for churn");
  options.mode = LoadMode::kIdle;
  EXPECT_EQ(ErrorOf(options), "rate is for mode echo only, not for idle");
  options.rate = 0;
  EXPECT_TRUE(options.Check().ok());
}

TEST(LoadOptionsTest, WhatAModeHasNoUseForIsRefused) {
  for (const LoadMode mode : {LoadMode::kChurn, LoadMode::kIdle}) {
    LoadOptions options = Good();
    options.mode = mode;
    EXPECT_TRUE(options.Check().ok());
    options.pipeline = 2;
    EXPECT_THAT(ErrorOf(options), HasSubstr("pipeline is for mode echo only, not for "));
  }
  LoadOptions options = Good();
  options.framed = true;
  options.mode = LoadMode::kChurn;
  EXPECT_TRUE(options.Check().ok());
  options.mode = LoadMode::kIdle;
  EXPECT_EQ(ErrorOf(options), "framed is for modes echo and churn only, not for idle");
}

TEST(LoadOptionsTest, AWarmupHasAnEnd) {
  for (const absl::Duration warmup : {absl::InfiniteDuration(), absl::Seconds(-1)}) {
    LoadOptions options = Good();
    options.warmup = warmup;
    EXPECT_EQ(ErrorOf(options), "warmup must be 0 or more, and have an end");
  }
}

TEST(LoadOptionsTest, HowLongItMayTakeToEndIsKnown) {
  LoadOptions options = Good();
  EXPECT_EQ(options.ending_max(), options.grace);
  options.rate = 1;
  EXPECT_EQ(options.ending_max(), 2 * options.grace) << "first to send, then to come back";
  options.mode = LoadMode::kIdle;
  EXPECT_EQ(options.ending_max(), absl::ZeroDuration());
}

TEST(LoadOptionsTest, ARateHasBounds) {
  for (const int rate : {-1, kRateMax + 1}) {
    LoadOptions options = Good();
    options.rate = rate;
    EXPECT_THAT(ErrorOf(options), HasSubstr("rate must be 0 to 10000000, not "));
  }
}

TEST(LoadOptionsTest, AFramedMessageHasRoomForItsLength) {
  LoadOptions options = Good();
  EXPECT_EQ(options.frame_bytes(), 0u);
  options.framed = true;
  EXPECT_EQ(options.frame_bytes(), 64u);
  options.message_bytes = 4;
  EXPECT_TRUE(options.Check().ok());
  options.message_bytes = 3;
  EXPECT_THAT(ErrorOf(options), HasSubstr("message_bytes must be that or more, not 3"));
  options.framed = false;
  EXPECT_TRUE(options.Check().ok());
}

TEST(LoadOptionsTest, WhatIsInFlightIsBounded) {
  LoadOptions options = Good();
  options.message_bytes = kMessageBytesMax;
  options.pipeline = 4;
  EXPECT_TRUE(options.Check().ok());
  options.pipeline = 5;
  EXPECT_THAT(ErrorOf(options), HasSubstr("message_bytes times pipeline"));
}

TEST(LoadOptionsTest, ModesHaveNames) {
  for (const LoadMode mode : {LoadMode::kEcho, LoadMode::kChurn, LoadMode::kIdle}) {
    EXPECT_EQ(LoadModeNamed(LoadModeName(mode)).value(), mode);
  }
  EXPECT_EQ(LoadModeNamed("chrun").status().message(), "must be echo, churn or idle");
}

}  // namespace
}  // namespace millrace
