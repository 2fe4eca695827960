// SPDX-License-Identifier: Apache-2.0
//
// RoomLog holds the members of one room to their promise: each gets every message once, and all in
// one order. It keeps that order: the first member to get that far writes it, the others are
// compared with it. It knows no connections, only who got which message. Owned by a thread's
// worker; not synchronised.
//
//   RoomLog log(options, room, errors);
//   log.Join(7);
//   log.Receive(7, message, now);                    // Counts what is wrong in `errors`.
//   log.Finish(sent, now);                           // What is missing now stays so.
//
// The order takes 8 bytes a message for the whole run, which ChatLoadOptions::Check() bounds;
// members need no more than where they are in it. Only one of whom something is wrong has more: the
// messages that it has skipped. They are missing if they do not come, and else out of order.
//
// The writer may be the one in the wrong. So what it alone has written does not count yet: a member
// that got something else there is held, its messages kept unjudged, until a third one agrees with
// either. If that is with the one held, the writer's part is judged again as anybody's.

#ifndef MILLRACE_EXAMPLES_CHAT_LOAD_ROOM_LOG_H_
#define MILLRACE_EXAMPLES_CHAT_LOAD_ROOM_LOG_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/strings/string_view.h"
#include "base/monotonic_time.h"
#include "examples/chat/load/chat_load_options.h"
#include "tools/loadgen/error_tally.h"

namespace millrace {

// Further kinds of errors, beside those of ErrorTally.
inline constexpr absl::string_view kMissingError = "missing";        // Never came.
inline constexpr absl::string_view kDuplicatedError = "duplicated";  // Came again.
inline constexpr absl::string_view kReorderedError = "reordered";    // Not where others got it.

class RoomLog {
 public:
  // Both are borrowed.
  RoomLog(const ChatLoadOptions& options, int room, ErrorTally& errors);

  // `member` is from now on to get every message. All join before the first is sent.
  void Join(int member);
  // It is gone, and not asked for what it has not got.
  void Leave(int member);

  // Requires: `message` is of this room, and `member` has joined and not left.
  void Receive(int member, int64_t message, MonotonicTime now);

  // Whether every member has got as many messages as were sent to the room. What is held is judged
  // for that.
  bool Complete(int64_t sent, MonotonicTime now);
  // No more will come: counts what is missing.
  void Finish(int64_t sent, MonotonicTime now);

  // Messages in the order in which the members got them.
  const std::vector<int64_t>& order() const { return order_; }
  // Nothing was found to be wrong.
  bool clean() const { return clean_; }
  int room() const { return room_; }

 private:
  enum class Verdict { kJudged, kUndecided };

  // Of a member in the wrong, or in doubt.
  struct Trouble {
    absl::btree_set<int64_t> skipped;  // Others got these before; this one has not.
    std::string first_skip;            // What came in place of the first of them.
    std::deque<int64_t> held;          // Came, and could not be judged yet.
  };
  struct Seat {
    int member = 0;
    bool taken = false;
    int64_t position = 0;  // In the order: what was before it has come, or been skipped.
    std::unique_ptr<Trouble> trouble;
  };

  Seat& SeatOf(int member) { return seats_[static_cast<size_t>(options_.seat_of(member))]; }
  int64_t& NextOf(int64_t message);
  int64_t end() const { return static_cast<int64_t>(order_.size()); }
  bool Expects(const Seat& seat, int64_t message) const {
    return seat.position < end() && order_[static_cast<size_t>(seat.position)] == message;
  }
  int64_t ReceivedBy(const Seat& seat) const;
  Trouble& TroubleOf(Seat& seat);

  void Advance(Seat& seat);
  void Append(Seat& seat, int64_t message);
  void Hold(Seat& seat, int64_t message);
  void JudgeHeld(Seat& seat, bool force, MonotonicTime now);
  void JudgeAllHeld(MonotonicTime now);
  Verdict Judge(Seat& seat, int64_t message, bool force, MonotonicTime now);
  Verdict JudgeNew(Seat& seat, int64_t message, bool force);
  void JudgeKnown(Seat& seat, int64_t message, MonotonicTime now);
  bool InDoubt(const Seat& seat) const;
  bool OutvotesWriter(const Seat& seat, int64_t message) const;
  void EvictWriter();
  void SkipTo(Seat& seat, int64_t position, int64_t got);
  void CountMissing(const Seat& seat, int64_t sent, MonotonicTime now);
  std::string Describe(int64_t message) const;
  std::string Where(const Seat& seat, int64_t position) const;

  const ChatLoadOptions& options_;
  const int room_;
  ErrorTally& errors_;
  std::vector<Seat> seats_;
  std::vector<int64_t> order_;
  std::vector<int64_t> next_;  // Of each seat's messages: those before this one are in the order.
  Seat* writer_ = nullptr;     // It alone has written what is from `confirmed_` on.
  int64_t confirmed_ = 0;
  int64_t received_ = 0;  // Of all seats taken.
  int64_t held_ = 0;
  int taken_ = 0;
  bool clean_ = true;
};

// Counts an error if two logs of a room, of different threads, differ in their order. Of logs that
// are not clean it is known already what is wrong.
void CompareLogs(const ChatLoadOptions& options, const RoomLog& log, const RoomLog& other,
                 MonotonicTime now, ErrorTally& errors);

}  // namespace millrace

#endif  // MILLRACE_EXAMPLES_CHAT_LOAD_ROOM_LOG_H_
