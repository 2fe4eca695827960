// SPDX-License-Identifier: Apache-2.0
#include "net/sim/sim_faults.h"

#include <string>

#include "absl/time/time.h"
#include "base/random.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

constexpr int kDraws = 1000;

TEST(SimFaultsTest, ByDefaultNothingGoesWrong) {
  EXPECT_EQ(SimFaults().ToString(), "delay 20us to 200us, window 65536 to 262144");
}

TEST(SimFaultsTest, TheTextNamesWhatIsOn) {
  const std::string text = SimFaults{.cut_short = 0.5, .lost = 0.25}.ToString();
  EXPECT_EQ(text, "cut_short 0.5, lost 0.25, delay 20us to 200us, window 65536 to 262144");
}

TEST(SimFaultsTest, TheSameNumbersDrawTheSameWorld) {
  Random one(7), again(7), other(8);
  const std::string text = SimFaults::Draw(one).ToString();
  EXPECT_EQ(SimFaults::Draw(again).ToString(), text);
  EXPECT_NE(SimFaults::Draw(other).ToString(), text);
}

TEST(SimFaultsTest, HarmlessOnesEndNoConnection) {
  Random random(7);
  for (int i = 0; i < kDraws; ++i) {
    const SimFaults faults = SimFaults::DrawHarmless(random);
    EXPECT_EQ(faults.accept_error + faults.no_memory + faults.connect_refused +
                  faults.connect_lost + faults.reset + faults.lost,
              0);
  }
}

TEST(SimFaultsTest, EachFaultIsSometimesOnAndSometimesOff) {
  constexpr double SimFaults::*kFaults[] = {&SimFaults::would_block,  &SimFaults::interrupted,
                                            &SimFaults::cut_short,    &SimFaults::accept_error,
                                            &SimFaults::no_memory,    &SimFaults::connect_refused,
                                            &SimFaults::connect_lost, &SimFaults::reset,
                                            &SimFaults::lost,         &SimFaults::stall};
  for (const auto fault : kFaults) {
    Random random(7);
    int on = 0;
    for (int i = 0; i < kDraws; ++i) on += SimFaults::Draw(random).*fault > 0 ? 1 : 0;
    EXPECT_GT(on, kDraws / 3);
    EXPECT_LT(on, kDraws * 2 / 3);
  }
}

TEST(SimFaultsTest, WhatIsDrawnMakesSense) {
  Random random(7);
  for (int i = 0; i < kDraws; ++i) {
    const SimFaults faults = SimFaults::Draw(random);
    EXPECT_LE(faults.delay_min, faults.delay_max);
    EXPECT_LE(faults.delay_max, absl::Milliseconds(50));
    EXPECT_GE(faults.window_min, 1u);
    EXPECT_LE(faults.window_min, faults.window_max);
    EXPECT_LT(faults.would_block + faults.interrupted, 1) << "a call goes through at last";
  }
}

}  // namespace
}  // namespace millrace
