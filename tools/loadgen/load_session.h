// SPDX-License-Identifier: Apache-2.0
//
// LoadSession is one of the connections of a load run: it connects, sends, checks every byte that
// comes back, and takes the time. In mode churn it is connected anew by its owner, each time it has
// ended. Loop-only; owned by a LoadWorker; destroying it, or Drop(), ends it without a word.
//
//   LoadSession session(loop, {options, pattern, tally}, owner, number);
//   session.Connect();
//   ...
//   session.Finish();                    // OnEnded() tells when what is under way has come back.

#ifndef MILLRACE_TOOLS_LOADGEN_LOAD_SESSION_H_
#define MILLRACE_TOOLS_LOADGEN_LOAD_SESSION_H_

#include <cstdint>
#include <optional>
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
  // Sends no more messages, and ends when those under way have come back. Requires: connected.
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
  Pattern::Position send_at_ = 0, receive_at_ = 0;
  uint64_t bytes_in_flight_ = 0;
  uint64_t bytes_into_message_ = 0;  // That came of the oldest one in flight.
  // When those in flight were sent: a ring, of which `oldest_` is the first.
  std::vector<MonotonicTime> sent_;
  size_t oldest_ = 0;
  size_t messages_in_flight_ = 0;

  std::optional<TcpClient> client_;  // Last: ending it calls what is above.
};

}  // namespace millrace

#endif  // MILLRACE_TOOLS_LOADGEN_LOAD_SESSION_H_
