// SPDX-License-Identifier: Apache-2.0
//
// Simulation runs servers and clients on simulated loops, on one thread, in simulated time, over a
// simulated network that does its worst: unchanged code, a thousand runs a second or so, and each
// run told by its seed. For tests only, yours as well as ours; see docs/testing.md.
//
//   Simulation sim({.seed = seed, .faults = SimFaults::Draw(random)});
//   auto server = TcpServer::Start(sim.main(), &sim.workers(), {
//       .addresses = {SocketAddress::Loopback(7007)},
//       .handler = [] { return std::make_unique<EchoHandler>(); }}).value();
//   TcpClient client(sim.client(), {...});
//   client.Connect();
//   EXPECT_TRUE(sim.RunUntil([&] { return done; }, absl::Minutes(1)));     // Takes a millisecond.
//
// The thread that makes it is, while it lives, a simulated world: its sockets and eventfds are
// simulated, its random numbers come from the seed. Everything that uses the loops must go before
// it. Faults begin with the first Run...(): what is started before has them behind it.

#ifndef MILLRACE_NET_SIM_SIMULATION_H_
#define MILLRACE_NET_SIM_SIMULATION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/sim/sim_clock.h"
#include "net/sim/sim_faults.h"
#include "net/sim/sim_network.h"
#include "net/sim/sim_poller.h"

namespace millrace {

class Simulation {
 public:
  struct Options {
    uint64_t seed = 1;
    int workers = 2;
    SimFaults faults = {};
    size_t descriptors_max = SIZE_MAX;  // Of all loops together.
    EventLoop::Options loop = {};       // Poller and clock are the simulation's.
    bool trace = false;                 // Tells each event on stderr.
  };

  explicit Simulation(Options options);
  Simulation() : Simulation(Options()) {}
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;
  // Ends the loops. CHECKs that no descriptor is left open: somebody leaks one.
  ~Simulation();

  // A server's loops, and one for those at the other end of the network.
  EventLoop& main() { return *loops_[kMain]->loop; }
  EventLoopThreadPool& workers() { return *workers_; }
  EventLoop& client() { return *loops_[kClient]->loop; }

  MonotonicTime now() const { return clock_.Now(); }
  // For what the test itself leaves to chance.
  Random& random() { return random_; }
  SimNetwork& network() { return network_; }

  // From now on.
  void SetFaults(const SimFaults& faults);

  // Runs all loops for so long. CHECKs that they come to rest now and then: a loop that turns
  // 100,000 times while no time passes spins.
  void RunFor(absl::Duration time);
  // Until `done`, which is asked after each turn; false if it did not come true in time.
  bool RunUntil(absl::FunctionRef<bool()> done, absl::Duration at_most);

  // Two runs of one seed that differ anywhere differ in this.
  uint64_t trace_hash() const { return network_.trace_hash(); }

 private:
  static constexpr size_t kMain = 0, kClient = 1, kFirstWorker = 2;

  struct Loop {
    std::unique_ptr<EventLoop> loop;
    SimPoller* poller = nullptr;
    bool rests = false;    // Its last turn did nothing, and nothing has happened since.
    bool running = false;  // Is on the stack.
    bool ended = false;
    MonotonicTime stalled_until;
  };

  void MakeLoop(EventLoop::Options options);
  void BeginFaults();
  // Has something happen; false if nothing will before `limit`, and then it is `limit`.
  bool Step(MonotonicTime limit);
  void StepNested();
  Loop* PickLoop();
  bool Turn(Loop& loop);  // Whether it did anything, or would not sleep.
  void NoteTurn(const Loop& loop);
  void WakeAll();
  MonotonicTime NextWake() const;
  void CheckForSpinning();

  const Options options_;
  SimClock clock_;
  Random random_;
  SimNetwork network_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::unique_ptr<EventLoopThreadPool> workers_;
  bool faults_began_ = false;
  MonotonicTime spinning_at_;
  int turns_at_once_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_NET_SIM_SIMULATION_H_
