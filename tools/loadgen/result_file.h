// SPDX-License-Identifier: Apache-2.0
//
// ResultFile is where a program writes the figures of a run: the value of its --json or --report.
// It is opened before the run, since it would be a pity to find out after it that it cannot be; but
// what is in it stays until there is something better, and a new one is not there before that.
// Move-only; for main().
//
//   MILLRACE_ASSIGN_OR_RETURN(const ResultFile file, ResultFile::Open("--json", path));
//   ...
//   MILLRACE_RETURN_IF_ERROR(file.Write(report.ToTable(), report.ToJson()));

#ifndef MILLRACE_TOOLS_LOADGEN_RESULT_FILE_H_
#define MILLRACE_TOOLS_LOADGEN_RESULT_FILE_H_

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace millrace {

class ResultFile {
 public:
  // An empty path is no file, and "-" stdout. Errors name the flag.
  static absl::StatusOr<ResultFile> Open(absl::string_view flag, const std::string& path);

  // Both are one and the same file: each would write over the other.
  bool IsSameAs(const ResultFile& other) const { return !path_.empty() && path_ == other.path_; }

  // Prints `table` and writes `json` to the file; to stdout, if that is the file, in its place.
  absl::Status Write(const std::string& table, const std::string& json) const;
  // Writes `text` to the file, if there is one, and nothing to stdout.
  absl::Status WriteFile(const std::string& text) const;

 private:
  struct CloseFile {
    void operator()(FILE* file) const { fclose(file); }
  };
  using File = std::unique_ptr<FILE, CloseFile>;

  ResultFile(std::string name, bool on_stdout) : name_(std::move(name)), on_stdout_(on_stdout) {}

  std::string name_;  // "--json=PATH", for errors.
  bool on_stdout_;
  std::string path_;  // Without links; empty: to no file.
  File file_;         // Null: it is made when it is written.
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_RESULT_FILE_H_
