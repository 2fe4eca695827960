// SPDX-License-Identifier: Apache-2.0
//
// A chat server: rooms, names, and lines of UTF-8 that reach everybody in the room once, in one
// order, whichever loop they live on. docs/examples/chat.md walks through it.
//
//   bazel run //examples/chat                      In one terminal,
//   bazel run //examples/chat:client               and in as many others as you like;
//   nc 127.0.0.1 7008                              nc will do as well.

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/thread_role.h"
#include "base/utf8.h"
#include "examples/chat/chat_rooms.h"
#include "examples/server/server_main.h"
#include "net/buffer.h"
#include "net/codec/framed_handler.h"
#include "net/codec/line_codec.h"
#include "net/tcp_connection.h"

namespace millrace {
namespace {

constexpr size_t kLineBytesMax = 4096;

// One client.
class ChatHandler final : public FramedHandler<LineCodec> {
 public:
  explicit ChatHandler(ChatRooms& rooms)
      : FramedHandler(LineCodec({.line_bytes_max = kLineBytesMax})), rooms_(rooms) {}

 private:
  struct Command {
    absl::string_view name, help;
    void (ChatHandler::*run)(TcpConnection& conn, absl::string_view argument);
  };
  static const Command kCommands[7];

  void OnOpen(TcpConnection& conn) override LOOP_ONLY {
    member_.emplace(rooms_, conn.handle());
    const absl::Status entered = member_->Enter();
    if (entered.ok()) {
      conn.Send(absl::StrCat("* welcome, ", member_->name(), ": you are in ", member_->room(),
                             ", and /help lists the commands\n"));
    } else {
      conn.Send(absl::StrCat("! ", entered.message(), "\n"));
      conn.CloseAfterFlush();
    }
  }

  void OnMessage(TcpConnection& conn, const absl::string_view& line) override LOOP_ONLY {
    if (!IsValidUtf8(line)) return Complain(conn, absl::InvalidArgumentError("not valid UTF-8"));
    if (!absl::StartsWith(line, "/")) return Complain(conn, member_->Say(line));
    if (absl::StartsWith(line, "//")) return Complain(conn, member_->Say(line.substr(1)));
    RunCommand(conn, line.substr(1));
  }

  void OnBadInput(TcpConnection& conn, const absl::Status&) override LOOP_ONLY {
    Reply(conn, "! line too long\n", /*and_close=*/true);
  }

  // What came before is answered first.
  void OnEndOfInput(TcpConnection& conn, Buffer&) override LOOP_ONLY { Quit(conn, ""); }
  // ChatRooms::Close() has told everybody.
  void OnDrain(TcpConnection& conn) override LOOP_ONLY { Quit(conn, ""); }

  void OnClose(TcpConnection& conn, const absl::Status& why) override LOOP_ONLY {
    if (!why.ok()) LOG(INFO) << member_->name() << " at " << conn.peer_address() << ": " << why;
    member_.reset();
  }

  void RunCommand(TcpConnection& conn, absl::string_view line) LOOP_ONLY {
    const absl::string_view name = line.substr(0, line.find(' '));
    for (const Command& command : kCommands) {
      if (command.name != name) continue;
      return (this->*command.run)(conn, absl::StripAsciiWhitespace(line.substr(name.size())));
    }
    Complain(conn, absl::NotFoundError("unknown command: /help lists them"));
  }

  void Nick(TcpConnection& conn, absl::string_view name) LOOP_ONLY {
    Complain(conn, member_->Rename(name));
  }
  void Join(TcpConnection& conn, absl::string_view room) LOOP_ONLY {
    const absl::Status moved = member_->Move(room);
    moved.ok() ? Reply(conn, absl::StrCat("* you are in ", room, "\n")) : Complain(conn, moved);
  }
  void LeaveRoom(TcpConnection& conn, absl::string_view) LOOP_ONLY { Join(conn, kLobby); }
  void Who(TcpConnection& conn, absl::string_view) LOOP_ONLY {
    Reply(conn, absl::StrCat("* in ", member_->Who(), "\n"));
  }
  void Rooms(TcpConnection& conn, absl::string_view) LOOP_ONLY {
    Reply(conn, absl::StrCat("* rooms: ", rooms_.List(), "\n"));
  }
  void Help(TcpConnection& conn, absl::string_view) LOOP_ONLY {
    std::string lines;
    for (const Command& command : kCommands) absl::StrAppend(&lines, "* ", command.help, "\n");
    Reply(conn, lines + "* //text: says /text; anything else is said as it is\n");
  }
  // Reads no more, and closes when all that was said before has arrived.
  void Quit(TcpConnection& conn, absl::string_view) LOOP_ONLY {
    conn.PauseReading();
    member_->Leave(/*and_close=*/true);
  }

  void Complain(TcpConnection& conn, const absl::Status& status) LOOP_ONLY {
    if (!status.ok()) Reply(conn, absl::StrCat("! ", status.message(), "\n"));
  }
  // To this client alone, and by a post: so it comes behind what the lines before had all hear.
  // Until then no more lines are looked at, so that a flood of commands takes a turn for each.
  static void Reply(TcpConnection& conn, std::string lines, bool and_close = false) LOOP_ONLY {
    conn.PauseReading();
    const auto reply = [lines = std::move(lines), and_close](TcpConnection& conn) {
      AssertOnLoop();
      conn.Send(lines);
      and_close ? conn.CloseAfterFlush() : conn.ResumeReading();
    };
    if (!conn.handle().Run(reply)) conn.Abort(absl::UnavailableError("its loop is overrun"));
  }

  ChatRooms& rooms_;
  std::optional<ChatMember> member_;  // From OnOpen() to OnClose().
};

const ChatHandler::Command ChatHandler::kCommands[7] = {
    {"nick", "/nick NAME: takes another name", &ChatHandler::Nick},
    {"join", "/join ROOM: goes to another room", &ChatHandler::Join},
    {"leave", "/leave: goes back to the lobby", &ChatHandler::LeaveRoom},
    {"who", "/who: lists who is in the room", &ChatHandler::Who},
    {"rooms", "/rooms: lists the rooms", &ChatHandler::Rooms},
    {"help", "/help: lists the commands", &ChatHandler::Help},
    {"quit", "/quit: leaves", &ChatHandler::Quit},
};

int Main(int argc, char** argv) {
  ChatRooms rooms;
  return ServerMain(argc, argv,
                    {.name = "chat",
                     .description = "Rooms in which everybody sees the same lines in one order.",
                     .port = 7008,
                     .handler = [&rooms] { return std::make_unique<ChatHandler>(rooms); },
                     .on_drain = [&rooms] { rooms.Close(); },
                     .limits = {.idle_timeout = absl::Hours(1)}});
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
