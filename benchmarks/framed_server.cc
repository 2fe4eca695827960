// SPDX-License-Identifier: Apache-2.0
//
// A server of requests: each is four bytes of length, the highest first, and that many bytes; the
// reply is the same again. One Send() for each reply, as its users would write it; that the replies
// to what came together leave together is the framework's business.
//
//   bazel run //benchmarks:framed_server -- --threads=1

#include <memory>

#include "absl/strings/string_view.h"
#include "base/thread_role.h"
#include "examples/server/server_main.h"
#include "net/codec/framed_handler.h"
#include "net/codec/length_prefix_codec.h"
#include "net/tcp_connection.h"

namespace {

class ReplyHandler final : public millrace::FramedHandler<millrace::LengthPrefixCodec> {
  void OnMessage(millrace::TcpConnection& conn,
                 const absl::string_view& request) override LOOP_ONLY {
    Send(conn, request).IgnoreError();  // What could be read can be sent.
  }
};

}  // namespace

int main(int argc, char** argv) {
  return millrace::ServerMain(argc, argv,
                              {.name = "framed_server",
                               .description = "Answers each length-prefixed request by itself.",
                               .port = 7009,
                               .handler = [] { return std::make_unique<ReplyHandler>(); }});
}
