// SPDX-License-Identifier: Apache-2.0
//
// ChatWorker is one thread's part of a chat load run: its members, what they send and when, and
// whether they got what they should. It goes through phases, told by the run, which waits for all
// workers after each. Loop-only; kept by its loop (EventLoop::Keep).
//
//   ChatWorker& worker = loop.Keep(std::make_unique<ChatWorker>(loop, options, share, listeners));
//   worker.Join();                                  // on_joined
//   worker.Prepare(schedule, begin, end);           // on_prepared: can judge what comes.
//   worker.Send();                                  // on_sent, at `end`, or where EndBy() puts it
//   worker.Await(sent);                             // on_done, once all has come or time is up.
//
// Finish() ends it in any phase.

#ifndef MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_WORKER_H_
#define MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_WORKER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/monotonic_time.h"
#include "base/thread_role.h"
#include "examples/chat/load/chat_load_options.h"
#include "examples/chat/load/chat_member.h"
#include "examples/chat/load/chat_tally.h"
#include "examples/chat/load/chat_text.h"
#include "examples/chat/load/room_log.h"
#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/timer_wheel.h"
#include "tools/loadgen/precise_timer.h"
#include "tools/loadgen/send_schedule.h"

namespace millrace {

// No message of this run, or not one for this room.
inline constexpr absl::string_view kForeignError = "foreign";

class ChatWorker final : public Deferred, private ChatMember::Owner {
 public:
  // What outlives the worker: the run reads it when the loop has ended.
  struct Share {
    int thread = 0;
    int pending_max = 256;  // Members on their way in at once.
    ChatTally tally;
    std::vector<std::unique_ptr<RoomLog>> logs;  // Of each room; null: no member lives here.
  };
  // Each is called once. Must not destroy the worker.
  struct Listeners {
    // All members are in, or have failed to be; so many are.
    absl::AnyInvocable<void(int joined)> on_joined = {};
    absl::AnyInvocable<void()> on_prepared = {};
    // How many messages were sent to each room.
    absl::AnyInvocable<void(std::vector<int64_t> sent)> on_sent = {};
    absl::AnyInvocable<void()> on_done = {};
  };

  ChatWorker(EventLoop& loop, const ChatLoadOptions& options, Share& share,
             Listeners listeners) LOOP_ONLY;

  void Join() LOOP_ONLY;
  void Prepare(const SendSchedule& schedule, MonotonicTime begin, MonotonicTime end) LOOP_ONLY;
  void Send() LOOP_ONLY;
  // Sends nothing that is due at `end` or later. Requires: Send() came before.
  void EndBy(MonotonicTime end) LOOP_ONLY;
  void Await(std::vector<int64_t> sent) LOOP_ONLY;
  void Finish() LOOP_ONLY;

 private:
  void OnJoined(ChatMember& member) override LOOP_ONLY;
  void OnFailed(ChatMember& member, bool had_joined, absl::string_view kind,
                absl::string_view reason) override LOOP_ONLY;
  void OnLine(ChatMember& member, absl::string_view line, MonotonicTime now) override LOOP_ONLY;

  void ConnectSome() LOOP_ONLY;
  void ConnectLater() LOOP_ONLY;
  void Settle() LOOP_ONLY;
  void OnJoinTimeout() LOOP_ONLY;
  void SendDue() LOOP_ONLY;
  void EndSending() LOOP_ONLY;
  int64_t NextMessage() const;
  void SendOne(int64_t message, MonotonicTime now) LOOP_ONLY;
  void OnForeign(const ChatMember& member, absl::string_view line, MonotonicTime now) LOOP_ONLY;
  RoomLog& LogOf(const ChatMember& member) LOOP_ONLY;
  void CheckComplete(RoomLog& log, MonotonicTime now) LOOP_ONLY;

  EventLoop& loop_;
  const ChatLoadOptions& options_;
  Share& share_;
  ChatTally& tally_;
  Listeners listeners_;
  std::vector<std::unique_ptr<ChatMember>> members_;  // In the order of their numbers.

  std::deque<ChatMember*> waiting_;  // To connect, as soon as fewer are pending.
  int pending_ = 0;
  int unsettled_ = 0;  // Neither in nor failed yet.
  int joined_ = 0;     // Now.
  bool connects_later_ = false;

  std::optional<SendSchedule> schedule_;
  std::optional<ChatText> text_;
  std::unique_ptr<PreciseTimer> send_timer_;
  MonotonicTime send_end_;  // What is due from here on is not sent.
  std::string line_;
  size_t next_sender_ = 0;  // Of members_.
  int64_t round_ = 0;       // Of its messages.
  bool sending_over_ = false;
  std::vector<int64_t> sent_;  // To each room; from all workers, once awaiting.

  bool awaiting_ = false;
  bool finished_ = false;
  std::vector<bool> complete_;  // Rooms.
  int rooms_open_ = 0;

  Timer join_timer_, drain_timer_, linger_timer_;
};

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_LOAD_CHAT_WORKER_H_
