// SPDX-License-Identifier: Apache-2.0
//
// Bounds of the core, and the defaults of those that users may change in a limits or options
// struct: with its unit in its name, and its reason beside it. docs/limits.md lists all. Constants;
// any thread.
//
//   for (int i = 0; i < kAcceptsPerTurnMax; ++i) ...

#ifndef MILLRACE_NET_LIMITS_H_
#define MILLRACE_NET_LIMITS_H_

#include <cstddef>

#include "absl/time/time.h"

namespace millrace {

// Events that one wait brings at most. More come with the next turn, after timers and posts had
// theirs; 512 keeps the array of them (12 bytes each) in the first-level cache.
inline constexpr int kEventsPerTurnMax = 512;

// How long a loop may ask for more work before it sleeps, at most. Longer than it takes to be woken
// a few hundred times, it would only burn the core.
inline constexpr absl::Duration kBusyPollMax = absl::Milliseconds(10);

// Connections that one listener accepts in a turn. A storm of them thus cannot starve those that
// are open; at 64 a turn the cost of waking is spread thin enough.
inline constexpr int kAcceptsPerTurnMax = 64;

// Connections that the kernel keeps for us until we accept them. It cuts this down to
// net.core.somaxconn, 4,096 since Linux 5.4.
inline constexpr int kListenBacklog = 4096;

// Listeners of one server: connections keep their number in two bytes.
inline constexpr int kServerListenersMax = 65'536;

// At a cap accepting pauses until this part of the places is free, and one at least. At each single
// one it would stop and start thousands of times a second; with more, places would lie idle.
inline constexpr int kRoomToResumePart = 32;

// The part of all places that one peer of another machine may take, unless told otherwise: the
// crowd behind one address is served, and nobody can take all places alone.
inline constexpr int kPeerConnectionsPart = 2;

// How long listeners rest that are above the accept rate, unless that would cost more than half of
// the burst: they then wake ten times a second and not for each token.
inline constexpr absl::Duration kAcceptRateRest = absl::Milliseconds(100);

// How long a listener rests that found no descriptor or memory left. Ten tries a second cost
// nothing, and nobody waits long once there is room again.
inline constexpr absl::Duration kAcceptRetryDelay = absl::Milliseconds(100);
// Errors about one peer each, as accept(2) has it, that a listener takes for that. So many in a row
// are about us, whatever they say, as when a filter forbids the call: then it rests, too.
inline constexpr int kAcceptErrorsInARowMax = 64;

// Closures that may wait in a loop's mailbox. Far above any sane burst: it is there to turn a
// producer gone wild into refused posts and not into an exhausted machine.
inline constexpr size_t kPostsMax = size_t{1} << 20;
// Room for closures that a loop keeps, twice, for the next burst: 512 KiB. More goes back to the
// system, or one wild moment would cost each loop up to 64 MiB for ever.
inline constexpr size_t kPostsKeptMax = size_t{1} << 14;

// One receive buffer serves all connections of a loop, and a turn reads from a connection once, so
// this is also the most that a flooder gets of a turn. A quarter of a usual second-level cache:
// with 64 KiB large messages cost 1.7 times as much, with 1 MiB they fall out of the cache.
inline constexpr size_t kReceiveBufferBytes = size_t{256} << 10;

// Input that a handler may leave unread. A protocol with larger messages must raise it, knowingly.
inline constexpr size_t kInputBytesMax = size_t{1} << 20;

// Output that waits for a slow peer. Above the high mark we stop reading from it (it can hardly ask
// for more), below the low one we go on; past the maximum its connection is aborted.
inline constexpr size_t kOutputBytesLow = size_t{64} << 10;
inline constexpr size_t kOutputBytesHigh = size_t{256} << 10;
inline constexpr size_t kOutputBytesMax = size_t{16} << 20;

// Output is copied into blocks of this size, with their header in it. A page: a small reply wastes
// little, and a large one needs few.
inline constexpr size_t kOutputBlockBytes = 4096;
// Free blocks that a loop keeps for next time: 256 KiB.
inline constexpr size_t kOutputBlocksKeptMax = 64;
// Strings from this size on are taken over and not copied: below, copying costs less than a node.
inline constexpr size_t kOutputTakeOverBytes = 1024;
// Pieces of one gathering write; past a few dozen, the call's fixed cost is spread thin enough.
inline constexpr int kOutputPiecesPerWriteMax = 64;
// Bytes that one write is given. To a peer as fast as we are, sendfile(2) and large strings would
// otherwise go on to their end in one call, and nobody else on the loop would have a turn
// meanwhile.
inline constexpr size_t kOutputBytesPerWriteMax = size_t{1} << 20;
// Gathering writes of one connection in a row, before the others have theirs.
inline constexpr int kWritesPerTurnMax = 16;

// Output that may wait for a member of a broadcast group, before it counts as slow. Far below
// kOutputBytesMax, for there are thousands of members, and what one cannot take others can.
inline constexpr size_t kBroadcastMemberOutputBytesMax = size_t{1} << 20;
// Messages of a group that may wait for one loop, before senders are refused. A loop that stalls
// for a second is behind by this at 16 MiB/s.
inline constexpr size_t kBroadcastPendingBytesMax = size_t{16} << 20;
// Bytes that a group gives each of its members in a turn; then what waits is written, and the rest
// of the loop has its turn.
inline constexpr size_t kBroadcastBytesPerTurnMax = size_t{256} << 10;
// Messages that go out together are put side by side up to so many bytes, which is copied once for
// a loop and saves a piece of output for each message and member.
inline constexpr size_t kBroadcastJoinedBytesMax = size_t{64} << 10;

// Bytes that a connection held back by a rate limit waits for, lest it be woken for a few: three
// packets on Ethernet. So much at least comes to each member of a group in its turn.
inline constexpr size_t kRateQuantumBytes = 4096;
// A fast connection waits for what comes in this time, which is a hundred wake-ups a second; and
// none waits for more than what comes in the second one: a slow one, too, can use its burst for
// short messages, and notices soon that its peer is gone.
inline constexpr absl::Duration kRateQuantumTimeMin = absl::Milliseconds(10);
inline constexpr absl::Duration kRateQuantumTimeMax = absl::Milliseconds(100);
// What comes in this time may go at once after a rest, unless options say otherwise. Far above the
// millisecond by which timers are late, so that the rate is reached.
inline constexpr absl::Duration kRateBurstTime = absl::Milliseconds(100);

// A memory budget, in percent of the memory that the process may use. The rest is for handlers, for
// the kernel's own buffers of the same connections, and for others.
inline constexpr int kBudgetMemoryPercent = 50;
// Its marks, in percent of the budget: above the first, large holders stop being read, all of them
// when it is full; below the second they go on. A quarter is room for what is under way; between
// the marks nothing flaps.
inline constexpr int kBudgetStopPercent = 75;
inline constexpr int kBudgetResumePercent = 65;
// Who holds less is not worth stopping: one block of output.
inline constexpr size_t kBudgetHolderBytes = 4096;
// By so much may a loop's report be wrong: a few reads, so that loops do not fight for the sum.
inline constexpr size_t kBudgetReportBytes = size_t{64} << 10;
// Above the first mark a read brings no more than its part of what is left, if all events of a turn
// were reads; and this much in any case, or nobody would get on.
inline constexpr size_t kBudgetReadBytesMin = 4096;
// How often loops look at the sum while it is above the first mark.
inline constexpr absl::Duration kBudgetLookAgain = absl::Milliseconds(10);
// Holders that a loop lets go on at a time, lest all come back at once and fill it again.
inline constexpr int kBudgetResumesPerLook = 256;

// How long we wait for the peer's end after we sent ours, reading and dropping what still comes. To
// close at once would send a reset, which may destroy what the peer has not read yet.
inline constexpr absl::Duration kLingerTimeout = absl::Seconds(5);
// How long a transport may take to shake hands. TLS over a bad line needs a few seconds.
inline constexpr absl::Duration kHandshakeTimeout = absl::Seconds(10);
// Reads that a connection whose time is over does before it ends, as long as they bring something:
// a loop that stood still has not yet seen what came in time. With them all, 4 MiB.
inline constexpr int kLooksBeforeTimeoutMax = 16;
// How long output may wait without the peer taking a single byte.
inline constexpr absl::Duration kWriteTimeout = absl::Seconds(60);

// How long a message may take before its rate counts: a lost packet, or a bad line's pause, is no
// attack. The default of ProgressLimits.
inline constexpr absl::Duration kRateGrace = absl::Seconds(10);
// The most that ProgressLimits::bytes_per_second_min may ask for. No peer at a distance can promise
// more, and arithmetic stays exact.
inline constexpr size_t kMinimumRateMax = size_t{1} << 30;

// Things that a connection's flight recorder remembers, at 16 bytes each: the last few messages.
inline constexpr size_t kFlightEventsMax = 32;
// Connections that a report tells of for each loop. A hundred are formatted in a few milliseconds,
// in which the loop does nothing else, and make a few hundred KiB of text.
inline constexpr size_t kReportedConnectionsMax = 100;

// How long nothing may move on a connection in a drain before we end our half of it. Longer than
// most round trips and most answers take; who works longer pauses reading meanwhile.
inline constexpr absl::Duration kDrainIdle = absl::Seconds(1);
// How long a drain waits for those that go on. Supervisors usually kill after 10 to 90 seconds.
inline constexpr absl::Duration kDrainGrace = absl::Seconds(10);

// Connections of one server. Below the usual descriptor limit of a service (65,536) with some room.
inline constexpr int kConnectionsMax = 60'000;

// How long to wait for a connection to be made. A lost SYN is sent again after 1, 3 and 7 seconds.
inline constexpr absl::Duration kConnectTimeout = absl::Seconds(10);

// How long a turn may last before a StallWatchdog reports it. A person begins to notice a tenth of
// a second; turns that do what they should are a thousand times shorter.
inline constexpr absl::Duration kStallThreshold = absl::Milliseconds(100);
// The least that it may be: the watchdog looks four times as often, and would itself become a load.
inline constexpr absl::Duration kStallThresholdMin = absl::Milliseconds(4);
// How often it looks within that time. So a stall is noticed a quarter late at most.
inline constexpr int kStallChecksPerThreshold = 4;
// Between two reports about one loop. A loop that stalls all the time fills no disk, and each stack
// that is asked for costs its thread some 20 us more.
inline constexpr absl::Duration kStallReportInterval = absl::Minutes(1);
// How long the watchdog waits for the stalled thread to write down what it is doing. A thread that
// waits or computes does so in microseconds; it may only have no processor.
inline constexpr absl::Duration kStallAnswerTimeout = absl::Milliseconds(100);
// Calls in such a stack, the innermost. Coroutines and templates are deep, but the top tells.
inline constexpr int kStallFramesMax = 64;

// Listening sockets that a process inherits, or hands over to the next one. Far more than a server
// has, and far below what the kernel lets through in one message (253).
inline constexpr int kListenersMax = 64;
// The message that comes with them: a title, and for each a word and the longest address.
inline constexpr size_t kHandoverMessageBytesMax = size_t{8} << 10;
// How long whoever connects to take sockets over may say nothing. It has its first word ready.
inline constexpr absl::Duration kHandoverHelloTimeout = absl::Seconds(2);
// How long it may then take until it serves. Others who would take over wait meanwhile.
inline constexpr absl::Duration kHandoverReadyTimeout = absl::Seconds(30);
// How long a new process waits for an answer of the old one. That may be in a long turn, or wait
// for another one to get ready, which came first.
inline constexpr absl::Duration kHandoverAnswerTimeout = absl::Seconds(40);

static_assert(kStallThresholdMin <= kStallThreshold);
static_assert(kPostsKeptMax <= kPostsMax);
static_assert(kListenersMax * 128 <= kHandoverMessageBytesMax, "an address has 112 bytes at most");
static_assert(kOutputBytesLow < kOutputBytesHigh && kOutputBytesHigh < kOutputBytesMax);
static_assert(kBroadcastBytesPerTurnMax * 4 <= kBroadcastMemberOutputBytesMax,
              "a burst alone makes nobody slow");
static_assert(kBudgetReadBytesMin >= kBudgetHolderBytes,
              "what is read little by little can be stopped");
static_assert(kBudgetResumePercent < kBudgetStopPercent && kBudgetStopPercent < 100);
static_assert(kRateQuantumTimeMin < kRateBurstTime && kRateQuantumTimeMin < kRateQuantumTimeMax);
static_assert(kReceiveBufferBytes <= kInputBytesMax, "what one read brings must fit");
static_assert(kReceiveBufferBytes + kOutputBytesHigh < kOutputBytesMax,
              "an echo that stands at the high mark must survive one more read");

}  // namespace millrace

#endif  // MILLRACE_NET_LIMITS_H_
