// SPDX-License-Identifier: Apache-2.0
//
// ActivityLog writes to the log what a server is up to: on SIGUSR1 each loop and each connection,
// at the end what became of all of them. A member of ServerMain(); main loop only.
//
//   ActivityLog log("echo", *main, *workers, *server, budget);
//   log.TellNow();        // At most once a second: who asks more often is not answered.

#ifndef MILLRACE_EXAMPLES_SERVER_ACTIVITY_LOG_H_
#define MILLRACE_EXAMPLES_SERVER_ACTIVITY_LOG_H_

#include <string>

#include "absl/strings/string_view.h"
#include "base/monotonic_time.h"
#include "base/thread_role.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/memory_budget.h"
#include "net/tcp_server.h"

namespace millrace {

class ActivityLog {
 public:
  // All but `program` are borrowed.
  ActivityLog(absl::string_view program, EventLoop& main, EventLoopThreadPool& workers,
              TcpServer& server, const MemoryBudget& budget)
      : program_(program), main_(main), workers_(workers), server_(server), budget_(budget) {}

  void TellNow() LOOP_ONLY;
  void TellEnd();

 private:
  const std::string program_;
  EventLoop& main_;
  EventLoopThreadPool& workers_;
  TcpServer& server_;
  const MemoryBudget& budget_;
  MonotonicTime next_;  // Not before.
};

// "peer_ended 12, idle_timeout 3": those that happened.
std::string EndsByCause(const TcpServer::Stats& stats);

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_SERVER_ACTIVITY_LOG_H_
