// SPDX-License-Identifier: Apache-2.0
//
// A server program that uses all that ServerMain() offers, for server_main_test: it greets with a
// text from a flag of its own and the number of its workers, and says goodbye when it drains. With
// --early_signal it gets a signal while it still reads its flags.

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/thread_role.h"
#include "examples/server/server_main.h"
#include "net/buffer.h"
#include "net/connection_handler.h"
#include "net/tcp_connection.h"
#include "tools/program/flag_set.h"

namespace millrace {
namespace {

class Greeter final : public ConnectionHandler {
 public:
  explicit Greeter(std::string greeting) : greeting_(std::move(greeting)) {}

  void OnOpen(TcpConnection& conn) override LOOP_ONLY { conn.Send(greeting_); }
  void OnData(TcpConnection&, Buffer& input) override LOOP_ONLY { input.Clear(); }
  void OnDrain(TcpConnection& conn) override LOOP_ONLY {
    conn.Send("goodbye\n");
    conn.CloseAfterFlush();
  }

 private:
  const std::string greeting_;
};

int Main(int argc, char** argv) {
  std::string text = "hello";
  ServerProgram program = {.name = "greeter", .description = "Greets.", .port = 1};
  program.add_flags = [&text](FlagSet& flags) {
    flags.AddText("text", "TEXT", text, "what it says");
    flags.Add({.name = "early_signal",
               .value = "N",
               .help = "what it sends itself as soon as it reads this",
               .read = [](absl::string_view number) {
                 int signal_number = 0;
                 if (!absl::SimpleAtoi(number, &signal_number) ||
                     kill(getpid(), signal_number) != 0) {
                   return absl::InvalidArgumentError("no signal");
                 }
                 return absl::OkStatus();
               }});
  };
  program.make_handler = [&text](ServerContext& context) -> absl::StatusOr<HandlerFactory> {
    if (text == "nothing") return absl::InvalidArgumentError("--text=nothing: says nothing");
    const std::string greeting = absl::StrCat(text, " from ", context.workers.size(), "\n");
    return HandlerFactory([greeting] { return std::make_unique<Greeter>(greeting); });
  };
  program.on_drain = [] { LOG(INFO) << "told before all others"; };
  return ServerMain(argc, argv, std::move(program));
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
