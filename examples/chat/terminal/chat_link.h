// SPDX-License-Identifier: Apache-2.0
//
// ChatLink is a client's connection to a chat server: it sends what can be sent, says why the rest
// cannot, and when the connection is lost makes another one and goes back to the name and the room
// that one had. Owned by whoever chats; loop-only.
//
//   ChatLink link(*loop, {.address = server, .name = "bob"}, listener);
//   link.Connect();                           // listener.OnUp(), or OnEnd(why).
//   absl::Status sent = link.Send("hello");
//   link.Leave();                             // listener.OnEnd(OK).

#ifndef MILLRACE_EXAMPLES_CHAT_TERMINAL_CHAT_LINK_H_
#define MILLRACE_EXAMPLES_CHAT_TERMINAL_CHAT_LINK_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/thread_role.h"
#include "net/event_loop.h"
#include "net/socket_address.h"
#include "net/tcp_client.h"
#include "net/tcp_connection.h"
#include "net/timer_wheel.h"

namespace millrace {

// The longest line that the server takes, without its newline.
inline constexpr size_t kChatLineBytesMax = 4096;
// How long a server may take to close after /quit.
inline constexpr absl::Duration kLeaveTimeout = absl::Seconds(3);
// How long it may be silent after the end of our input, while it still has to close.
inline constexpr absl::Duration kLastWordsTimeout = absl::Seconds(30);

// 1 to 32 of A-Z, a-z, 0-9, _ and -, as names and rooms are.
bool IsChatName(absl::string_view name);

// What a longer one gets, before it is sent: InvalidArgument with a reason for people.
absl::Status ChatLineTooLong(size_t bytes);

// Hears of a link. Outlives it. Loop-only.
class ChatListener {
 public:
  virtual ~ChatListener() = default;
  // Connected; `again` if it was before.
  virtual void OnUp(bool again) LOOP_ONLY = 0;
  // A line from the server, as it is, without its newline.
  virtual void OnLine(absl::string_view line) LOOP_ONLY = 0;
  // Send() takes lines again, after it had taken none because too much was waiting.
  virtual void OnReady() LOOP_ONLY = 0;
  // Cut off; there will be another try.
  virtual void OnLost(const absl::Status& why) LOOP_ONLY = 0;
  // It is over: OK if we wanted to leave; else there never was a connection, or it broke after the
  // end of our input. The last call.
  virtual void OnEnd(const absl::Status& why) LOOP_ONLY = 0;
};

class ChatLink {
 public:
  struct Options {
    SocketAddress address = SocketAddress::Loopback(7008);
    std::string name = {};  // Asked for once connected; empty: as the server names us.
    std::string room = {};
  };
  ChatLink(EventLoop& loop, Options options, ChatListener& listener) LOOP_ONLY;
  ~ChatLink();

  void Connect() LOOP_ONLY;
  bool up() const LOOP_ONLY { return conn_ != nullptr; }
  // Send() would take a good line.
  bool ready() const LOOP_ONLY;
  // InvalidArgument for what no server takes; Unavailable while not ready(). A /quit is sent, and
  // is a Leave().
  absl::Status Send(absl::string_view line) LOOP_ONLY;
  // Sends no more. The server answers what it got, and closes: that is the end. Requires: up().
  void EndInput() LOOP_ONLY;
  // The same with less patience; at once while there is no connection.
  void Leave() LOOP_ONLY;

  // As the server has told last; empty before.
  const std::string& name() const { return name_; }
  const std::string& room() const { return room_; }

 private:
  class Handler;
  enum class State { kChatting, kInputEnded, kLeaving, kEnded };

  void OnOpen(TcpConnection& conn, Handler& handler) LOOP_ONLY;
  void OnLine(absl::string_view line) LOOP_ONLY;
  void OnClose(const absl::Status& why) LOOP_ONLY;
  void OnConnectFailed(const absl::Status& why) LOOP_ONLY;
  void SendLine(absl::string_view line) LOOP_ONLY;
  void LookWhetherReady() LOOP_ONLY;
  void Learn(absl::string_view notice);
  void End(const absl::Status& why) LOOP_ONLY;

  ChatListener& listener_;
  State state_ = State::kChatting;
  bool was_up_ = false;
  std::string name_, room_;
  std::string wanted_name_, wanted_room_;  // What a new connection asks for.
  TcpConnection* conn_ = nullptr;          // While there is one, with its handler.
  Handler* handler_ = nullptr;
  Timer ready_timer_;
  Timer leave_timer_;
  std::unique_ptr<TcpClient> client_;  // First to go: its end calls us.
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_TERMINAL_CHAT_LINK_H_
