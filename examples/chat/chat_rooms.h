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
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/token_bucket.h"
#include "net/broadcast_group.h"
#include "net/connection_handle.h"
#include "net/tcp_connection.h"

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

  // Who comes and goes again and again costs one line, and the room one for each member: so only
  // so many are told. A hundred guests may come at once, and ten a second are more than one reads.
  static constexpr int kNoticesAtOnceMax = 100;
  static constexpr double kNoticesPerSecond = 10;

  struct Room {
    BroadcastGroup group;  // Its members keep it there, and use it without the mutex.
    // These are used under the mutex.
    Names members;
    TokenBucket notices{kNoticesPerSecond, kNoticesAtOnceMax};
    int64_t untold = 0;  // Notices that the room was spared; it hears how many with the next one.
  };

  // Tells the room who came, went or has another name, unless it has heard too much of that.
  static bool Announce(Room& room, absl::string_view notice);

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
  ~ChatMember() { Leave(); }

  // Takes a name that nobody has, and goes to the lobby. Fails if the server is going down.
  absl::Status Enter();
  absl::Status Rename(absl::string_view name);
  absl::Status Move(absl::string_view room);
  // To all in the room, oneself too; returns its bytes. 0: to nobody, for a loop is far behind.
  size_t Say(absl::string_view text);
  // "lobby: alice, bob".
  std::string Who() const;
  // Runs `work` when all that was said in the room before has been sent to this client.
  bool Run(ConnectionWork work) const { return membership_.Run(std::move(work)); }
  // Gives up name and room. Again: does nothing.
  void Leave();

  const std::string& name() const { return name_; }

 private:
  using Place = decltype(ChatRooms::rooms_)::iterator;

  absl::Status MoveTo(absl::string_view room) ABSL_EXCLUSIVE_LOCKS_REQUIRED(rooms_.mutex_);
  // To its room; if that is not told, to itself.
  void Announce(absl::string_view notice) ABSL_EXCLUSIVE_LOCKS_REQUIRED(rooms_.mutex_);
  void LeaveRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(rooms_.mutex_);

  ChatRooms& rooms_;
  const ConnectionHandle connection_;
  std::string name_;
  bool entered_ = false;  // From Enter() to Leave(), it has a name, and mostly a room.
  Place place_;
  BroadcastGroup::Membership membership_;
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_CHAT_ROOMS_H_
