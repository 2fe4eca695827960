// SPDX-License-Identifier: Apache-2.0
#include "net/sim/for_each_seed.h"

#include <cstdlib>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/sim/last_words.h"

namespace millrace {
namespace {

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// How to run this seed again. Bazel says in TEST_TARGET what it runs.
std::string Replay(uint64_t seed) {
  const std::string target = Variable("TEST_TARGET");
  const auto* const info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string filter =
      info == nullptr ? "" : absl::StrCat(info->test_suite_name(), ".", info->name());
  return absl::StrCat("seed ", seed, " failed; to see it again: tools/bazel test ",
                      target.empty() ? "THIS_TEST" : target, " --test_output=all",
                      filter.empty() ? "" : absl::StrCat(" --test_filter=", filter),
                      " --test_env=MILLRACE_SEED=", seed, " --test_env=MILLRACE_TRACE=1\n");
}

void RunSeed(uint64_t seed, LastWords& words, absl::FunctionRef<void(uint64_t)> test) {
  words.Set(Replay(seed));
  test(seed);
  if (testing::Test::HasFailure()) ADD_FAILURE() << words.words();
}

bool IsTraced() { return Variable("MILLRACE_TRACE") == "1"; }

}  // namespace

void ForEachSeed(int count, absl::FunctionRef<void(uint64_t seed)> test) {
  LastWords words;
  uint64_t only = 0;
  if (absl::SimpleAtoi(Variable("MILLRACE_SEED"), &only)) {
    RunSeed(only, words, test);
  } else {
    int wanted = 0;
    if (absl::SimpleAtoi(Variable("MILLRACE_SEEDS"), &wanted)) count = wanted;
    for (int i = 1; i <= count && !testing::Test::HasFailure(); ++i) RunSeed(i, words, test);
  }
}

Simulation::Options RoughWorld(uint64_t seed) {
  Random random(seed);
  return {.seed = seed,
          .workers = static_cast<int>(random.Below(4)),
          .faults = SimFaults::Draw(random),
          .trace = IsTraced()};
}

Simulation::Options HarmlessWorld(uint64_t seed) {
  Random random(seed);
  return {.seed = seed,
          .workers = static_cast<int>(random.Below(4)),
          .faults = SimFaults::DrawHarmless(random),
          .trace = IsTraced()};
}

}  // namespace millrace
