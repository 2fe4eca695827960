// SPDX-License-Identifier: Apache-2.0
//
// An echo server (RFC 862): every byte comes back, in order.
//
//   bazel run //examples/echo                      In one terminal,
//   nc 127.0.0.1 7007                              and in another one.
//
// What is not written here, because the framework does it: a client that ends its half gets the
// rest of its bytes, and then our end; one that does not read is not read from, so that memory
// stays bounded; one that is idle for --idle_timeout is closed.

#include <memory>
#include <utility>

#include "base/thread_role.h"
#include "examples/server/server_main.h"
#include "net/buffer.h"
#include "net/connection_handler.h"
#include "net/tcp_connection.h"

namespace {

class EchoHandler final : public millrace::ConnectionHandler {
  void OnData(millrace::TcpConnection& conn, millrace::Buffer& input) override LOOP_ONLY {
    conn.Send(std::move(input));
  }
};

}  // namespace

int main(int argc, char** argv) {
  return millrace::ServerMain(argc, argv,
                              {.name = "echo",
                               .description = "Sends every byte back, in order (RFC 862).",
                               .port = 7007,
                               .handler = [] { return std::make_unique<EchoHandler>(); }});
}
