// SPDX-License-Identifier: Apache-2.0
//
// What is to be done on a loop is a list of steps: join, leave, run, message. All lists of a group
// are under its one mutex, so that their steps have one order. A loop takes its list when the post
// tells it to, and works it off on its own, with no lock held.

#include "net/broadcast_group.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/counters.h"
#include "base/slot_map.h"
#include "base/thread_role.h"
#include "net/close_reason.h"
#include "net/event_loop.h"
#include "net/tcp_connection.h"

namespace millrace {
namespace {

// One step. A message concerns all members of the loop, the others one of them, by its slot.
struct Step {
  enum class Kind : uint8_t { kJoin, kLeave, kRun, kMessage };
  Kind kind = Kind::kMessage;
  uint32_t slot = 0;
  Token member = {};
  absl::Cord payload = {};
  std::unique_ptr<ConnectionWork> work = nullptr;
  uint64_t bytes = sizeof(Step);  // What it takes while it waits.

  bool is_message() const { return kind == Kind::kMessage; }
};

// Steps with nobody's bytes in them, kept for the next time: 32 KiB for each loop, at most.
constexpr size_t kStepsKeptMax = 512;

}  // namespace

// What a group has on one loop.
struct BroadcastGroup::Part {
  explicit Part(LoopRef its_loop) : loop(std::move(its_loop)) {}

  const LoopRef loop;

  // Under the group's mutex.
  std::vector<Step> inbox;
  uint64_t pending_bytes = 0;  // Of all steps not yet done.
  bool posted = false;         // The loop will come and look.
  bool gone = false;           // The loop has stopped.
  uint32_t member_count = 0;
  uint32_t slots = 0;  // In use or free.
  std::vector<uint32_t> free_slots;

  // The loop's own.
  std::vector<Step> taken;
  size_t next_step = 0;        // Of those.
  std::vector<Token> members;  // By slot; the null token where nobody is.
  uint32_t present = 0;        // Of those.
  Counter delivered, skipped, aborted;
};

class BroadcastGroup::Core final : public RefCounted<Core> {
 public:
  explicit Core(const Options& options)
      : options_(options),
        bytes_per_turn_(std::clamp<uint64_t>(options.member_output_bytes_max / 4, 1,
                                             kBroadcastBytesPerTurnMax)) {}

  Membership Join(const ConnectionHandle& member) ABSL_LOCKS_EXCLUDED(mutex_);
  void Leave(Part& part, uint32_t slot) ABSL_LOCKS_EXCLUDED(mutex_);
  bool Run(Part& part, uint32_t slot, ConnectionWork work) ABSL_LOCKS_EXCLUDED(mutex_);
  bool Send(const absl::Cord& payload) ABSL_LOCKS_EXCLUDED(mutex_);
  Stats stats() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Steps = absl::Span<const Step>;

