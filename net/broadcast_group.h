// SPDX-License-Identifier: Apache-2.0
//
// BroadcastGroup sends the same bytes to many connections, on any loops: a chat room, a feed. All
// of it is for any thread. Destroying it drops nobody: what was sent arrives, and members stay
// open.
//
//   class Guest : public ConnectionHandler {
//     void OnOpen(TcpConnection& conn) override { membership_ = room_.Join(conn.handle()); }
//     void OnData(TcpConnection&, Buffer& input) override {
//       room_.Send(absl::Cord(input.ReadString(input.size())));     // To all guests, oneself too.
//     }
//     BroadcastGroup& room_;
//     BroadcastGroup::Membership membership_;                       // Its end is the leave.
//   };
//
// Joins, leaves and messages are in one order, the same for all loops: a member gets just the
// messages between its join and its leave, each once, and all members get them in that order. The
// bytes of a message are not copied for each member: all of them, on all loops, share the payload.
// A loop is woken once for the messages that came since it last looked, and what came together goes
// to each member in one write.
//
// A member that does not keep up costs the others nothing: once more than member_output_bytes_max
// would wait for it, it is aborted, or goes without.

#ifndef MILLRACE_NET_BROADCAST_GROUP_H_
#define MILLRACE_NET_BROADCAST_GROUP_H_

#include <cstdint>

#include "absl/strings/cord.h"
#include "base/ref.h"
#include "net/connection_handle.h"
#include "net/limits.h"

namespace millrace {

class BroadcastGroup {
 private:
  class Core;
  struct Part;

 public:
  // What becomes of a member for which too much waits.
  enum class SlowMember {
    kAbort,  // ResourceExhausted("slow consumer: ..."): for streams in which nothing may be
             // missing.
    kSkip,   // Goes without the messages that do not fit: for news that the next one replaces.
  };

  struct Options {
    SlowMember slow_member = SlowMember::kAbort;
    // Bytes that may wait to be written to a member, whoever sent them. No message may be larger.
    uint64_t member_output_bytes_max = kBroadcastMemberOutputBytesMax;
    // Bytes of messages that may wait for one loop to take them, with what keeps them.
    uint64_t pending_bytes_max = kBroadcastPendingBytesMax;
  };

  // Membership is one connection's place in a group. Move-only; destroying it leaves. It may
  // outlive the group. Any thread, one at a time.
  class Membership {
   public:
    Membership();  // Of no group.
    Membership(Membership&& other) noexcept;
    Membership& operator=(Membership&& other) noexcept;
    ~Membership();

    // False: of no group, or the join was refused.
    bool active() const { return part_ != nullptr; }
    // The member gets what was sent before this, and nothing sent after. Again: does nothing.
    void Leave();
    // Runs `work` on the connection's loop, behind all that was sent before and ahead of all that
    // is sent after. Skipped if the connection has ended. False if this is not active, or the loop
    // has stopped. It is taken however far the loop is behind: who calls it from what a peer sends
    // should read no more until it ran.
    bool Run(ConnectionWork work) const;

   private:
    friend Core;
    Membership(Ref<Core> core, Part* part, uint32_t slot);

    Ref<Core> core_;
    Part* part_ = nullptr;
    uint32_t slot_ = 0;
  };

  BroadcastGroup() : BroadcastGroup(Options()) {}
  explicit BroadcastGroup(const Options& options);
  BroadcastGroup(const BroadcastGroup&) = delete;
  BroadcastGroup& operator=(const BroadcastGroup&) = delete;
  ~BroadcastGroup();

  // A connection that joins twice is two members. One that has ended may stay a member until it
  // leaves: it costs 8 bytes. Refused, which gives a membership that is not active, if its loop has
  // stopped or is behind by more than pending_bytes_max.
  Membership Join(const ConnectionHandle& member);

  // Sends `payload` to all who are members now. False: to none of them, for it is larger than
  // member_output_bytes_max, or a loop is behind by pending_bytes_max; that is counted. Nobody to
  // send to is no failure. What this thread posts to a member afterwards, as by a ConnectionHandle,
  // comes behind it, but for a loop that is behind by more than a turn delivers; what it posted
  // before may be overtaken. See Membership::Run() for what must be in order.
  bool Send(const absl::Cord& payload);

  struct Stats {
    int64_t members = 0;
    int64_t sent = 0, refused = 0;  // Messages: those that Send() took, and those it did not.
    int64_t delivered = 0;          // A message for a member, handed to its connection.
    int64_t skipped = 0;            // The same, but it did not fit (kSkip).
    int64_t aborted = 0;            // Members, as slow (kAbort).
  };
  // So far. Figures of one moment for each loop only.
  Stats stats() const;

 private:
  const Ref<Core> core_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_BROADCAST_GROUP_H_
