// SPDX-License-Identifier: Apache-2.0
//
// LoadSession is one of the connections of a load run: it connects, sends, checks every byte that
// comes back, and takes the time. In mode churn it is connected anew by its owner, each time it has
// ended. Loop-only; owned by a LoadWorker; destroying it, or Drop(), ends it without a word.
//
//   LoadSession session(loop, {options, pattern, tally}, owner, number);
//   session.Connect();
//   session.Begin();                     // When the others are connected, too.
//   ...
//   session.Finish();                    // OnEnded() tells when what is under way has come back.
//
// With a rate it sends what is due, each time it is told to, and each time there is room again in
// the pipeline: messages wait for that, but their time runs. What waits takes no memory, since the
// schedule knows it. Message k of the run is sent by connection k % connections.

#ifndef MILLRACE_TOOLS_LOADGEN_LOAD_SESSION_H_
#define MILLRACE_TOOLS_LOADGEN_LOAD_SESSION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/monotonic_time.h"
#include "base/thread_role.h"
#include "net/buffer.h"
#include "net/event_loop.h"
#include "net/socket_address.h"
#include "net/tcp_client.h"
#include "net/tcp_connection.h"
#include "tools/loadgen/load_options.h"
#include "tools/loadgen/load_tally.h"
#include "tools/loadgen/pattern.h"
#include "tools/loadgen/send_schedule.h"

namespace millrace {

class LoadSession {
 public:
  // Each Connect() is answered by OnConnected() or OnConnectFailed(), unless Drop() comes first,
  // and OnConnected() by OnEnded(). No session may be destroyed from inside these calls, and the
  // one they tell of not be connected or dropped.
  class Owner {
   public:
    virtual void OnConnected(LoadSession& session) LOOP_ONLY = 0;
    virtual void OnConnectFailed(LoadSession& session, const absl::Status& why) LOOP_ONLY = 0;
    virtual void OnEnded(LoadSession& session) LOOP_ONLY = 0;

   protected:
    ~Owner() = default;
  };

  // What all sessions of a thread share. Outlives them.
  struct Plan {
    const LoadOptions& options;
    const Pattern& pattern;
    LoadTally& tally;
  };

  // `number` tells it from the others of the run.
  LoadSession(EventLoop& loop, const Plan& plan, Owner& owner, int number) LOOP_ONLY;
  ~LoadSession();

  void Connect() LOOP_ONLY;
  // In a closed loop: fills the pipeline, and the load is on. Does nothing if it is not connected,
  // or in another mode.
  void Begin() LOOP_ONLY;
  // With a rate: from now on it sends by `schedule`. The tally has its window.
  void Pace(const SendSchedule& schedule) LOOP_ONLY { schedule_ = schedule; }
  // When its own `n`-th message is due. Requires: paced.
  MonotonicTime DueOf(int64_t n) const { return schedule_->due(MessageOf(n)); }
  // How many of its own messages are due before `time`. Requires: paced.
  int64_t CountBefore(MonotonicTime time) const;
  // Sends what is due, as far as the pipeline has room. Does nothing if it is not connected.
  void SendDue(MonotonicTime now) LOOP_ONLY;
  // What is due and waits still is not sent, but counted. Requires: paced.
  void GiveUpUnsent() LOOP_ONLY;
  // Sends no more messages that are not due yet, and ends when all have come back. Requires:
  // connected.
  void Finish() LOOP_ONLY;
  // What was under way has not come back in time: counts the error. Requires: connected.
  void TimeOut() LOOP_ONLY;
  // Ends at once, and tells nobody.
  void Drop() LOOP_ONLY;

  bool connected() const LOOP_ONLY { return conn_ != nullptr; }
  // Whether the last connection ended on an error, which it has counted.
  bool failed() const { return failed_; }
  const SocketAddress& address() const { return address_; }

 private:
  class Handler;

  void MakeClient() LOOP_ONLY;
  void OnOpen(TcpConnection& conn) LOOP_ONLY;
  void OnData(Buffer& input) LOOP_ONLY;
  void OnEndOfInput() LOOP_ONLY;
  void OnClose(const absl::Status& why) LOOP_ONLY;

  bool CheckBytes(absl::string_view bytes) LOOP_ONLY;
  int CountMessages(uint64_t bytes, MonotonicTime now) LOOP_ONLY;
  void SendMessages(int count, MonotonicTime since) LOOP_ONLY;
  void NoteSent(MonotonicTime since) LOOP_ONLY;
  void SendBytes(uint64_t bytes) LOOP_ONLY;
  void SendFrames(uint64_t bytes) LOOP_ONLY;
  std::string WrongByte(char got, size_t at) const;
  bool paced() const { return plan_.options.rate > 0; }
  bool pipeline_full() const { return messages_in_flight_ == sent_.size(); }
  int64_t MessageOf(int64_t n) const { return n * plan_.options.connections + number_; }
  void SendEnd() LOOP_ONLY;
  void Fail(absl::string_view kind, absl::string_view reason) LOOP_ONLY;
  MonotonicTime Now() const { return loop_.clock().Now(); }

  EventLoop& loop_;
  const Plan plan_;
  Owner& owner_;
  const int number_;
  const SocketAddress address_;

  // Of the connection that is, or is being made.
  TcpConnection* conn_ = nullptr;  // From OnOpen() to OnClose().
  uint64_t round_ = 0;             // Which one it is.
  MonotonicTime began_;
  bool failed_ = false;
  bool dropping_ = false;  // OnClose() tells of nothing new.
  bool sent_end_ = false;
  Pattern::Position send_at_, receive_at_;
  uint64_t bytes_received_ = 0;
  uint64_t bytes_in_flight_ = 0;
  uint64_t bytes_into_message_ = 0;  // That came of the oldest one in flight.
  // When those in flight were sent: a ring, of which `oldest_` is the first.
  std::vector<MonotonicTime> sent_;
  size_t oldest_ = 0;
  size_t messages_in_flight_ = 0;

  // With a rate.
  std::optional<SendSchedule> schedule_;
  int64_t next_ = 0;          // Of its own messages, the next to be sent.
  MonotonicTime room_since_;  // When the pipeline was last full no more.
  bool gave_up_ = false;

  std::optional<TcpClient> client_;  // Last: ending it calls what is above.
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_LOAD_SESSION_H_
