// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/chat_rooms.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/monotonic_time.h"
#include "base/status_macros.h"
#include "base/thread_role.h"
#include "net/event_loop.h"

namespace millrace {
namespace {

constexpr size_t kNameBytesMax = 32;
// Names or rooms in one list. With these a line stays below the 4,096 bytes that clients may send.
constexpr int kListedMax = 90;

constexpr absl::string_view kNameLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

absl::Status CheckName(absl::string_view name) {
  const bool spelled_well = name.find_first_not_of(kNameLetters) == name.npos;
  if (spelled_well && !name.empty() && name.size() <= kNameBytesMax) return absl::OkStatus();
  return absl::InvalidArgumentError("bad name: 1 to 32 of A-Z, a-z, 0-9, _ and -");
}

// The first of them, separated by commas, and how many more there are.
template <typename Things, typename Write>
std::string ListOf(const Things& things, Write write) {
  std::string list;
  int listed = 0;
  for (const auto& thing : things) {
    if (listed == kListedMax) break;
    if (listed++ > 0) list += ", ";
    write(list, thing);
  }
  const size_t more = things.size() - static_cast<size_t>(listed);
  if (more > 0) absl::StrAppend(&list, " and ", more, " more");
  return list;
}

// All of these are short, or a client's line: never more than a group takes. One that it refuses
// all the same, for a loop is far behind, is a notice that nobody will miss.
size_t Tell(BroadcastGroup& group, std::string line) {
  const absl::Cord bytes(line += '\n');
  return group.Send(bytes) ? bytes.size() : 0;
}

}  // namespace

void ChatRooms::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  for (auto& [name, room] : rooms_) Tell(room.group, "* the server is going down");
}

std::string ChatRooms::List() const {
  absl::MutexLock lock(&mutex_);
  return ListOf(rooms_, [](std::string& list, const auto& room) {
    absl::StrAppend(&list, room.first, " (", room.second.members.size(), ")");
  });
}

bool ChatRooms::Announce(Room& room, absl::string_view notice) {
  AssertOnLoop();
  // A loop that is being destroyed runs nothing any more, and takes its members along.
  if (EventLoop::Current() == nullptr) return false;
  const MonotonicTime now = EventLoop::Current()->now();
  if (room.notices.Available(now) < 1) {
    ++room.untold;
    return false;
  }
  room.notices.Take(1, now);
  std::string lines;
  if (const int64_t untold = std::exchange(room.untold, 0)) {
    lines = absl::StrCat("* ", untold, " more joined, left or took another name\n");
  }
  Tell(room.group, absl::StrCat(lines, notice));
  return true;
}

absl::Status ChatMember::Enter() {
  absl::MutexLock lock(&rooms_.mutex_);
  if (rooms_.closed_) return absl::UnavailableError("the server is going down");
  do {
    name_ = absl::StrCat("guest", ++rooms_.guests_);
  } while (!rooms_.names_.insert(name_).second);
  entered_ = true;
  return MoveTo(kLobby);
}

absl::Status ChatMember::Rename(absl::string_view name) {
  MILLRACE_RETURN_IF_ERROR(CheckName(name));
  absl::MutexLock lock(&rooms_.mutex_);
  if (!rooms_.names_.insert(std::string(name)).second) {
    return absl::AlreadyExistsError("name taken");
  }
  Announce(absl::StrCat("* ", name_, " is now ", name));
  rooms_.names_.erase(name_);
  place_->second.members.erase(name_);
  name_ = *place_->second.members.emplace(name).first;
  return absl::OkStatus();
}

absl::Status ChatMember::Move(absl::string_view room) {
  MILLRACE_RETURN_IF_ERROR(CheckName(room));
  if (room == place_->first) return absl::AlreadyExistsError(absl::StrCat("you are in ", room));
  absl::MutexLock lock(&rooms_.mutex_);
  return MoveTo(room);
}

// Joins before it leaves: who cannot get in stays where it was.
absl::Status ChatMember::MoveTo(absl::string_view name) {
  const Place place = rooms_.rooms_.try_emplace(std::string(name)).first;
  BroadcastGroup::Membership membership = place->second.group.Join(connection_);
  if (!membership.active()) return absl::UnavailableError("the room is too busy");
  if (membership_.active()) LeaveRoom();
  membership_ = std::move(membership);
  place_ = place;
  place->second.members.insert(name_);
  Announce(absl::StrCat("* ", name_, " joined"));
  return absl::OkStatus();
}

void ChatMember::Announce(absl::string_view notice) {
  if (!ChatRooms::Announce(place_->second, notice)) connection_.Send(absl::StrCat(notice, "\n"));
}

// Whoever leaves last takes the room along. When all leave since the server does, it is no news.
void ChatMember::LeaveRoom() {
  ChatRooms::Room& room = place_->second;
  membership_.Leave();
  room.members.erase(name_);
  if (room.members.empty()) {
    rooms_.rooms_.erase(place_);
  } else if (!rooms_.closed_) {
    ChatRooms::Announce(room, absl::StrCat("* ", name_, " left"));
  }
}

void ChatMember::Leave() {
  if (!std::exchange(entered_, false)) return;
  absl::MutexLock lock(&rooms_.mutex_);
  if (membership_.active()) LeaveRoom();
  rooms_.names_.erase(name_);
}

size_t ChatMember::Say(absl::string_view text) {
  return Tell(place_->second.group, absl::StrCat("[", place_->first, "] ", name_, ": ", text));
}

std::string ChatMember::Who() const {
  const auto write = [](std::string& list, const std::string& name) { list += name; };
  absl::MutexLock lock(&rooms_.mutex_);
  return absl::StrCat(place_->first, ": ", ListOf(place_->second.members, write));
}

}  // namespace millrace
