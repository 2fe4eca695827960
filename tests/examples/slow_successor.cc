// SPDX-License-Identifier: Apache-2.0
//
// A new process that takes the sockets of an old one over and never gets ready: for restart_test,
// which kills it. Says `took N` when it has them.

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "net/restart/listener_takeover.h"
#include "net/socket_address.h"
#include "tools/program/process.h"

int main(int, char** argv) {
  auto takeover = millrace::ListenerTakeover::From(millrace::SocketAddress::Unix(argv[1]), {});
  if (!takeover.ok()) {
    millrace::PrintError("slow_successor", takeover.status());
    return 1;
  }
  millrace::PrintOutput(absl::StrCat("took ", takeover->TakeListeners().size(), "\n"));
  pause();
  return 1;
}
