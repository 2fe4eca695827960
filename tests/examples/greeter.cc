// SPDX-License-Identifier: Apache-2.0
//
// A server program that uses all that ServerMain() offers, for server_main_test: it greets with a
// text from a flag of its own and the number of its workers, and says goodbye when it drains.

#include <memory>
#include <string>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
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
