// SPDX-License-Identifier: Apache-2.0
//
// The chat scenario: guests say lines, a server tells each to all by a BroadcastGroup, with its
// number in the room. So every guest must hear number by number, from the first after its join to
// the last before its leave.
#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "net/broadcast_group.h"
#include "net/buffer.h"
#include "net/connection_handler.h"
#include "net/tcp_connection.h"
#include "net/timer_wheel.h"
#include "tests/sim/guests.h"
#include "tests/sim/hosts.h"
#include "tests/sim/scenarios.h"

namespace millrace {
namespace {

constexpr size_t kTextMax = 200;

// What is known of one guest.
struct Stay {
  uint64_t said = 0;
  std::optional<uint64_t> joined_at, left_at;  // The number of the next message then.
  bool said_goodbye = false;                   // Its leave was in order.
};

struct Room {
  Room(World& given, const BroadcastGroup::Options& options)
      : world(given),
        group(options),
        skips(options.slow_member == BroadcastGroup::SlowMember::kSkip) {}

  void Tell(absl::string_view text) {
    world.tally().Count("messages sent");
    if (group.Send(absl::Cord(absl::StrCat(sent, " ", text, "\n")))) {
      ++sent;
    } else {
      world.tally().Count("broadcasts refused");
    }
  }

  World& world;
  BroadcastGroup group;
  const bool skips;
  uint64_t sent = 0;
  std::map<std::string, Stay> stays;  // By the guest's address.
};

// At the server.
class Member final : public ConnectionHandler {
 public:
  Member(Room& room, Owner& owner) : room_(room), owner_(owner) { room.world.AddHandler(); }
  ~Member() override { room_.world.RemoveHandler(); }

  void OnOpen(TcpConnection& conn) override {
    room_.world.TellOpened(owner_);
    stay_ = &room_.stays[conn.peer_address().ToString()];
    membership_ = room_.group.Join(conn.handle());
    if (membership_.active()) stay_->joined_at = room_.sent;
  }

  void OnData(TcpConnection& conn, Buffer& input) override {
    while (const std::optional<std::string> line = input.ReadUntil("\n")) {
      uint64_t number = 0;
      const std::vector<std::string> words = absl::StrSplit(*line, ' ');
      room_.world.Expect(absl::SimpleAtoi(words[0], &number) && number == said_,
                         "a guest's lines came in another order");
      ++said_;
      room_.world.Expect(said_ <= stay_->said, "a guest's line came that was not said");
      room_.Tell(*line);
    }
    if (room_.world.Chance(room_.world.habits().abort)) {
      conn.Abort(absl::AbortedError("the handler has enough"));
    }
  }

  void OnEndOfInput(TcpConnection& conn, Buffer& rest) override {
    room_.world.Expect(rest.empty() && said_ == stay_->said, "a guest's lines are lost");
    SayGoodbye(conn);
  }

  void OnDrain(TcpConnection& conn) override {
    if (room_.world.Below(2) == 0) SayGoodbye(conn);
  }

  void OnClose(TcpConnection& conn, const absl::Status& why) override {
    room_.world.TellClosed(owner_, conn, why);
    membership_.Leave();
  }

 private:
  // Behind all that was told before.
  void SayGoodbye(TcpConnection& conn) {
    if (stay_->left_at) return;
    stay_->left_at = room_.sent;
    const bool active = membership_.active();
    const bool posted = membership_.Run([this, stay = stay_](TcpConnection& member) {
      stay->said_goodbye = true;
      Leave(member);
    });
    room_.world.Expect(posted == active, "a member's loop took no goodbye");
    membership_.Leave();
    if (!posted) Leave(conn);
  }

  void Leave(TcpConnection& conn) {
    room_.world.TellLeft(conn.peer_address());
    conn.CloseAfterFlush();
  }

  Room& room_;
  Owner& owner_;
  Stay* stay_ = nullptr;
  uint64_t said_ = 0;
  BroadcastGroup::Membership membership_;
};

// At the other end.
class Guest final : public ConnectionHandler {
 public:
  Guest(Room& room, Owner& owner) : room_(room), world_(room.world), owner_(owner) {
    world_.AddHandler();
  }
  ~Guest() override { world_.RemoveHandler(); }

  void OnOpen(TcpConnection& conn) override {
    world_.TellOpened(owner_);
    conn_ = &conn;
    stay_ = &room_.stays[conn.local_address().value().ToString()];
    timer_ = std::make_unique<Timer>(conn.loop().timers(), [this] { OnTimer(); });
    timer_->Arm(world_.Within(absl::Milliseconds(20)));
  }

