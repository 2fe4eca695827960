// SPDX-License-Identifier: Apache-2.0
//
// WriteAll() writes text to a descriptor that may be shared with other processes, such as stdout:
// so it takes it as it is, blocking or not, and waits until all is written. Any thread.
//
//   MILLRACE_RETURN_IF_ERROR(WriteAll(STDOUT_FILENO, "* alice joined\n"));

#ifndef MILLRACE_EXAMPLES_CHAT_TERMINAL_WRITE_ALL_H_
#define MILLRACE_EXAMPLES_CHAT_TERMINAL_WRITE_ALL_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace millrace {

// In one write(2), if the descriptor takes it. The error that it cannot be written, as "write:
// Broken pipe"; SIGPIPE must be ignored.
absl::Status WriteAll(int fd, absl::string_view text);

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_TERMINAL_WRITE_ALL_H_
