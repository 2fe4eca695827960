// SPDX-License-Identifier: Apache-2.0
//
// Tally counts what a soak has met, by scenario: connections, closes by reason, faults, what
// handlers did. A soak that meets nothing proves nothing, so it says what it missed. A value; for
// one thread.
//
//   tally.Count("close: idle");
//   std::cout << Table({{"echo", echo_tally}, {"drain", drain_tally}});
//   for (const std::string& missed : Missed(sum)) ...

#ifndef MILLRACE_TESTS_SIM_TALLY_H_
#define MILLRACE_TESTS_SIM_TALLY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "net/close_reason.h"
#include "net/sim/sim_network.h"

namespace millrace {

class Tally {
 public:
  void Count(absl::string_view what, int64_t n = 1);
  int64_t count(absl::string_view what) const;
  // What has gone wrong in a world, and how often.
  void CountFaults(const SimNetwork& network);
  void Add(const Tally& other);

  const std::map<std::string, int64_t, std::less<>>& counts() const { return counts_; }

 private:
  std::map<std::string, int64_t, std::less<>> counts_;
};

// "idle" of DeadlineExceeded("idle for 1s"); empty if it is none of the reasons of docs/errors.md.
std::string ReasonOf(const absl::Status& why);
// Whether a connection that was closed for this may be counted under that.
bool IsCauseOf(CloseCause cause, const absl::Status& why);

struct NamedTally {
  std::string name;
  Tally tally;
};
// A row for each thing, a column for each tally and one for their sum.
std::string Table(const std::vector<NamedTally>& tallies);

// What every soak of some length must have met, and this one has not.
std::vector<std::string> Missed(const Tally& tally);

}  // namespace millrace

#endif  // MILLRACE_TESTS_SIM_TALLY_H_
