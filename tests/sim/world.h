// SPDX-License-Identifier: Apache-2.0
//
// World is one seed of a soak: a Simulation, what was drawn for it, what its model knows of each
// connection, and the first promise that was broken in it. Everything that lives in it draws from
// its random(), so the seed tells all of it. Owned by the soak; for its thread.
//
//   World world({.seed = 17});
//   RunEcho(world);
//   world.CheckAllGivenBack();
//   if (!world.failure().empty()) ...

#ifndef MILLRACE_TESTS_SIM_WORLD_H_
#define MILLRACE_TESTS_SIM_WORLD_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "net/close_reason.h"
#include "net/connection_handle.h"
#include "net/connection_limits.h"
#include "net/event_loop.h"
#include "net/sim/simulation.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "tests/sim/line.h"
#include "tests/sim/pace.h"
#include "tests/sim/protection.h"
#include "tests/sim/tally.h"

namespace millrace {

// How often those in a world do something beside their work, at each occasion.
struct Habits {
  double pause = 0, leave_unread = 0, act_later = 0, post = 0, send_file = 0;
  // What ends connections, or may: none of it in a harmless world.
  double abort = 0, close = 0, close_write = 0, set_timeout = 0, cut_file = 0, destroy_owner = 0;
  double refuse = 0, hold_everything = 0;
  size_t message_bytes_max = 1;
  uint64_t bytes = 1;  // That a client sends on a connection.
};

// Whom handlers belong to: a server or a client of this world, which may be gone.
class Owner {
 public:
  virtual ~Owner() = default;
  // Destroys the server or client, if that is legal here. False if not.
  virtual bool DestroyFromInside(EventLoop& loop) = 0;
  virtual void Destroy() = 0;

  int64_t opened = 0, closed = 0, closed_on_error = 0;
  std::array<int64_t, kCloseCauses> ended = {};  // As handlers heard it.
  bool silent = false;                           // Nothing may be called any more.
};

class World {
 public:
  struct Options {
    uint64_t seed = 1;
    bool trace = false;
  };

  explicit World(Options options);
  ~World();

  Simulation& sim() { return *sim_; }
  Random& random() { return random_; }
  uint64_t Below(uint64_t n) { return random_.Below(n); }
  bool Chance(double chance) { return chance > 0 && random_.Unit() < chance; }
  absl::Duration Within(absl::Duration most) { return most * random_.Unit(); }

  // Nothing but the habits above ends a connection here, and those are orderly: every byte arrives.
  bool harmless() const { return harmless_; }
  // From now on no fault happens.
  void CalmDown();
  const SimFaults& faults() const { return faults_; }
  const Habits& habits() const { return habits_; }
  const ConnectionLimits& limits() const { return limits_; }
  ConnectionLimits& mutable_limits() { return limits_; }  // For a scenario of its own, at first.
  // A little of it in some worlds; a scenario may want more.
  const Protection& protection() const { return protection_; }
  void Protect(const Protection& protection);
  // Null where there are no rates.
  const Pace* pace() const { return pace_ ? &*pace_ : nullptr; }
  // A server's connection with this peer only waits for its end now.
  void TellLeft(const SocketAddress& peer);
  // No window is smaller from now on.
  void WidenWindows(size_t least);
  Tally& tally() { return tally_; }

  // The connection of the client that has this address.
  Line& LineOf(const SocketAddress& client, bool echo);
  const std::map<std::string, Line>& lines() const { return lines_; }

  // A promise was broken. The first time counts.
  void Fail(absl::string_view what);
  void Expect(bool holds, absl::string_view what) {
    if (!holds) Fail(what);
  }
  const std::string& failure() const { return failure_; }

  // Runs until `done`; fails if that takes more than `at_most`.
  void RunUntil(absl::string_view what, absl::FunctionRef<bool()> done, absl::Duration at_most);
  // Runs `work` on each loop, in its turn.
  void OnEachLoop(absl::FunctionRef<void(EventLoop& loop)> work);

  // Kept until the simulation is gone.
  template <typename T>
  T& Keep(std::unique_ptr<T> owner) {
    T& kept = *owner;
    owners_.push_back(std::move(owner));
    return kept;
  }
  // From each handler of `owner`: opened, and closed.
  void TellOpened(Owner& owner);
  void TellClosed(Owner& owner, const TcpConnection& conn, const absl::Status& why);
  // Handlers that are alive.
  void AddHandler() { ++handlers_; }
  void RemoveHandler() { --handlers_; }
  // Of a connection that has ended: must find nobody.
  void AddStale(const ConnectionHandle& handle) { stale_.push_back(handle); }

  // Once servers, clients and peers are gone: so are connections, handlers, blocks, descriptors.
  void CheckAllGivenBack();

 private:
  void OnTransfer(const SimNetwork::Transfer& transfer);
  void CheckIsEmpty(const MemoryBudget& budget);
  void DrawHabits();
  void DrawLimits();
  void DrawRoughLimits();

  const uint64_t seed_;
  Random random_;
  const bool harmless_;
  SimFaults faults_;
  Habits habits_;
  ConnectionLimits limits_;
  Protection protection_;
  std::optional<Pace> pace_;
  Tally tally_;
  std::string failure_;
  std::map<std::string, Line> lines_;  // By the client's address.
  std::vector<std::unique_ptr<Owner>> owners_;
  std::vector<ConnectionHandle> stale_;
  int64_t handlers_ = 0;
  int real_fd_ = -1;  // The lowest one that is free on the machine.
  size_t descriptors_ = 0;
  std::unique_ptr<Simulation> sim_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SIM_WORLD_H_
