// SPDX-License-Identifier: Apache-2.0
#include "tools/program/process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"

namespace millrace {

bool PrintOutput(absl::string_view text) {
  const size_t written = fwrite(text.data(), 1, text.size(), stdout);
  return fflush(stdout) == 0 && written == text.size();
}

void PrintError(absl::string_view program, const absl::Status& status) {
  const std::string line = absl::StrCat(program, ": ", status.message(), "\n");
  fwrite(line.data(), 1, line.size(), stderr);  // One write, so that lines do not mix.
}

void OccupyStandardDescriptors() {
  // open(2) gives the lowest number that is free: the one that is missing.
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) return;
  }
}

int64_t RaiseDescriptorLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  constexpr rlim_t kMax = std::numeric_limits<int64_t>::max();  // "No limit" is beyond it.
  return static_cast<int64_t>(std::min(limit.rlim_cur, kMax));
}

absl::Status ReserveDescriptors(int64_t count, absl::string_view what) {
  const int64_t limit = RaiseDescriptorLimit();
  if (limit >= count) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(what, " need ", count, " open files, and the limit is ", limit,
                   " (see ulimit -Hn, or LimitNOFILE= of a service)"));
}

}  // namespace millrace
