// SPDX-License-Identifier: Apache-2.0
//
// ChatRooms knows who is called what, and who is in which room. One for the server, used by the
// handlers on all loops: one mutex guards it, held for a look-up and never while bytes are written.
// A message does not come by here: it goes from its sender straight to the room's BroadcastGroup.
//
// A ChatMember is one client's place in it, owned by the client's handler; its end is the leave.
// All errors are for people to read.
//
//   ChatRooms rooms;                                  // Outlives the handlers.
//   ChatMember member(rooms, conn.handle());
//   absl::Status entered = member.Enter();            // As guest7, in the lobby.
//   member.Say("hello");                              // "[lobby] guest7: hello\n" to all there.

#ifndef MILLRACE_EXAMPLES_CHAT_CHAT_ROOMS_H_
#define MILLRACE_EXAMPLES_CHAT_CHAT_ROOMS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "net/broadcast_group.h"
#include "net/connection_handle.h"

namespace millrace {

inline constexpr absl::string_view kLobby = "lobby";

class ChatRooms {
 public:
  // Tells all members that the server is going down, and lets nobody in any more.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  // "attic (2), lobby (17)". A room is there while somebody is in it.
  std::string List() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  friend class ChatMember;
  using Names = std::set<std::string, std::less<>>;

  // Those in it keep it there, so they may use its group without the mutex.
  struct Room {
    BroadcastGroup group;
    Names members;  // Under the mutex.
  };

  mutable absl::Mutex mutex_;
  std::map<std::string, Room, std::less<>> rooms_ ABSL_GUARDED_BY(mutex_);
  Names names_ ABSL_GUARDED_BY(mutex_);
  uint64_t guests_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

// One thread at a time: its connection's loop.
class ChatMember {
 public:
  ChatMember(ChatRooms& rooms, ConnectionHandle connection)
      : rooms_(rooms), connection_(std::move(connection)) {}
  ~ChatMember() { Leave(/*and_close=*/false); }

  // Takes a name that nobody has, and goes to the lobby. Fails if the server is going down.
  absl::Status Enter();
  absl::Status Rename(absl::string_view name);
  absl::Status Move(absl::string_view room);
  // To all in the room, oneself too.
  absl::Status Say(absl::string_view text);
  // "lobby: alice, bob".
  std::string Who() const;
  // Gives up name and room. With `and_close` the connection is closed when it has been sent what
  // was said before.
  void Leave(bool and_close);

  const std::string& name() const { return name_; }
  absl::string_view room() const { return place_->first; }

 private:
  using Place = decltype(ChatRooms::rooms_)::iterator;

  absl::Status MoveTo(absl::string_view room) ABSL_EXCLUSIVE_LOCKS_REQUIRED(rooms_.mutex_);
  void LeaveRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(rooms_.mutex_);

  ChatRooms& rooms_;
  const ConnectionHandle connection_;
  std::string name_;  // None before Enter() and after Leave().
  Place place_;
  BroadcastGroup::Membership membership_;
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_CHAT_ROOMS_H_