  Part& PartOn(const LoopRef& loop) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRoom(const Part& part, uint64_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Add(Part& part, Step&& step) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PostWork(Part& part) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Work(Part& part) LOOP_ONLY ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t WorkOff(Part& part) LOOP_ONLY;
  static Steps NextMessages(const Part& part, uint64_t bytes);
  static void DoForOne(Part& part, Step& step) LOOP_ONLY;
  static void RunFor(Token member, ConnectionWork& work) LOOP_ONLY;
  static TcpConnection* Find(Token member) LOOP_ONLY;
  static absl::Cord SideBySide(Steps messages);
  void Deliver(Part& part, Steps messages) LOOP_ONLY;
  void DeliverTo(TcpConnection& conn, Part& part, Steps messages, const absl::Cord& all) LOOP_ONLY;
  void DeliverWhatFits(TcpConnection& conn, Part& part, Steps messages) LOOP_ONLY;
  uint64_t RoomFor(TcpConnection& conn) const LOOP_ONLY;

  const Options options_;
  // What a member is given before it has had a chance to take it: whether it is slow shows only
  // when the turn's output was written, so this must be well below what makes it slow.
  const uint64_t bytes_per_turn_;

  mutable absl::Mutex mutex_;
  absl::InlinedVector<std::unique_ptr<Part>, 8> parts_ ABSL_GUARDED_BY(mutex_);
  int64_t sent_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;
};

// --- Any thread ---

BroadcastGroup::Part& BroadcastGroup::Core::PartOn(const LoopRef& loop) {
  for (const std::unique_ptr<Part>& part : parts_) {
    if (part->loop == loop) return *part;
  }
  return *parts_.emplace_back(std::make_unique<Part>(loop));
}

bool BroadcastGroup::Core::HasRoom(const Part& part, uint64_t bytes) const {
  return bytes <=
         options_.pending_bytes_max - std::min(part.pending_bytes, options_.pending_bytes_max);
}

// What it does not take is left to the caller, to be destroyed without the mutex: it may hold
// anything.
bool BroadcastGroup::Core::Add(Part& part, Step&& step) {
  if (part.gone) return false;
  part.pending_bytes += step.bytes;
  part.inbox.push_back(std::move(step));
  if (!part.posted) PostWork(part);
  return !part.gone;
}

// With the mutex held: what a thread then posts to a member must come behind it. Past the mailbox's
// bound: pending_bytes_max is ours, and there is at most one post on its way.
void BroadcastGroup::Core::PostWork(Part& part) {
  part.posted = part.loop.PostAlways([self = Ref<Core>(this), &part] {
    AssertOnLoop();
    self->Work(part);
  });
  if (part.posted) return;
  part.gone = true;  // What it should have done goes with the group.
  part.member_count = 0;
}

BroadcastGroup::Membership BroadcastGroup::Core::Join(const ConnectionHandle& member) {
  absl::MutexLock lock(&mutex_);
  Part& part = PartOn(member.loop());
  if (!HasRoom(part, sizeof(Step))) return {};
  const bool recycles = !part.free_slots.empty();
  const uint32_t slot = recycles ? part.free_slots.back() : part.slots;
  if (!Add(part, {.kind = Step::Kind::kJoin, .slot = slot, .member = member.token()})) return {};
  recycles ? part.free_slots.pop_back() : void(++part.slots);
  ++part.member_count;
  return Membership(Ref<Core>(this), &part, slot);
}

// The slot may be given away at once: the step that fills it again comes behind this one.
void BroadcastGroup::Core::Leave(Part& part, uint32_t slot) {
  absl::MutexLock lock(&mutex_);
  if (!Add(part, {.kind = Step::Kind::kLeave, .slot = slot})) return;
  part.free_slots.push_back(slot);
  if (--part.member_count > 0) return;
  part.slots = 0;
  part.free_slots = {};
}

bool BroadcastGroup::Core::Run(Part& part, uint32_t slot, ConnectionWork work) {
  Step step = {.kind = Step::Kind::kRun, .slot = slot};
  step.work = std::make_unique<ConnectionWork>(std::move(work));
  absl::MutexLock lock(&mutex_);
  return Add(part, std::move(step));
}

bool BroadcastGroup::Core::Send(const absl::Cord& payload) {
  const uint64_t bytes = sizeof(Step) + payload.EstimatedMemoryUsage();
  absl::MutexLock lock(&mutex_);
  bool taken = payload.size() <= options_.member_output_bytes_max;
  for (const std::unique_ptr<Part>& part : parts_) {
    if (part->member_count > 0 && !HasRoom(*part, bytes)) taken = false;
  }
  ++(taken ? sent_ : refused_);
  if (!taken || payload.empty()) return taken;
  for (const std::unique_ptr<Part>& part : parts_) {
    if (part->member_count > 0) Add(*part, {.payload = payload, .bytes = bytes});
  }
  return true;
}

BroadcastGroup::Stats BroadcastGroup::Core::stats() const {
  absl::MutexLock lock(&mutex_);
  Stats stats = {.sent = sent_, .refused = refused_};
  for (const std::unique_ptr<Part>& part : parts_) {
    stats.members += part->member_count;
    stats.delivered += static_cast<int64_t>(part->delivered.value());
    stats.skipped += static_cast<int64_t>(part->skipped.value());
    stats.aborted += static_cast<int64_t>(part->aborted.value());
  }
  return stats;
}

// --- On a loop ---

void BroadcastGroup::Core::Work(Part& part) {
  if (part.taken.empty()) {
    absl::MutexLock lock(&mutex_);
    part.taken.swap(part.inbox);
  }
  const uint64_t bytes = WorkOff(part);
  const bool done = part.next_step == part.taken.size();
  if (done) {
    part.taken.clear();
    if (part.taken.capacity() > kStepsKeptMax) part.taken.shrink_to_fit();
    part.next_step = 0;
  }
  absl::MutexLock lock(&mutex_);
  part.pending_bytes -= bytes;
  part.posted = false;
  if (!done || !part.inbox.empty()) PostWork(part);
}

// Does steps until there are no more, or as many bytes went as a turn may have. Returns what the
// steps took.
uint64_t BroadcastGroup::Core::WorkOff(Part& part) {
  uint64_t done = 0, delivered = 0;
  while (part.next_step < part.taken.size() && delivered < bytes_per_turn_) {
    size_t count = 1;
    const Steps messages = NextMessages(part, bytes_per_turn_ - delivered);
    if (messages.empty()) {
      DoForOne(part, part.taken[part.next_step]);
    } else {
      count = messages.size();
      Deliver(part, messages);
    }
    for (; count > 0; --count) {
      Step& step = part.taken[part.next_step++];
      delivered += step.payload.size();
      done += step.bytes;
      step.payload.Clear();  // The list stays until its end; what was in it need not.
    }
  }
  return done;
}

// The messages that come next, up to a join or a leave; as many as it takes to reach `bytes`.
BroadcastGroup::Core::Steps BroadcastGroup::Core::NextMessages(const Part& part, uint64_t bytes) {
  size_t end = part.next_step;
  for (uint64_t sum = 0; end < part.taken.size() && sum < bytes; ++end) {
    if (!part.taken[end].is_message()) break;
    sum += part.taken[end].payload.size();
  }
  return absl::MakeConstSpan(part.taken).subspan(part.next_step, end - part.next_step);
}

void BroadcastGroup::Core::DoForOne(Part& part, Step& step) {
  switch (step.kind) {
    case Step::Kind::kJoin:
      if (part.members.size() <= step.slot) part.members.resize(step.slot + 1);
      part.members[step.slot] = step.member;
      ++part.present;
      return;
    case Step::Kind::kLeave:
      part.members[step.slot] = Token();
      if (--part.present == 0) part.members = {};  // As Leave() did with the slots.
      return;
    case Step::Kind::kRun:
      RunFor(part.members[step.slot], *step.work);
      step.work.reset();
      return;
    case Step::Kind::kMessage:
      return;
  }
}

void BroadcastGroup::Core::RunFor(Token member, ConnectionWork& work) {
  if (TcpConnection* conn = Find(member)) std::move(work)(*conn);
}

// One view of them all: in one piece, if it is small enough to be copied once for that.
absl::Cord BroadcastGroup::Core::SideBySide(Steps messages) {
  absl::Cord all = messages.front().payload;
  for (const Step& message : messages.subspan(1)) all.Append(message.payload);
  if (all.size() <= kBroadcastJoinedBytesMax) all.Flatten();
  return all;
}

void BroadcastGroup::Core::Deliver(Part& part, Steps messages) {
  const absl::Cord all = SideBySide(messages);
  for (const Token member : part.members) {
    if (TcpConnection* conn = Find(member)) DeliverTo(*conn, part, messages, all);
  }
}

// Null if it has ended. Only connections give out their tokens as handles, so what is found is one.
TcpConnection* BroadcastGroup::Core::Find(Token member) {
  return static_cast<TcpConnection*>(EventLoop::Current()->Find(member));
}

void BroadcastGroup::Core::DeliverTo(TcpConnection& conn, Part& part, Steps messages,
                                     const absl::Cord& all) {
  if (!conn.open()) return;
  if (all.size() <= RoomFor(conn)) {
    conn.Send(all);
    part.delivered.Add(messages.size());
  } else if (options_.slow_member == SlowMember::kSkip) {
    DeliverWhatFits(conn, part, messages);
  } else {
    part.aborted.Increment();
    conn.Abort(absl::ResourceExhaustedError(absl::StrFormat(
                   "slow consumer: %d bytes wait, and %d more would pass %d", conn.output_bytes(),
                   all.size(), options_.member_output_bytes_max)),
               CloseCause::kSlowConsumer);
  }
}

void BroadcastGroup::Core::DeliverWhatFits(TcpConnection& conn, Part& part, Steps messages) {
  for (const Step& message : messages) {
    const bool fits = message.payload.size() <= RoomFor(conn);
    if (fits) conn.Send(message.payload);
    (fits ? part.delivered : part.skipped).Increment();
  }
}

uint64_t BroadcastGroup::Core::RoomFor(TcpConnection& conn) const {
  const uint64_t max = options_.member_output_bytes_max;
  return max - std::min(max, conn.output_bytes());
}

// --- What users hold ---

BroadcastGroup::Membership::Membership() = default;

BroadcastGroup::Membership::Membership(Ref<Core> core, Part* part, uint32_t slot)
    : core_(std::move(core)), part_(part), slot_(slot) {}

BroadcastGroup::Membership::Membership(Membership&& other) noexcept
    : core_(std::move(other.core_)),
      part_(std::exchange(other.part_, nullptr)),
      slot_(other.slot_) {}

BroadcastGroup::Membership& BroadcastGroup::Membership::operator=(Membership&& other) noexcept {
  Membership taken(std::move(other));  // First, for `other` may be this one.
  Leave();
  core_ = std::move(taken.core_);
  part_ = std::exchange(taken.part_, nullptr);
  slot_ = taken.slot_;
  return *this;
}

BroadcastGroup::Membership::~Membership() { Leave(); }

void BroadcastGroup::Membership::Leave() {
  if (part_ != nullptr) core_->Leave(*std::exchange(part_, nullptr), slot_);
  core_ = Ref<Core>();
}

bool BroadcastGroup::Membership::Run(ConnectionWork work) const {
  return part_ != nullptr && core_->Run(*part_, slot_, std::move(work));
}

BroadcastGroup::BroadcastGroup(const Options& options) : core_(new Core(options)) {}

BroadcastGroup::~BroadcastGroup() = default;

BroadcastGroup::Membership BroadcastGroup::Join(const ConnectionHandle& member) {
  return core_->Join(member);
}

bool BroadcastGroup::Send(const absl::Cord& payload) { return core_->Send(payload); }

BroadcastGroup::Stats BroadcastGroup::stats() const { return core_->stats(); }

}  // namespace millrace
