// SPDX-License-Identifier: Apache-2.0
#include "net/sim/sim_faults.h"

#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

// 0 half of the time, else up to `most`, small ones as likely as large ones.
double Chance(Random& random, double most) {
  if (random.Below(2) == 0) return 0;
  const double unit = random.Unit();
  return most * unit * unit;
}

}  // namespace

SimFaults SimFaults::DrawHarmless(Random& random) {
  SimFaults faults;
  faults.would_block = Chance(random, 0.5);
  faults.interrupted = Chance(random, 0.3);
  faults.cut_short = Chance(random, 1);
  faults.stall = Chance(random, 0.1);
  faults.delay_max =
      absl::Microseconds(20) + absl::Milliseconds(random.Below(3) * 20) * random.Unit();
  faults.window_min = size_t{1} << random.Below(17);
  faults.window_max = faults.window_min << random.Below(5);
  return faults;
}

SimFaults SimFaults::Draw(Random& random) {
  SimFaults faults = DrawHarmless(random);
  faults.accept_error = Chance(random, 0.3);
  faults.no_memory = Chance(random, 0.05);
  faults.connect_refused = Chance(random, 0.3);
  faults.connect_lost = Chance(random, 0.3);
  faults.reset = Chance(random, 0.03);
  faults.lost = Chance(random, 0.03);
  return faults;
}

std::string SimFaults::ToString() const {
  std::string text;
  const auto add = [&](const char* name, double chance) {
    if (chance > 0) absl::StrAppend(&text, name, " ", chance, ", ");
  };
  add("would_block", would_block);
  add("interrupted", interrupted);
  add("cut_short", cut_short);
  add("accept_error", accept_error);
  add("no_memory", no_memory);
  add("connect_refused", connect_refused);
  add("connect_lost", connect_lost);
  add("reset", reset);
  add("lost", lost);
  add("stall", stall);
  absl::StrAppend(&text, "delay ", absl::FormatDuration(delay_min), " to ",
                  absl::FormatDuration(delay_max), ", window ", window_min, " to ", window_max);
  return text;
}

}  // namespace millrace
