// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process_figures.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"

namespace millrace {

int OpenDescriptors() {
  int count = 0;
  DIR* const folder = opendir("/proc/self/fd");
  CHECK(folder != nullptr) << "no descriptor left to count them with";
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count - 3;  // ".", "..", and the folder itself.
}

int DescriptorsLeft() {
  rlimit limit;
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  return static_cast<int>(limit.rlim_cur) - OpenDescriptors();
}

int64_t ResidentBytes() {
  long pages = 0, resident = 0;
  FILE* const file = fopen("/proc/self/statm", "r");
  CHECK(file != nullptr);
  CHECK_EQ(fscanf(file, "%ld %ld", &pages, &resident), 2);
  fclose(file);
  return int64_t{resident} * sysconf(_SC_PAGESIZE);
}

// The 14th and 15th word of its line, in ticks; the second one, its name, may hold spaces.
absl::Duration ProcessorTime(pid_t pid) {
  FILE* const file = fopen(absl::StrCat("/proc/", pid, "/stat").c_str(), "r");
  CHECK(file != nullptr) << "no process " << pid;
  std::string line(1024, '\0');
  line.resize(fread(line.data(), 1, line.size(), file));
  fclose(file);
  long user = 0, system = 0;
  const char* const after_name = line.c_str() + line.rfind(')') + 1;
  CHECK_EQ(
      sscanf(after_name, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system),
      2);
  return absl::Seconds(1) * (user + system) / sysconf(_SC_CLK_TCK);
}

}  // namespace millrace
