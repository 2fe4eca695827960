// SPDX-License-Identifier: Apache-2.0
//
// FlagSet reads the command line of a program: `--name=value`, or `--name value`. What is wrong
// with it is told in one line that names the flag and the reason; `--help` lists the program's own
// flags. A flag fills a variable of the caller's, which holds its default before, so there are no
// globals, and a test can read as many command lines as it likes. Not synchronised: for main().
//
//   int threads = 0;
//   FlagSet flags("echo", "Sends every byte back.");
//   flags.AddInt("threads", threads, 0, 1024, "worker loops; 0: one for each core");
//   if (std::optional<int> code = flags.ParseCommandLine(argc, argv)) return *code;
//
// absl/flags keeps the last one only of a flag that is given twice, and ends the process with a
// text of its own where one is wrong; both is promised otherwise for our programs.

#ifndef MILLRACE_TOOLS_PROGRAM_FLAG_SET_H_
#define MILLRACE_TOOLS_PROGRAM_FLAG_SET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "net/socket_address.h"

namespace millrace {

class FlagSet {
 public:
  struct Flag {
    std::string name = "";     // Without the dashes.
    std::string value = "";    // What stands for its value in --help: "N"; empty: a switch.
    std::string initial = "";  // Its value if it is not given, for --help; empty: none is shown.
    std::string help = "";
    // Takes the value; called each time the flag is given. Its error need not name the flag.
    absl::AnyInvocable<absl::Status(absl::string_view text)> read = {};
    bool given = false;  // Set by Parse().
  };

  FlagSet(absl::string_view program, absl::string_view description);

  // Requires: no flag of this name is there yet. Variables must outlive the parsing.
  void Add(Flag flag);
  void AddInt(absl::string_view name, int& value, int min, int max, absl::string_view help);
  // --name alone is true; --name=true and --name=false do as well.
  void AddSwitch(absl::string_view name, bool& value, absl::string_view help);
  // As absl::ParseDuration reads it.
  void AddDuration(absl::string_view name, absl::Duration& value, absl::Duration min,
                   absl::string_view help, absl::Duration max = absl::InfiniteDuration());
  void AddText(absl::string_view name, absl::string_view value_name, std::string& value,
               absl::string_view help);
  // Several, separated by commas, or by giving the flag again: the first replaces the default.
  void AddAddresses(absl::string_view name, std::vector<SocketAddress>& value,
                    absl::string_view help);
  // The name of a poller that PollerNamed() knows.
  void AddPoller(absl::string_view name, std::string& value, absl::string_view help);

  // For flags of one's own: what a flag's `read` is given, as a number, a duration, or bytes.
  static absl::Status ReadNumber(absl::string_view text, double min, double max, double& value);
  static absl::StatusOr<absl::Duration> ReadDuration(absl::string_view text);
  // "1500", "64KiB", "512MiB" or "2GiB".
  static absl::StatusOr<uint64_t> ReadBytes(absl::string_view text);

  // Reads what follows the program's name, up to the first error.
  absl::Status Parse(absl::Span<const absl::string_view> arguments);
  // Whether the flag of this name was among them.
  bool given(absl::string_view name) const;
  // --help, or -h, was among them.
  bool help_wanted() const { return help_wanted_; }
  std::string Help() const;

  // All of it for main(): prints what there is to say, and returns the exit code if that is all:
  // 0 after --help, 1 after an error. None: go on.
  std::optional<int> ParseCommandLine(int argc, char** argv);

  const std::string& program() const { return program_; }

 private:
  absl::Status ParseOne(absl::Span<const absl::string_view>& arguments);
  Flag* Find(absl::string_view name);

  const std::string program_;
  const std::string description_;
  std::vector<Flag> flags_;
  bool help_wanted_ = false;
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_PROGRAM_FLAG_SET_H_
