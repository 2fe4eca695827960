// SPDX-License-Identifier: Apache-2.0
//
// A chat server: rooms, names, and lines of UTF-8 that reach everybody in the room once, in one
// order, whichever loop they live on. docs/examples/chat.md walks through it.
//
//   bazel run //examples/chat                      In one terminal,
//   bazel run //examples/chat:client               and in others; or: nc 127.0.0.1 7008

#include "absl/time/time.h"
#include "examples/chat/chat_handler.h"
#include "examples/chat/chat_rooms.h"
#include "examples/server/server_main.h"

namespace millrace {
namespace {

int Main(int argc, char** argv) {
  ChatRooms rooms;
  return ServerMain(argc, argv,
                    {.name = "chat",
                     .description = "Rooms in which everybody sees the same lines in one order.",
                     .port = 7008,
                     .handler = [&rooms] { return MakeChatHandler(rooms); },
                     .on_drain = [&rooms] { rooms.Close(); },
                     .limits = {.idle_timeout = absl::Hours(1)},
                     .peers_may_only_listen = true});
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
