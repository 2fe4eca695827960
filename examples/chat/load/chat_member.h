// SPDX-License-Identifier: Apache-2.0
//
// ChatMember is one connection of a chat load run: it connects, takes its name, joins its room, and
// then hands on each line that comes. What the lines must say is its owner's to know. Loop-only;
// owned by a ChatWorker; destroying it, or Drop(), ends it without a word.
//
//   ChatMember member(loop, options, tally, owner, number);
//   member.Connect();                               // OnJoined(), or OnFailed()
//   member.Send("hello\n");

#ifndef MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_MEMBER_H_
#define MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_MEMBER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/monotonic_time.h"
#include "base/thread_role.h"
#include "examples/chat/load/chat_load_options.h"
#include "examples/chat/load/chat_tally.h"
#include "net/buffer.h"
#include "net/event_loop.h"
#include "net/tcp_client.h"
#include "net/tcp_connection.h"

namespace millrace {

// What the server said with "! ".
inline constexpr absl::string_view kServerError = "server_error";

class ChatMember {
 public:
  // No member may be destroyed, or dropped, from inside these calls.
  class Owner {
   public:
    virtual void OnJoined(ChatMember& member) LOOP_ONLY = 0;
    // It is not connected, or will not be in a moment. Comes once, after OnJoined() or instead.
    virtual void OnFailed(ChatMember& member, bool had_joined, absl::string_view kind,
                          absl::string_view reason) LOOP_ONLY = 0;
    // Without its newline, and no notice; good for the call. Only once it has joined.
    virtual void OnLine(ChatMember& member, absl::string_view line,
                        MonotonicTime now) LOOP_ONLY = 0;

   protected:
    ~Owner() = default;
  };

  // All but the number are borrowed.
  ChatMember(EventLoop& loop, const ChatLoadOptions& options, ChatTally& tally, Owner& owner,
             int number) LOOP_ONLY;
  ~ChatMember();

  void Connect() LOOP_ONLY;
  // Requires: joined.
  void Send(absl::string_view lines) LOOP_ONLY { conn_->Send(lines); }
  // Gives it up: OnFailed().
  void Fail(absl::string_view kind, absl::string_view reason) LOOP_ONLY;
  // Ends at once, and tells nobody.
  void Drop() LOOP_ONLY;

  int number() const { return number_; }
  bool joined() const { return state_ == State::kJoined; }

 private:
  class Handler;
  enum class State : uint8_t {
    kConnecting,
    kGreeted,  // It has asked for its name and room.
    kJoined,
    kEnded,
  };

  void OnOpen(TcpConnection& conn) LOOP_ONLY;
  void OnData(Buffer& input) LOOP_ONLY;
  void OnLine(absl::string_view line, MonotonicTime now) LOOP_ONLY;
  void OnNotice(absl::string_view notice) LOOP_ONLY;
  void OnClose(const absl::Status& why) LOOP_ONLY;

  EventLoop& loop_;
  const ChatLoadOptions& options_;
  ChatTally& tally_;
  Owner& owner_;
  const int number_;
  State state_ = State::kConnecting;
  TcpConnection* conn_ = nullptr;    // From OnOpen() to OnClose().
  std::optional<TcpClient> client_;  // Last: ending it calls what is above.
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_MEMBER_H_
