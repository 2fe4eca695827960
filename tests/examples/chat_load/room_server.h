// SPDX-License-Identifier: Apache-2.0
//
// RoomServer is a small chat server for tests of the chat load client, in a thread of its own: it
// knows /nick, /join and messages, and can be told to do wrong by a member. Naive: one loop, one
// map. Owned by the test. Test-only.
//
//   RoomServer server({{.member = "load3", .nth = 5, .act = RoomServer::Act::kDrop}});
//   RunChatLoad({.addresses = server.addresses()});

#ifndef MILLRACE_TESTS_EXAMPLES_CHAT_LOAD_ROOM_SERVER_H_
#define MILLRACE_TESTS_EXAMPLES_CHAT_LOAD_ROOM_SERVER_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "net/buffer.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "tests/support/server_thread.h"

namespace millrace {

class RoomServer {
 public:
  enum class Act {
    kDrop,     // It does not get this one.
    kTwice,    // It gets it twice.
    kSwap,     // It gets it after the next one.
    kStall,    // It gets nothing any more.
    kClose,    // Its connection is closed in its place.
    kReset,    // The same, rudely.
    kSpoil,    // A letter of it is another.
    kForeign,  // Somebody else says something before it.
    kError,    // An error comes before it.
    kRefuse,   // Of the name, for which `nth` is not used.
    kIgnore,   // The same, without a word.
  };
  // What the member that calls itself so meets with its `nth` message, counted from 0.
  struct Misdeed {
    std::string member = "";
    int nth = 0;
    Act act = Act::kDrop;
  };

  // Called on the server's thread when that message comes, counted from 1, or a member is ignored.
  struct Alarm {
    int message = 0;
    absl::AnyInvocable<void()> call = {};
  };

  explicit RoomServer(std::vector<Misdeed> misdeeds = {}) : RoomServer(std::move(misdeeds), {}) {}
  RoomServer(std::vector<Misdeed> misdeeds, Alarm alarm);

  const std::vector<SocketAddress>& addresses() const { return thread_->addresses(); }

 private:
  struct Client {
    std::string name = "guest";
    std::string room = "lobby";
    int messages = 0;  // Delivered, or rather not.
    std::string kept = "";
    bool stalled = false;
  };

  void OnOpen(TcpConnection& conn);
  void OnData(TcpConnection& conn, Buffer& input);
  void OnLine(TcpConnection& conn, absl::string_view line);
  void OnNick(TcpConnection& conn, absl::string_view name);
  void TellRoom(absl::string_view room, absl::string_view line);
  void Deliver(TcpConnection& conn, Client& client, std::string line);
  void DoWrong(Act act, TcpConnection& conn, Client& client, std::string line);
  const Misdeed* MisdeedAgainst(const Client& client, bool when_named) const;

  const std::vector<Misdeed> misdeeds_;
  std::map<TcpConnection*, Client> clients_;  // The server's thread only, as what follows.
  int messages_ = 0;
  Alarm alarm_;
  std::optional<ServerThread> thread_;  // Last: it uses all the others.
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_EXAMPLES_CHAT_LOAD_ROOM_SERVER_H_
