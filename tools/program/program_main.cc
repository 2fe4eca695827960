// SPDX-License-Identifier: Apache-2.0
#include "tools/program/program_main.h"

#include <optional>

#include "absl/log/initialize.h"
#include "tools/program/process.h"

namespace millrace {

int ProgramMain(int argc, char** argv, FlagSet& flags, absl::FunctionRef<absl::Status()> run) {
  OccupyStandardDescriptors();
  absl::InitializeLog();
  if (const std::optional<int> code = flags.ParseCommandLine(argc, argv)) return *code;
  const absl::Status status = run();
  if (status.ok()) return 0;
  PrintError(flags.program(), status);
  return 1;
}

}  // namespace millrace
