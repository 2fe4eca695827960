// SPDX-License-Identifier: Apache-2.0
//
// TcpServer listens, and spreads connections over the loops of a pool: the main loop accepts, and
// hands sockets round-robin to the workers, where handlers run. (A lone worker accepts for itself:
// there is nothing to spread.) It belongs to the main loop: it is made and destroyed on its thread,
// also before the loop runs and after it has ended. It must go before its loops do.
//
//   auto server = TcpServer::Start(*main_loop, workers.get(), {
//       .addresses = {SocketAddress::Any(7007)},
//       .handler = [] { return std::make_unique<EchoHandler>(); }});
//   if (!server.ok()) LOG(FATAL) << server.status();
//   main_loop->Run();
//
// To end in good order: Drain(), and when that is done, destroy it. To end at once: destroy it.

#ifndef MILLRACE_NET_TCP_SERVER_H_
#define MILLRACE_NET_TCP_SERVER_H_

#include <array>
#include <atomic>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "net/acceptor.h"
#include "net/admission.h"
#include "net/close_reason.h"
#include "net/connection_handler.h"
#include "net/connection_limits.h"
#include "net/connection_owner.h"
#include "net/drain.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/io_handler.h"
#include "net/limits.h"
#include "net/loop_ref.h"
#include "net/memory_budget.h"
#include "net/server_shard.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/socket_file.h"
#include "net/transport.h"

namespace millrace {

class TcpServer {
 public:
  // Who accepts.
  enum class Accepting {
    kOnMainLoop,    // One socket for each address; connections are spread exactly evenly.
    kOnEachWorker,  // One on each worker (SO_REUSEPORT): no hand-off, so cheaper where connections
                    // come and go; the kernel spreads them by hash. TCP only.
  };

  // Nobody can connect there any more.
  struct ListenerFailure {
    SocketAddress address;
    absl::Status why;
    int listeners_left = 0;  // That still listen.
  };

  struct Options {
    std::vector<SocketAddress> addresses = {};  // Port 0: the kernel chooses; see addresses().
    // These listen already, non-blocking: adopted. Files of Unix ones are left to whoever made
    // them. With kOnEachWorker the workers get them in turn.
    std::vector<Socket> listeners = {};
    HandlerFactory handler = {};
    TransportFactory transport = {};  // Empty: plain.
    ConnectionLimits limits = {};
    // What all connections of all servers and clients with this budget may hold together. Without
    // one, {}, there is no bound.
    Ref<MemoryBudget> memory_budget = MemoryBudget::OfProcess();
    ListenOptions listen = {};
    // At the cap nothing is accepted, and who comes waits in the kernel's backlog until a few have
    // ended.
    int connections_max = kConnectionsMax;
    AdmissionOptions admission = {};  // Who may come, how many, and how fast.
    Accepting accepting = Accepting::kOnMainLoop;
    // Called on the main loop for each listener that has stopped for good, since somebody shut it
    // down: see Acceptor. It may destroy the server. Empty: the log and stats() tell of it.
    absl::AnyInvocable<void(const ListenerFailure& failure)> on_listener_failed = {};
  };

  // Listens when it returns. Without `workers` the main loop does all. Both must outlive the
  // server; `main` must not be a loop of `workers`. Fails on contradictory options, on an address
  // that cannot be had, and if the workers have stopped.
  static absl::StatusOr<std::unique_ptr<TcpServer>> Start(EventLoop& main,
                                                          EventLoopThreadPool* workers,
                                                          Options options);

  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;
  // Ends all connections at once: handlers hear Cancelled. When it returns no callback runs, and
  // none will. Waits for the workers to finish their turn; legal from inside a callback on the main
  // loop.
  ~TcpServer();

  // Where it listens, with real ports: those of Options::addresses, then those of the listeners.
  const std::vector<SocketAddress>& addresses() const { return addresses_; }

  // Stops listening, tells handlers OnDrain(), ends our half of those connections that are or
  // become idle, waits for the others, and when the grace is over closes the rest with
  // DeadlineExceeded (resetting those that still have output). Then calls `done` on the main loop:
  // after that no callback runs. Any thread. Again: the nearer times count, and each `done` is
  // called; but none once the server is being destroyed.
  using DrainDone = absl::AnyInvocable<void(const DrainReport& report) &&>;
  void Drain(const DrainOptions& options, DrainDone done);
  // Not of a plain Duration, so that {} means the options.
  void Drain(std::same_as<absl::Duration> auto grace, DrainDone done) {
    Drain(DrainOptions{.grace = grace}, std::move(done));
  }

