// SPDX-License-Identifier: Apache-2.0
//
// RudePeer is a client of a soak without our code: a bare socket on the client's loop, with one
// kind of bad manners for life. What it sends and receives is checked as any client's. Owned by a
// scenario, and gone before its World is checked.
//
//   RudePeer peer(world, RudePeer::Kind::kNeverReads);

#ifndef MILLRACE_TESTS_SIM_RUDE_PEER_H_
#define MILLRACE_TESTS_SIM_RUDE_PEER_H_

#include <cstddef>
#include <cstdint>

#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/socket.h"
#include "net/timer_wheel.h"
#include "tests/sim/line.h"
#include "tests/sim/world.h"

namespace millrace {

class RudePeer final : public IoHandler {
 public:
  enum class Kind : uint8_t {
    kNeverReads,    // Sends, and reads nothing.
    kNeverEnds,     // Reads all, and keeps its end open.
    kEndsAtOnce,    // Half-closes before it has sent anything.
    kDribbles,      // Sends a byte at a time.
    kResets,        // Resets at some moment.
    kVanishes,      // Its cable is cut at some moment.
    kClosesUnread,  // Closes with input unread.
    kStopsHalfway,  // Sends something, and then no more; reads.
    kFloods,        // Sends as fast as it can, for ever; reads.
  };
  static constexpr int kKinds = 8;  // Of guests; the last one takes more than its share of time.

  RudePeer(World& world, Kind kind, bool echo);
  ~RudePeer() override { Close(); }

 private:
  void OnIo(Io ready) override;
  bool Connect();
  void OnConnected();
  void Step();
  void Flood();
  void SendSome(size_t bytes);
  void ReadSome();
  void EndOutput();
  void Leave();
  void Close();

  World& world_;
  const Kind kind_;
  const bool echo_;
  Socket socket_;
  Registration registration_;
  Timer timer_;
  Line* line_ = nullptr;  // Once connected.
  bool ended_ = false;
  int steps_ = 0;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SIM_RUDE_PEER_H_
