// SPDX-License-Identifier: Apache-2.0
#include "net/function_handler.h"

#include <memory>
#include <utility>

namespace millrace {
namespace {

class FunctionHandler final : public ConnectionHandler {
 public:
  explicit FunctionHandler(const ConnectionFunctions& functions) : functions_(functions) {}

  void OnOpen(TcpConnection& conn) override LOOP_ONLY {
    if (functions_.on_open) functions_.on_open(conn);
  }
  void OnData(TcpConnection& conn, Buffer& input) override LOOP_ONLY {
    functions_.on_data ? functions_.on_data(conn, input) : input.Clear();
  }
  void OnWritable(TcpConnection& conn) override LOOP_ONLY {
    if (functions_.on_writable) functions_.on_writable(conn);
  }
  void OnEndOfInput(TcpConnection& conn, Buffer& rest) override LOOP_ONLY {
    if (functions_.on_end_of_input) return functions_.on_end_of_input(conn, rest);
    ConnectionHandler::OnEndOfInput(conn, rest);
  }
  void OnDrain(TcpConnection& conn) override LOOP_ONLY {
    if (functions_.on_drain) functions_.on_drain(conn);
  }
  void OnClose(TcpConnection& conn, const absl::Status& why) override LOOP_ONLY {
    if (functions_.on_close) functions_.on_close(conn, why);
  }

 private:
  const ConnectionFunctions& functions_;
};

}  // namespace

HandlerFactory FunctionHandlers(ConnectionFunctions functions) {
  // On the heap, so that the factory may move while handlers refer to them.
  auto shared = std::make_unique<const ConnectionFunctions>(std::move(functions));
  return [shared = std::move(shared)] { return std::make_unique<FunctionHandler>(*shared); };
}

}  // namespace millrace
