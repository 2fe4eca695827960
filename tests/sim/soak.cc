// SPDX-License-Identifier: Apache-2.0
//
// The soak: scenario after scenario in world after world, until a promise is broken or the seeds,
// or the time, are over. See docs/testing.md.
//
//   tools/bazel run //tests/sim:soak -- --minutes=60
//   tools/bazel run //tests/sim:soak -- --scenario=echo --seed=17 --trace
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/config.h"
#include "absl/log/globals.h"
#include "absl/log/initialize.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "net/sim/last_words.h"
#include "tests/sim/scenarios.h"
#include "tests/sim/tally.h"
#include "tests/sim/world.h"
#include "tools/program/flag_set.h"

namespace millrace {
namespace {

// As many as take a minute or two.
#if defined(ABSL_HAVE_THREAD_SANITIZER)
constexpr int kSeeds = 100;
#elif defined(ABSL_HAVE_ADDRESS_SANITIZER)
constexpr int kSeeds = 1'000;
#else
constexpr int kSeeds = 10'000;
#endif

// One seed in so many runs twice, and must do the same.
constexpr uint64_t kTwiceOneIn = 50;
// From so many seeds on, each thing that can be met must have been.
constexpr int64_t kSeedsToMeetAll = 2'000;

struct Flags {
  int seeds = kSeeds;
  int first_seed = 1;
  int seed = 0;
  int minutes = 0;
  std::string scenario;
  bool trace = false;
};

struct Outcome {
  std::string failure, faults;
  uint64_t trace_hash = 0;
  Tally tally;
};

Outcome RunOnce(const Scenario& scenario, uint64_t seed, bool trace) {
  World world({.seed = seed, .trace = trace});
  const MonotonicTime begin = world.sim().now();
  scenario.run(world);
  if (world.failure().empty()) world.CheckAllGivenBack();
  Outcome outcome = {.failure = world.failure(),
                     .faults = world.faults().ToString(),
                     .trace_hash = world.sim().trace_hash(),
                     .tally = world.tally()};
  outcome.tally.Count("seeds");
  outcome.tally.Count("simulated milliseconds",
                      absl::ToInt64Milliseconds(world.sim().now() - begin));
  outcome.tally.CountFaults(world.sim().network());
  return outcome;
}

class Soak {
 public:
  explicit Soak(const Flags& flags) : flags_(flags), begun_(absl::Now()) {
    for (const Scenario& scenario : Scenarios()) {
      if (flags.scenario.empty() || flags.scenario == scenario.name) {
        lots_.insert(lots_.end(), scenario.weight, scenarios_.size());
        tallies_.push_back({scenario.name, {}});
        scenarios_.push_back(&scenario);
      }
    }
  }

  bool knows_scenario() const { return !scenarios_.empty(); }

  // The exit code.
  int Run() {
    if (flags_.seed > 0) return RunSeed(flags_.seed) ? Report() : EXIT_FAILURE;
    const uint64_t step = Shards();
    uint64_t seed = flags_.first_seed + Shard();
    for (; !IsOver(seed); seed += step) {
      if (!RunSeed(seed)) return EXIT_FAILURE;
      ShowProgress(seed);
    }
    return Report();
  }

 private:
  static uint64_t Variable(const char* name, uint64_t otherwise) {
    const char* const value = std::getenv(name);
    return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
  }
  static uint64_t Shards() { return Variable("TEST_TOTAL_SHARDS", 1); }
  static uint64_t Shard() { return Variable("TEST_SHARD_INDEX", 0); }

  bool IsOver(uint64_t seed) const {
    if (flags_.minutes > 0) return absl::Now() - begun_ >= absl::Minutes(flags_.minutes);
    return seed >= static_cast<uint64_t>(flags_.first_seed) + flags_.seeds;
  }

  // Each seed has a scenario, if none was chosen; not by its number, since shards have every other.
  bool RunSeed(uint64_t seed) {
    const size_t chosen = lots_[Random(seed).Below(lots_.size())];
    const Scenario& scenario = *scenarios_[chosen];
    const std::string replay =
        absl::StrCat("tools/bazel run //tests/sim:soak -- --scenario=", scenario.name,
                     " --seed=", seed, " --trace\n");
    words_.Set(absl::StrCat("scenario ", scenario.name, ", seed ", seed, " ended the process\n",
                            "to see it again: ", replay));
    Outcome outcome = RunOnce(scenario, seed, flags_.trace);
    tallies_[chosen].tally.Add(outcome.tally);
    if (outcome.failure.empty() && seed % kTwiceOneIn == 0) {
      const Outcome again = RunOnce(scenario, seed, flags_.trace);
      if (again.trace_hash != outcome.trace_hash) outcome.failure = "a second run was another one";
    }
    if (outcome.failure.empty()) return true;
    std::cerr << "\nscenario " << scenario.name << ", seed " << seed << ": " << outcome.failure
              << "\nfaults: " << outcome.faults << "\nto see it again: " << replay;
    return false;
  }

  void ShowProgress(uint64_t seed) {
    if (!isatty(STDERR_FILENO) || seed % 100 != 0) return;
    std::cerr << absl::StrFormat(
        "\r%d seeds in %s ", seed - flags_.first_seed + 1,
        absl::FormatDuration(absl::Trunc(absl::Now() - begun_, absl::Seconds(1))));
  }

  int Report() {
    std::cout << Table(tallies_);
    Tally sum;
    for (const NamedTally& each : tallies_) sum.Add(each.tally);
    const bool is_whole = flags_.scenario.empty() && sum.count("seeds") >= kSeedsToMeetAll;
    const std::vector<std::string> missed = is_whole ? Missed(sum) : std::vector<std::string>();
    for (const std::string& what : missed) std::cerr << "never met: " << what << "\n";
    return missed.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
  }

  const Flags flags_;
  const absl::Time begun_;
  std::vector<const Scenario*> scenarios_;
  std::vector<size_t> lots_;  // Of them, by number, as often as each weighs.
  std::vector<NamedTally> tallies_;
  LastWords words_;
};

int Main(int argc, char** argv) {
  Flags flags;
  FlagSet set("soak",
              "Runs servers and clients in simulated worlds, and checks what they promise.");
  set.AddInt("seeds", flags.seeds, 1, 1'000'000'000, "how many worlds");
  set.AddInt("first_seed", flags.first_seed, 1, 1'000'000'000, "of the first world");
  set.AddInt("seed", flags.seed, 0, 2'000'000'000, "this world alone; 0: all");
  set.AddInt("minutes", flags.minutes, 0, 1'000'000, "goes on for so long instead; 0: --seeds");
  set.AddText("scenario", "NAME", flags.scenario,
              "echo, chat, reconnect, drain or overload; else all in turn");
  set.AddSwitch("trace", flags.trace, "tells each event of the network on stderr");
  if (const std::optional<int> code = set.ParseCommandLine(argc, argv)) return *code;
  absl::InitializeLog();
  // What servers log of simulated faults is no news.
  absl::SetMinLogLevel(absl::LogSeverityAtLeast::kFatal);
  absl::SetStderrThreshold(absl::LogSeverityAtLeast::kFatal);
  Soak soak(flags);
  if (soak.knows_scenario()) return soak.Run();
  std::cerr << "soak: --scenario: there is none of the name " << flags.scenario << "\n";
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
