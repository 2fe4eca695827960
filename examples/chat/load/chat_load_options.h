// SPDX-License-Identifier: Apache-2.0
//
// ChatLoadOptions says what load a run puts on a chat server, and who takes part: member 7 is
// "load7", sits in one room, lives on one thread and sends every so many messages. A value.
//
//   ChatLoadOptions options = {.members = 1000, .rooms = 10, .rate = 1000};
//   MILLRACE_RETURN_IF_ERROR(options.Check());
//   options.room_of(7);                          // 7
//
// Messages are numbered through all rooms: message k is sent by member k % members, and is its
// (k / members)th. So the number alone says who sends it, where and when.

#ifndef MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_LOAD_OPTIONS_H_
#define MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_LOAD_OPTIONS_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "net/socket_address.h"

namespace millrace {

struct ChatLoadOptions {
  // All of one server: members are spread over them.
  std::vector<SocketAddress> addresses = {SocketAddress::Loopback(7008)};
  int threads = 1;
  int members = 100;
  int rooms = 1;
  int rate = 100;          // Messages per second, of all members together.
  int message_bytes = 64;  // Of a message's text.

  // How long is measured, how long the load is on before that, and how long the last deliveries may
  // take after it.
  absl::Duration duration = absl::Seconds(10);
  absl::Duration warmup = absl::Seconds(1);
  absl::Duration drain = absl::Seconds(5);
  // How long a connection may take to be made; and how long it may take, while members join, until
  // the next one is in.
  absl::Duration join_timeout = absl::Seconds(10);

  // Whether SIGINT and SIGTERM end the run early, with what was measured so far; a second one ends
  // the process. Only for main(), since signals are the whole process's.
  bool ends_on_signal = false;

  // InvalidArgument that says what cannot be.
  absl::Status Check() const;

  // As many as are of use.
  int threads_used() const { return std::min(threads, members); }
  int room_of(int member) const { return member % rooms; }
  // All members of a room are on one thread, if there are rooms enough for that.
  int thread_of(int member) const {
    return (rooms >= threads_used() ? room_of(member) : member) % threads_used();
  }
  // Of the members of its room.
  int seat_of(int member) const { return member / rooms; }
  int members_of(int room) const { return (members - room + rooms - 1) / rooms; }

  int sender_of(int64_t message) const { return static_cast<int>(message % members); }
  int64_t sequence_of(int64_t message) const { return message / members; }
  int64_t message_of(int sender, int64_t sequence) const { return sequence * members + sender; }

  const SocketAddress& address_of(int member) const {
    return addresses[static_cast<size_t>(member) % addresses.size()];
  }
};

std::string MemberName(int member);  // "load7"
std::string RoomName(int room);      // "room7"
// "load7's message 3": for people, who count from one.
std::string DescribeMessage(const ChatLoadOptions& options, int64_t message);

// Of a text: sender and sequence, 8 hexadecimal digits each, and the time, 16; and what the server
// takes in a line.
inline constexpr int kChatTextHeaderBytes = 32;
inline constexpr int kChatTextBytesMax = 4096;
// For the order of messages, 8 bytes each: see RoomLog. 134 million of them.
inline constexpr int64_t kRoomLogBytesMax = int64_t{1} << 30;

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_LOAD_OPTIONS_H_
