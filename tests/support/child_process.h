// SPDX-License-Identifier: Apache-2.0
//
// ChildProcess is a program that a test starts, listens to and stops. It is killed with the object.
// For the test's thread. Whatever waits here waits for the program itself, not for a time; but a
// program that says nothing for a minute fails the test instead of hanging it.
//
//   ChildProcess server({"examples/echo/echo", "--listen=127.0.0.1:0"});
//   EXPECT_EQ(server.ReadLine(), "listening on ...");
//   server.Signal(SIGTERM);
//   EXPECT_EQ(server.Wait().exit_code, 0);

#ifndef MILLRACE_TESTS_SUPPORT_CHILD_PROCESS_H_
#define MILLRACE_TESTS_SUPPORT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace millrace {

class ChildProcess {
 public:
  struct Result {
    int exit_code = 0;  // 128 + the signal's number if one killed it, as in a shell.
    bool killed = false;
    std::string out, err;  // All that it wrote and that was not taken by ReadLine().
  };

  // `arguments` begins with the program's path. Fails the process if it cannot be started.
  explicit ChildProcess(const std::vector<std::string>& arguments);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  // The next line of its stdout, without the newline; the rest if there is no whole line left.
  std::string ReadLine();
  // Waits until `text` has appeared on its stderr. False if that ends without.
  bool WaitForError(absl::string_view text);
  void Signal(int number);
  // Requires: it has not been waited for.
  pid_t pid() const { return pid_; }
  // Waits until it has ended.
  Result Wait();

 private:
  // Reads until `done`, or both streams have ended.
  void ReadUntil(absl::FunctionRef<bool()> done);

  pid_t pid_ = -1;  // None once it is reaped.
  UniqueFd out_fd_, err_fd_;
  std::string out_, err_;
};

// Starts the program, and returns what came of it when it has ended by itself.
ChildProcess::Result RunProgram(const std::vector<std::string>& arguments);

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_CHILD_PROCESS_H_
