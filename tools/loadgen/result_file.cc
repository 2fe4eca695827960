// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/result_file.h"

#include <fcntl.h>
#include <stdlib.h>
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

// What is no file, such as a pipe that /dev/stdout leads to, stays as it is named.
std::string WithoutLinks(const std::string& path) {
  char* const real = realpath(path.c_str(), nullptr);
  std::string result = real == nullptr ? path : real;
  free(real);
  return result;
}

}  // namespace

absl::StatusOr<ResultFile> ResultFile::Open(absl::string_view flag, const std::string& path) {
  ResultFile result(absl::StrCat(flag, "=", path), path == "-");
  if (path.empty() || path == "-") return result;
  int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const bool is_new = fd < 0 && errno == ENOENT;
  if (is_new) fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  result.file_.reset(fd < 0 ? nullptr : fdopen(fd, "w"));
  if (result.file_ == nullptr) return absl::ErrnoToStatus(errno, result.name_);
  result.path_ = WithoutLinks(path);
  // It can be made, and that was the question: a run that is killed shall not leave it, empty.
  if (is_new && unlink(result.path_.c_str()) == 0) result.file_ = nullptr;
  return result;
}

absl::Status ResultFile::Write(const std::string& table, const std::string& json) const {
  if (!PrintOutput(on_stdout_ ? json : table)) {
    return absl::UnavailableError("stdout takes nothing");
  }
  return WriteFile(json);
}

absl::Status ResultFile::WriteFile(const std::string& text) const {
  if (path_.empty()) return absl::OkStatus();
  const File made(file_ == nullptr ? fopen(path_.c_str(), "we") : nullptr);
  FILE* const file = file_ == nullptr ? made.get() : file_.get();
  if (file != nullptr && Replace(file, text)) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, name_);
}

}  // namespace millrace