  void OnData(TcpConnection& conn, Buffer& input) override {
    world_.Expect(!paused_, "OnData() while it is paused");
    while (const std::optional<std::string> line = input.ReadUntil("\n")) Hear(*line);
    if (!world_.Chance(world_.habits().pause)) return;
    paused_ = true;
    conn.PauseReading();
    timer_->Arm(world_.Within(absl::Milliseconds(200)));
  }

  void OnEndOfInput(TcpConnection& conn, Buffer& rest) override {
    world_.Expect(rest.empty(), "half a message came");
    const std::optional<uint64_t> next = next_ ? next_ : stay_->joined_at;
    const bool all = !stay_->said_goodbye || room_.skips || next == stay_->left_at;
    world_.Expect(all, "a guest that left in order has not heard all");
    conn.CloseAfterFlush();
  }

  void OnClose(TcpConnection& conn, const absl::Status& why) override {
    world_.TellClosed(owner_, conn, why);
    timer_.reset();
  }

 private:
  void Hear(absl::string_view line) {
    world_.tally().Count("messages received");
    uint64_t number = 0;
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    const bool is_number = absl::SimpleAtoi(words[0], &number);
    if (!next_) next_ = stay_->joined_at;
    world_.Expect(is_number && next_ && (room_.skips ? number >= *next_ : number == *next_),
                  "a message is missing, or came twice, or in another order");
    world_.Expect(number < stay_->left_at.value_or(room_.sent), "a message from after the leave");
    next_ = number + 1;
  }

  void OnTimer() {
    if (paused_) {
      paused_ = false;
      conn_->ResumeReading();
    }
    if (lines_ == 0) return conn_->CloseWrite();
    --lines_;
    conn_->SendOwned(
        absl::StrCat(stay_->said, " ", std::string(world_.Below(kTextMax), 'x'), "\n"));
    if (conn_->open()) ++stay_->said;
    timer_->Arm(world_.Within(absl::Milliseconds(20)));
  }

  Room& room_;
  World& world_;
  Owner& owner_;
  TcpConnection* conn_ = nullptr;
  Stay* stay_ = nullptr;
  std::unique_ptr<Timer> timer_;
  std::optional<uint64_t> next_ = std::nullopt;
  uint64_t lines_ = 1 + world_.Below(10);
  bool paused_ = false;
};

BroadcastGroup::Options DrawGroup(World& world) {
  BroadcastGroup::Options options;
  if (world.harmless()) return options;
  if (world.Below(3) == 0) options.slow_member = BroadcastGroup::SlowMember::kSkip;
  options.member_output_bytes_max = 100 + world.Below(4'000);
  options.pending_bytes_max = 500 + world.Below(10'000);
  return options;
}

void CheckAllWereOrderly(const Room& room) {
  for (const auto& [address, stay] : room.stays) {
    if (!stay.joined_at) continue;
    room.world.Expect(stay.said_goodbye, "harmless, and a guest has not left in order");
  }
}

}  // namespace

// Guests come, talk and leave; sometimes the server drains meanwhile.
void RunChat(World& world) {
  Room room(world, DrawGroup(world));
  ServerHost& server = world.Keep(std::make_unique<ServerHost>(
      world, [&room](Owner& owner) { return std::make_unique<Member>(room, owner); }));
  if (!server.Start()) return;
  std::vector<ClientHost*> guests;
  const int count = 2 + static_cast<int>(world.Below(5));
  Director arrivals(world, world.sim().client(), count, absl::Milliseconds(40), [&] {
    guests.push_back(&world.Keep(std::make_unique<ClientHost>(
        world, [&room](Owner& owner) { return std::make_unique<Guest>(room, owner); },
        /*reconnect=*/false)));
    guests.back()->Connect();
  });
  Director announcements(world, world.sim().main(), static_cast<int>(world.Below(20)),
                         absl::Milliseconds(20), [&] { room.Tell("announcement"); });
  std::optional<Director> drain;
  if (!world.harmless() && world.Below(3) == 0) {
    drain.emplace(world, world.sim().main(), 1, absl::Milliseconds(300),
                  [&] { server.Drain(world.Within(absl::Seconds(1))); });
  }
  const auto done = [&] {
    return arrivals.done() && announcements.done() && (!drain || drain->done()) &&
           server.drained() && std::all_of(guests.begin(), guests.end(), [](ClientHost* guest) {
             return guest->done();
           });
  };
  world.RunUntil("the chat", done, absl::Minutes(30));
  world.sim().RunFor(absl::Seconds(1));
  if (world.harmless()) CheckAllWereOrderly(room);
  for (ClientHost* guest : guests) guest->Destroy();
  server.Destroy();
  world.sim().RunFor(absl::Milliseconds(500));  // The last handlers still know the room.
}

}  // namespace millrace
