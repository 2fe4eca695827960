// SPDX-License-Identifier: Apache-2.0
//
// What is under way between the sockets of a SimNetwork, and what its arrival does.
#include <errno.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "net/sim/sim_network.h"

namespace millrace {
namespace {

// By Event::Kind.
constexpr std::array<absl::string_view, 8> kArrivals = {
    "hears of a client", "is connected",     "is refused",          "receives",
    "hears the end",     "hears of a reset", "knows to be read of", "has waited too long"};

}  // namespace

void SimNetwork::Schedule(Event::Kind kind, MonotonicTime at, Id to, Id from, std::string bytes,
                          size_t count) {
  events_.push_back({at, events_so_far_++, kind, to, from, std::move(bytes), count});
  std::push_heap(events_.begin(), events_.end(),
                 [](const Event& a, const Event& b) { return a.IsAfter(b); });
}

MonotonicTime SimNetwork::NextEvent() const {
  return events_.empty() ? MonotonicTime::InfiniteFuture() : events_.front().at;
}

bool SimNetwork::DeliverDue() {
  bool any = false;
  while (NextEvent() <= clock_.Now()) {
    std::pop_heap(events_.begin(), events_.end(),
                  [](const Event& a, const Event& b) { return a.IsAfter(b); });
    Event event = std::move(events_.back());
    events_.pop_back();
    Deliver(std::move(event));
    any = true;
  }
  return any;
}

absl::Duration SimNetwork::Delay() {
  return faults_.delay_min + (faults_.delay_max - faults_.delay_min) * random_.Unit();
}

void SimNetwork::SendSegment(SimSocket& from, std::string bytes) {
  if (from.fd >= 0 && Happens(&SimFaults::lost)) Lose(from.fd);
  if (from.lost) return;
  from.last_arrival = std::max(from.last_arrival, clock_.Now() + Delay());
  if (Happens(&SimFaults::reset)) {
    NoteOf(from, "meets a line that resets");
    Schedule(Event::kReset, from.last_arrival, from.other, 0);
    Schedule(Event::kReset, clock_.Now() + Delay(), from.id, 0);
  }
  Schedule(Event::kBytes, from.last_arrival, from.other, from.id, std::move(bytes));
}

void SimNetwork::SendEnd(SimSocket& from) {
  from.write_ended = true;
  NoteOf(from, "ends its output");
  if (from.lost) return;
  from.last_arrival = std::max(from.last_arrival, clock_.Now() + Delay());
  Schedule(Event::kEnd, from.last_arrival, from.other, from.id);
}

// It may overtake what is under way, which is lost then.
void SimNetwork::SendReset(Id from, Id to, MonotonicTime not_after) {
  const SimSocket* const socket = FindId(from);
  if (socket != nullptr && socket->lost) return;
  MonotonicTime at = clock_.Now() + Delay();
  if (not_after > at && not_after < MonotonicTime::InfiniteFuture()) {
    at = at + (not_after - at) * random_.Unit();
  }
  Mix("reset", from, to);
  if (socket != nullptr) NoteOf(*socket, "resets");
  Schedule(Event::kReset, at, to, from);
}

void SimNetwork::Lose(int fd) {
  SimSocket* const socket = Find(fd);
  if (socket == nullptr) return;
  NoteOf(*socket, "is cut off");
  socket->lost = true;
  if (SimSocket* const other = FindId(socket->other)) other->lost = true;
}

void SimNetwork::Deliver(Event event) {
  SimSocket* const to = FindId(event.to);
  if (to != nullptr && to->lost && event.kind != Event::kTimedOut) return;
  if (event.kind == Event::kTimedOut && (to == nullptr || to->state != State::kConnecting)) return;
  if (to != nullptr) {
    const size_t bytes = event.bytes.size() + event.count;
    bytes > 0 ? NoteOf(*to, kArrivals[event.kind], bytes, " bytes")
              : NoteOf(*to, kArrivals[event.kind]);
  } else {
    Mix("arrives where nobody is", event.to, event.kind);
  }
  switch (event.kind) {
    case Event::kSyn:
      return DeliverSyn(event);
    case Event::kBytes:
      return DeliverBytes(to, event);
    case Event::kConnected:
      if (to != nullptr) Connected(*to);
      return;
    case Event::kRefused:
    case Event::kTimedOut:
      if (to == nullptr || to->state != State::kConnecting) return;
      to->error = event.kind == Event::kRefused ? ECONNREFUSED : ETIMEDOUT;
      to->state = State::kReset;
      return;
    case Event::kEnd:
      return DeliverEnd(to);
    case Event::kReset:
      if (to != nullptr) BreakConnection(*to);
      return;
    case Event::kAck:
      if (to != nullptr) to->under_way -= std::min(to->under_way, event.count);
      return;
  }
}

// A queue that is full has no answer; the client asks again.
void SimNetwork::DeliverSyn(const Event& event) {
  SimSocket* const client = FindId(event.from);
  if (client == nullptr || client->lost || client->state != State::kConnecting) return;
  SimSocket* const listener = FindListener(client->peer);
  if (listener == nullptr) {
    return Schedule(Event::kRefused, clock_.Now() + Delay(), client->id, 0);
  }
  if (listener->waiting.size() > listener->backlog) {
    return Schedule(Event::kSyn, clock_.Now() + absl::Seconds(1), 0, client->id);
  }
  const Id listener_id = listener->id;
  const Id accepted = Establish(*client).id;  // Which moves the sockets' table, and not them.
  FindId(listener_id)->waiting.push_back(accepted);
  Schedule(Event::kConnected, clock_.Now() + Delay(), client->id, accepted);
}

SimNetwork::SimSocket& SimNetwork::Establish(SimSocket& client) {
  SimSocket& server = Make(State::kOpen, client.peer.family());
  server.local = client.peer;
  server.peer = client.local;
  server.other = client.id;
  client.other = server.id;
  return server;
}

// What comes for a socket that was closed is answered by a reset.
void SimNetwork::DeliverBytes(SimSocket* to, Event& event) {
  if (to == nullptr) {
    SendReset(event.to, event.from, MonotonicTime::InfiniteFuture());
    return;
  }
  Connected(*to);
  if (to->state == State::kOpen) to->received += event.bytes;
}

void SimNetwork::DeliverEnd(SimSocket* to) {
  if (to == nullptr) return;
  Connected(*to);
  if (to->state == State::kOpen) to->end_received = true;
}

// What the server sends may be there before its answer to the client's attempt: then it is the
// answer.
void SimNetwork::Connected(SimSocket& client) {
  if (client.state == State::kConnecting) client.state = State::kOpen;
}

void SimNetwork::BreakConnection(SimSocket& socket) {
  if (socket.state != State::kOpen && socket.state != State::kConnecting) return;
  socket.error = socket.end_received ? EPIPE : ECONNRESET;
  if (socket.end_received && socket.write_ended) socket.error = 0;
  socket.state = State::kReset;
}

}  // namespace millrace
