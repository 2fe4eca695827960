// SPDX-License-Identifier: Apache-2.0
#include "base/memory_limit.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace millrace {
namespace {

constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();

// Empty if it cannot be read.
std::string Contents(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

// Version 2 writes "max" for no limit, version 1 a number beyond all memory.
uint64_t LimitIn(const std::string& path) {
  uint64_t limit;
  return absl::SimpleAtoi(Contents(path), &limit) ? limit : kNone;
}

// The least of a group and those that it lies in. In a container the group's path is often that of
// the machine, which is not there: then the mount's own files are the container's.
uint64_t LimitOfGroup(const std::string& mount, absl::string_view group, const std::string& file) {
  uint64_t limit = LimitIn(absl::StrCat(mount, "/", file));
  while (!group.empty() && group != "/") {
    limit = std::min(limit, LimitIn(absl::StrCat(mount, group, "/", file)));
    group = group.substr(0, group.rfind('/'));
  }
  return limit;
}

}  // namespace

uint64_t MachineMemory() {
  const int64_t pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGE_SIZE);
  return pages > 0 && page_bytes > 0 ? uint64_t(pages) * uint64_t(page_bytes) : kNone;
}

uint64_t ResourceMemoryLimit() {
  uint64_t limit = kNone;
  for (const auto resource : {RLIMIT_AS, RLIMIT_DATA}) {
    rlimit found;
    if (getrlimit(resource, &found) != 0 || found.rlim_cur == RLIM_INFINITY) continue;
    limit = std::min<uint64_t>(limit, found.rlim_cur);
  }
  return limit;
}

// Each line of the list is NUMBER:CONTROLLERS:PATH; version 2 has number 0 and no controllers.
uint64_t ControlGroupMemoryLimit(const std::string& root) {
  uint64_t limit = kNone;
  const std::string groups = Contents(root + "/proc/self/cgroup");
  for (const absl::string_view line : absl::StrSplit(groups, '\n')) {
    const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3 || !absl::StartsWith(parts[2], "/")) continue;
    if (parts[1].empty()) {
      limit = std::min(limit, LimitOfGroup(root + "/sys/fs/cgroup", parts[2], "memory.max"));
    } else if (absl::c_linear_search(absl::StrSplit(parts[1], ','), "memory")) {
      limit = std::min(
          limit, LimitOfGroup(root + "/sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes"));
    }
  }
  return limit;
}

uint64_t MemoryLimit() {
  return std::min({MachineMemory(), ResourceMemoryLimit(), ControlGroupMemoryLimit("")});
}

}  // namespace millrace
