// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/result_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "tools/program/process.h"

namespace millrace {
namespace {

// A file that is no regular one, such as a pipe, cannot be cut, and need not be.
bool Replace(FILE* file, const std::string& text) {
  if (ftruncate(fileno(file), 0) != 0 && errno != EINVAL) return false;
  return fputs(text.c_str(), file) >= 0 && fflush(file) == 0;
}

}  // namespace

absl::StatusOr<ResultFile> ResultFile::Open(absl::string_view flag, const std::string& path) {
  std::string name = absl::StrCat(flag, "=", path);
  if (path.empty() || path == "-") return ResultFile(std::move(name), path == "-", nullptr);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  File file(fd < 0 ? nullptr : fdopen(fd, "w"));
  if (file == nullptr) return absl::ErrnoToStatus(errno, name);
  return ResultFile(std::move(name), false, std::move(file));
}

absl::Status ResultFile::Write(const std::string& table, const std::string& json) const {
  if (!PrintOutput(on_stdout_ ? json : table)) {
    return absl::UnavailableError("stdout takes nothing");
  }
  return WriteFile(json);
}

absl::Status ResultFile::WriteFile(const std::string& text) const {
  if (file_ != nullptr && !Replace(file_.get(), text)) return absl::ErrnoToStatus(errno, name_);
  return absl::OkStatus();
}

}  // namespace millrace
