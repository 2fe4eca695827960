// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/chat_handler.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/thread_role.h"
#include "base/utf8.h"
#include "net/buffer.h"
#include "net/codec/framed_handler.h"
#include "net/codec/line_codec.h"
#include "net/tcp_connection.h"

namespace millrace {
namespace {

constexpr size_t kLineBytesMax = 4096;
// What a client may have said that has not come back to it yet.
constexpr size_t kSaidBytesMax = size_t{64} << 10;
constexpr absl::string_view kHelp =
    "* /nick NAME: takes another name\n"
    "* /join ROOM: goes to another room\n"
    "* /leave: goes back to the lobby\n"
    "* /who: lists who is in the room\n"
    "* /rooms: lists the rooms\n"
    "* /help: lists the commands\n"
    "* /quit: leaves\n"
    "* //text: says /text; anything else is said as it is\n";

// What a terminal obeys instead of showing it: with that a member could write over the lines of
// others, for those who came with nc. A tab is text; C1 is U+0080 to U+009F. Requires: valid UTF-8.
bool HasControls(absl::string_view line) {
  for (size_t i = 0; i < line.size(); ++i) {
    const auto byte = static_cast<unsigned char>(line[i]);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return true;
    const bool is_c2 = byte == 0xc2 && i + 1 < line.size();
    if (is_c2 && static_cast<unsigned char>(line[i + 1]) < 0xa0) return true;
  }
  return false;
}

class ChatHandler final : public FramedHandler<LineCodec> {
 public:
  explicit ChatHandler(ChatRooms& rooms)
      : FramedHandler(LineCodec({.line_bytes_max = kLineBytesMax})), rooms_(rooms) {}

 private:
  void OnOpen(TcpConnection& conn) override LOOP_ONLY {
    member_.emplace(rooms_, conn.handle());
    const absl::Status entered = member_->Enter();
    if (!entered.ok()) {
      Complain(conn, entered);
      return conn.CloseAfterFlush();
    }
    Notice(conn, absl::StrCat("welcome, ", member_->name(), ": you are in ", kLobby,
                              ", and /help lists the commands"));
  }

  void OnMessage(TcpConnection& conn, const absl::string_view& line) override LOOP_ONLY {
    if (!IsValidUtf8(line)) return Answer(conn, "! not valid UTF-8\n");
    if (!absl::StartsWith(line, "/")) return Say(conn, line);
    if (absl::StartsWith(line, "//")) return Say(conn, line.substr(1));
    InOrder(conn, [this, line = std::string(line.substr(1))](TcpConnection& conn) {
      AssertOnLoop();
      RunCommand(conn, line);
    });
  }

  void OnBadInput(TcpConnection& conn, const absl::Status&) override LOOP_ONLY {
    Answer(conn, "! line too long\n", /*and_close=*/true);
  }
  // What was said before arrives first, as before /quit. ChatRooms::Close() tells of a drain.
  void OnEndOfInput(TcpConnection& conn, Buffer&) override LOOP_ONLY { Answer(conn, "", true); }
  void OnDrain(TcpConnection& conn) override LOOP_ONLY { Answer(conn, "", true); }

  void OnClose(TcpConnection& conn, const absl::Status& why) override LOOP_ONLY {
    LOG_IF_EVERY_N_SEC(INFO, absl::IsResourceExhausted(why), 1)
        << member_->name() << " at " << conn.peer_address() << ": " << why;
    member_.reset();
  }

  // Whoever says much waits until it has been delivered to himself, and so bounds what waits.
  void Say(TcpConnection& conn, absl::string_view text) LOOP_ONLY {
    if (HasControls(text)) return Answer(conn, "! control characters are not sent\n");
    const size_t bytes = member_->Say(text);
    if (bytes == 0) return Answer(conn, "! the room is too busy: not sent\n");
    said_bytes_ += bytes;
    if (said_bytes_ < kSaidBytesMax) return;
    said_bytes_ = 0;
    Answer(conn, "");
  }

  // Runs when all that came before has reached this client, and so answers at once.
  void RunCommand(TcpConnection& conn, absl::string_view line) LOOP_ONLY {
    const absl::string_view name = line.substr(0, line.find(' '));
    const absl::string_view argument = absl::StripAsciiWhitespace(line.substr(name.size()));
    if (name == "nick") return Complain(conn, member_->Rename(argument));
    if (name == "join") return Join(conn, argument);
    if (name == "leave") return Join(conn, kLobby);
    if (name == "who") return Notice(conn, absl::StrCat("in ", member_->Who()));
    if (name == "rooms") return Notice(conn, absl::StrCat("rooms: ", rooms_.List()));
    if (name == "help") return void(conn.Send(kHelp));
    if (name == "quit") return Quit(conn);
    Complain(conn, absl::NotFoundError("unknown command: /help lists them"));
  }
  void Join(TcpConnection& conn, absl::string_view room) LOOP_ONLY {
    const absl::Status moved = member_->Move(room);
    moved.ok() ? Notice(conn, absl::StrCat("you are in ", room)) : Complain(conn, moved);
  }
  void Quit(TcpConnection& conn) LOOP_ONLY {
    member_->Leave();
    conn.CloseAfterFlush();
  }
  void Notice(TcpConnection& conn, absl::string_view text) LOOP_ONLY {
    conn.Send(absl::StrCat("* ", text, "\n"));
  }
  void Complain(TcpConnection& conn, const absl::Status& status) LOOP_ONLY {
    if (!status.ok()) conn.Send(absl::StrCat("! ", status.message(), "\n"));
  }
  // Runs `work` when all that was said before has reached this client. Until then no more of its
  // lines are looked at, so a flood of commands takes a turn for each.
  void InOrder(TcpConnection& conn, ConnectionWork work) LOOP_ONLY {
    conn.PauseReading();
    const bool waits = member_->Run([work = std::move(work)](TcpConnection& conn) mutable {
      AssertOnLoop();
      conn.ResumeReading();
      std::move(work)(conn);
    });
    if (!waits) conn.CloseAfterFlush();  // It is on its way out already.
  }
  void Answer(TcpConnection& conn, absl::string_view line, bool and_close = false) LOOP_ONLY {
    InOrder(conn, [this, line, and_close](TcpConnection& conn) {
      AssertOnLoop();
      conn.Send(line);
      if (and_close) Quit(conn);
    });
  }

  ChatRooms& rooms_;
  std::optional<ChatMember> member_;  // From OnOpen() to OnClose().
  size_t said_bytes_ = 0;             // Since it last waited.
};

}  // namespace

std::unique_ptr<ConnectionHandler> MakeChatHandler(ChatRooms& rooms) {
  return std::make_unique<ChatHandler>(rooms);
}

}  // namespace millrace
