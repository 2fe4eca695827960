// SPDX-License-Identifier: Apache-2.0
//
// MakeChatHandler() makes what speaks with one client of the chat server: it takes its lines as
// commands and messages, and sends it what is said in its room. Owned by its connection, on whose
// loop it is called. examples/chat/chat.cc runs it, tests/examples/chat_sim_test.cc tests it.
//
//   ChatRooms rooms;                                     // Outlives the server.
//   options.handler = [&rooms] { return MakeChatHandler(rooms); };

#ifndef MILLRACE_EXAMPLES_CHAT_CHAT_HANDLER_H_
#define MILLRACE_EXAMPLES_CHAT_CHAT_HANDLER_H_

#include <memory>

#include "examples/chat/chat_rooms.h"
#include "net/connection_handler.h"

namespace millrace {

std::unique_ptr<ConnectionHandler> MakeChatHandler(ChatRooms& rooms);

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_CHAT_HANDLER_H_
