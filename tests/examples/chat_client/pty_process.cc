// SPDX-License-Identifier: Apache-2.0
#include "tests/examples/chat_client/pty_process.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

constexpr int kSafetyNetMilliseconds = 30'000;

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> EnvironmentWith(const std::vector<std::string>& more) {
  std::vector<std::string> all = more;
  for (char** each = environ; *each != nullptr; ++each) {
    const absl::string_view text = *each;
    const absl::string_view name = text.substr(0, text.find('='));
    const bool is_given = std::any_of(more.begin(), more.end(), [&](const std::string& given) {
      return absl::StartsWith(given, name) && given[name.size()] == '=';
    });
    if (!is_given && name != "NO_COLOR" && name != "LC_ALL") all.emplace_back(text);
  }
  return all;
}

}  // namespace

PtyProcess::PtyProcess(std::vector<std::string> arguments, Options options)
    : screen_(options.columns) {
  std::vector<std::string> environment = EnvironmentWith(options.environment);
  const std::vector<char*> argv = Pointers(arguments), envp = Pointers(environment);
  const winsize size = {.ws_row = 24, .ws_col = options.columns, .ws_xpixel = 0, .ws_ypixel = 0};
  int master;
  pid_ = forkpty(&master, nullptr, nullptr, &size);
  if (pid_ == 0) {
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  CHECK_GE(pid_, 0) << "forkpty";
  master_.Reset(master);
  fcntl(master, F_SETFD, FD_CLOEXEC);
}

PtyProcess::~PtyProcess() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void PtyProcess::Type(absl::string_view keys) {
  const ssize_t n = write(master_.get(), keys.data(), keys.size());
  CHECK_EQ(n, static_cast<ssize_t>(keys.size()));
}

void PtyProcess::Resize(unsigned short columns) {
  const winsize size = {.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  CHECK_EQ(ioctl(master_.get(), TIOCSWINSZ, &size), 0);
}

void PtyProcess::Signal(int number) { CHECK_EQ(kill(pid_, number), 0); }

bool PtyProcess::ReadUntil(absl::FunctionRef<bool()> done) {
  while (!done()) {
    if (ended_) return false;
    pollfd fd = {.fd = master_.get(), .events = POLLIN, .revents = 0};
    if (poll(&fd, 1, kSafetyNetMilliseconds) != 1) {
      ADD_FAILURE() << "it hangs, with this on its screen:\n"
                    << absl::StrJoin(screen_.rows(), "\n");
      kill(pid_, SIGKILL);
      return false;
    }
    char bytes[4096];
    const ssize_t n = read(master_.get(), bytes, sizeof(bytes));
    if (n > 0) screen_.Write({bytes, static_cast<size_t>(n)});
    if (n <= 0 && errno != EINTR) ended_ = true;  // EIO: nobody has the other side open.
  }
  return true;
}

bool PtyProcess::WaitForRow(absl::string_view row) {
  return ReadUntil([&] {
    const std::vector<std::string> rows = screen_.rows();
    return std::find(rows.begin(), rows.end(), row) != rows.end();
  });
}

bool PtyProcess::WaitForInput(absl::string_view row) {
  return ReadUntil([&] { return screen_.cursor_row() == row; });
}

bool PtyProcess::WaitForStop() {
  int status = 0;
  return waitpid(pid_, &status, WUNTRACED) == pid_ && WIFSTOPPED(status);
}

int PtyProcess::Wait() {
  ReadUntil([] { return false; });
  int status = 0;
  CHECK_EQ(waitpid(pid_, &status, 0), pid_);
  pid_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

termios PtyProcess::Mode() const {
  termios mode = {};
  CHECK_EQ(tcgetattr(master_.get(), &mode), 0);
  return mode;
}

}  // namespace millrace
