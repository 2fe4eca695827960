// SPDX-License-Identifier: Apache-2.0
//
// PtyProcess runs a program on a terminal of its own, of which the test is the keyboard and, with a
// TerminalModel, the screen. Waits for what is to appear, and not for a time; but a program that
// does not bring it in a minute fails the test. Owned by the test; killed with the object.
//
//   PtyProcess client({"examples/chat/terminal/client", server.connect_flag()});
//   ASSERT_TRUE(client.WaitForRow("[lobby] guest1>"));
//   client.Type("hello\r");

#ifndef MILLRACE_TESTS_EXAMPLES_CHAT_CLIENT_PTY_PROCESS_H_
#define MILLRACE_TESTS_EXAMPLES_CHAT_CLIENT_PTY_PROCESS_H_

#include <sys/types.h>
#include <termios.h>

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "tests/examples/chat_client/terminal_model.h"

namespace millrace {

class PtyProcess {
 public:
  struct Options {
    unsigned short columns = 80;
    // Besides what the test was started with. NO_COLOR is taken out first.
    std::vector<std::string> environment = {"TERM=xterm", "LANG=C.UTF-8"};
  };
  PtyProcess(std::vector<std::string> arguments, Options options);
  explicit PtyProcess(std::vector<std::string> arguments)
      : PtyProcess(std::move(arguments), Options()) {}
  PtyProcess(const PtyProcess&) = delete;
  PtyProcess& operator=(const PtyProcess&) = delete;
  ~PtyProcess();

  void Type(absl::string_view keys);
  void Resize(unsigned short columns);
  void Signal(int number);

  // Waits until a row reads so, from its first column on. False if the program ends without.
  bool WaitForRow(absl::string_view row);
  // Waits until the row with the cursor reads so.
  bool WaitForInput(absl::string_view row);
  // Waits until it has stopped, as by Ctrl-Z.
  bool WaitForStop();
  // Waits until it has ended; 128 and more: killed by a signal, or as if.
  int Wait();

  const TerminalModel& screen() const { return screen_; }
  // How its terminal treats keys.
  termios Mode() const;

 private:
  bool ReadUntil(absl::FunctionRef<bool()> done);

  UniqueFd master_;
  pid_t pid_ = -1;  // None once it is reaped.
  bool ended_ = false;
  TerminalModel screen_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_EXAMPLES_CHAT_CLIENT_PTY_PROCESS_H_
