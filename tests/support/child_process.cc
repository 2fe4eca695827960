// SPDX-License-Identifier: Apache-2.0
#include "tests/support/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

// Only so that a program that hangs fails its test and does not hang that, too.
constexpr int kSafetyNetMilliseconds = 60'000;

struct Pipe {
  Pipe() {
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0) << strerror(errno);
    read.Reset(fds[0]);
    write.Reset(fds[1]);
  }
  UniqueFd read, write;
};

// Appends what is there to `text`; closes `fd` at the end of the stream.
void ReadSome(UniqueFd& fd, std::string& text) {
  char bytes[4096];
  const ssize_t n = read(fd.get(), bytes, sizeof(bytes));
  if (n > 0) text.append(bytes, static_cast<size_t>(n));
  if (n == 0 || (n < 0 && errno != EINTR)) fd.Reset();
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  Pipe out, err;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out.write.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.write.get(), STDERR_FILENO);
  const int error = posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  CHECK_EQ(error, 0) << argv[0] << ": " << strerror(error);
  out_fd_ = std::move(out.read);
  err_fd_ = std::move(err.read);
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void ChildProcess::ReadUntil(absl::FunctionRef<bool()> done) {
  while (!done() && (out_fd_.valid() || err_fd_.valid())) {
    pollfd fds[] = {{.fd = out_fd_.get(), .events = POLLIN, .revents = 0},
                    {.fd = err_fd_.get(), .events = POLLIN, .revents = 0}};
    const int count = poll(fds, 2, kSafetyNetMilliseconds);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      ADD_FAILURE() << "the program hangs; it wrote:\n" << out_ << err_;
      kill(pid_, SIGKILL);
      return;
    }
    if (fds[0].revents != 0) ReadSome(out_fd_, out_);
    if (fds[1].revents != 0) ReadSome(err_fd_, err_);
  }
}

std::string ChildProcess::ReadLine() {
  ReadUntil([this] { return absl::StrContains(out_, '\n') || !out_fd_.valid(); });
  const size_t end = std::min(out_.find('\n'), out_.size());
  const std::string line = out_.substr(0, end);
  out_.erase(0, end + 1);
  return line;
}

bool ChildProcess::WaitForError(absl::string_view text) {
  ReadUntil([&] { return absl::StrContains(err_, text) || !err_fd_.valid(); });
  return absl::StrContains(err_, text);
}

void ChildProcess::Signal(int number) { CHECK_EQ(kill(pid_, number), 0); }

ChildProcess::Result ChildProcess::Wait() {
  ReadUntil([] { return false; });
  int status = 0;
  CHECK_EQ(waitpid(pid_, &status, 0), pid_);
  pid_ = -1;
  const bool killed = WIFSIGNALED(status);
  return {.exit_code = killed ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
          .killed = killed,
          .out = out_,
          .err = err_};
}

ChildProcess::Result RunProgram(const std::vector<std::string>& arguments) {
  return ChildProcess(arguments).Wait();
}

}  // namespace millrace
