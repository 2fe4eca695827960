// SPDX-License-Identifier: Apache-2.0
//
// A Clerk is a server's handler in the overload scenario: it takes whole messages, leaves the rest
// unread, and answers each with something larger. Its Office knows all clerks of a server, and
// after each turn of any loop holds them against what docs/overload.md and docs/flow_control.md
// promise: who was too slow is ended in time, and nobody else; the memory budget's sum is right,
// and does not stand above its limit; who is closed for it held the most. Owned by the scenario;
// gone after its server's handlers.
//
//   Office office(world);
//   ServerHost server(world, office.Clerks());
//   world.RunUntil("the rush", [&] { return office.Check() && guests.done(); }, at_most);

#ifndef MILLRACE_TESTS_SIM_CLERK_H_
#define MILLRACE_TESTS_SIM_CLERK_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "net/buffer.h"
#include "net/connection_handler.h"
#include "net/tcp_connection.h"
#include "tests/sim/hosts.h"
#include "tests/sim/line.h"
#include "tests/sim/world.h"

namespace millrace {

class Clerk;

class Office {
 public:
  // What clerks do with what comes.
  enum class Work {
    kAnswer,  // Whole messages.
    kTake,    // All of it, and answer nothing.
    kSend,    // The same, and send without end.
  };

  explicit Office(World& world);

  HandlersOf Clerks();
  // Those that open from now on do this.
  void set_work(Work work) { work_ = work; }
  int open() const { return static_cast<int>(clerks_.size()); }
  // After each turn; true, so that it can stand in a condition.
  bool Check(const ServerHost& server);

 private:
  friend class Clerk;

  void OnClosedForBudget(const Clerk& closed, const absl::Status& why);
  void CheckSum();
  void CheckChoice();
  uint64_t Held() const;
  // What a loop that stands still may be late by.
  absl::Duration Stalls() const;

  World& world_;
  const size_t message_bytes_, answer_bytes_;
  const uint64_t answers_max_;  // Bytes for one peer.
  Work work_ = Work::kAnswer;
  std::set<Clerk*> clerks_;
  bool rates_held_back_ = false;  // Somebody, once: then clocks stood still, we know not when.
  std::optional<MonotonicTime> too_much_since_;
  // Of the loop that closes for the budget in this turn: whom it left alone, with what he held.
  std::map<const Clerk*, uint64_t> spared_;
  uint64_t least_closed_ = UINT64_MAX;
};

class Clerk final : public ConnectionHandler {
 public:
  Clerk(Office& office, Owner& owner);
  ~Clerk() override;

  void OnOpen(TcpConnection& conn) override;
  void OnData(TcpConnection& conn, Buffer& input) override;
  void OnWritable(TcpConnection& conn) override;
  void OnEndOfInput(TcpConnection& conn, Buffer& rest) override;
  void OnClose(TcpConnection& conn, const absl::Status& why) override;

 private:
  friend class Office;

  // Its peer has sent a part of it.
  struct Message {
    MonotonicTime since;
    uint64_t bytes = 0;
    std::optional<MonotonicTime> held = {};  // Since when we do not read.
  };

  Line::End& mine() { return line_->server; }
  void Take(Buffer& input, size_t size);
  void Answer(TcpConnection& conn, uint64_t messages);
  void Send(TcpConnection& conn, uint64_t bytes);
  void NoteRest(const TcpConnection& conn, size_t rest, bool consumed);
  // What the memory budget counts.
  uint64_t Held() const;
  MonotonicTime MessageDeadline() const;
  MonotonicTime RateDeadline() const;
  void CheckClocks(bool exact);
  void CheckCause(CloseCause cause);

  Office& office_;
  World& world_;
  Owner& owner_;
  const Office::Work work_;
  Line* line_ = nullptr;  // Once open.
  TcpConnection* conn_ = nullptr;
  MonotonicTime opened_at_;
  bool heard_any_ = false;
  std::optional<Message> message_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SIM_CLERK_H_