  struct Stats {
    int64_t open = 0;  // Accepted and not ended, those under way to a worker too.
    int64_t accepted = 0, accept_errors = 0, accept_rests = 0;
    int64_t refused = 0;  // Out of descriptors. Not among those accepted, as the next three are.
    int64_t refused_denied = 0;     // By AdmissionOptions::allow and deny.
    int64_t refused_peer_full = 0;  // By connections_per_peer_max.
    int64_t refused_full = 0;       // In the moment when the last place was taken.
    // Times that a listener paused: for connections_max, connections_per_listener_max, and the
    // accept rate.
    int64_t pauses_full = 0, pauses_listener_full = 0, pauses_rate = 0;
    int64_t listeners_failed = 0;  // Shut down by somebody, and closed for good.
    int64_t opened = 0, closed = 0, closed_on_error = 0, failed_to_open = 0;
    int64_t bytes_read = 0, bytes_written = 0;
    // Of connections with rate limits; and how often they had to wait.
    int64_t limited_bytes_read = 0, limited_bytes_written = 0;
    int64_t rate_pauses_read = 0, rate_pauses_write = 0;
    std::array<int64_t, kCloseCauses> ended = {};  // Closed or failed to open, by CloseCause.
  };
  // What it did so far, over all loops. Any thread. Figures of one moment for each loop only.
  Stats stats() const;

  // Has each loop tell `write` what its connections are up to: see ConnectionTable::Report(). It is
  // given whole lines, those of a connection at once, and each loop calls it, several at a time;
  // it must not destroy the server. Empty: they go to the log. Main loop only.
  using ReportSink = absl::AnyInvocable<void(absl::string_view) const>;
  void ReportConnections(ReportSink write = {}) LOOP_ONLY;

 private:
  class Control;  // What posts find on the main loop.
  // What the server has on one loop, which may be gone before the server is: then posts are
  // refused.
  struct Part {
    LoopRef loop;
    ServerShard* shard = nullptr;  // For use on that loop only.
    std::unique_ptr<ServerShard::Counters> counters;
  };

  // Outlives the server by the rest of the turn: one of its functions may be what destroys it.
  struct Settings final : Deferred {
    explicit Settings(Options given) : options(std::move(given)) {}
    Options options;
    std::optional<Admission> admission;  // Of options that were found good.
  };

  TcpServer(EventLoop& main, EventLoopThreadPool* workers, Options options);

  absl::Status CheckOptions() const;
  absl::Status Ask(Part& part, absl::FunctionRef<absl::Status(EventLoop&)> work);
  absl::Status MakeParts() LOOP_ONLY;
  std::unique_ptr<ServerShard> MakeShard(EventLoop& loop, size_t index) LOOP_ONLY;
  absl::Status Listen() LOOP_ONLY;
  absl::Status ListenOnOne(Socket listener, SocketFile file) LOOP_ONLY;
  absl::Status AdoptListeners() LOOP_ONLY;
  absl::Status ListenOnWorkers(const SocketAddress& address) LOOP_ONLY;
  absl::Status ListenOnWorker(Part& part, Socket listener, SocketFile file,
                              uint16_t number) LOOP_ONLY;
  void HandOff(Socket socket, const SocketAddress& peer, uint16_t listener) LOOP_ONLY;
  void TellRoom(Admission::Room room);
  void OnShardGone();

  EventLoop& main_;
  EventLoopThreadPool* const workers_;
  const LoopRef main_ref_;
  std::unique_ptr<Settings> settings_;
  Options& options_;
  std::vector<SocketAddress> addresses_;
  std::vector<Part> parts_;  // The main loop's, then the workers'. Does not change once started.
  size_t next_worker_ = 0;
  int listeners_ = 0;  // Less those that have failed.
  std::unique_ptr<Control> control_;

  // Those on workers, and one for this: who takes it to zero tells.
  std::atomic<int> shards_left_{1};
  absl::Notification shards_are_gone_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_TCP_SERVER_H_
