// SPDX-License-Identifier: Apache-2.0
#include "net/acceptor_group.h"

#include <utility>

#include "absl/log/log.h"
#include "base/status_macros.h"

namespace millrace {

AcceptorGroup::AcceptorGroup(EventLoop& loop, Admission& admission, AcceptCounters& counters,
                             OnRoom on_room)
    : loop_(loop),
      admission_(admission),
      counters_(counters),
      on_room_(std::move(on_room)),
      rate_timer_(loop.timers(), [this] {
        AssertOnLoop();
        for (const std::unique_ptr<Door>& door : doors_) {
          if (door->hold == Hold::kRate) Reconsider(*door);
        }
      }) {}

absl::Status AcceptorGroup::Add(Socket listener, SocketFile file, uint16_t number,
                                Acceptor::OnAccept on_admitted) {
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<Acceptor> acceptor,
                            Acceptor::Adopt(
                                loop_, std::move(listener),
                                [this, number, on_admitted = std::move(on_admitted)](
                                    Socket socket, const SocketAddress& peer) mutable {
                                  AssertOnLoop();
                                  if (Admit(socket, peer, number))
                                    on_admitted(std::move(socket), peer);
                                },
                                &counters_, std::move(file)));
  doors_.push_back(std::make_unique<Door>(Door{std::move(acceptor), number}));
  Door& door = *doors_.back();
  door.acceptor->set_may_accept([this, &door] {
    AssertOnLoop();
    return MayAccept(door);
  });
  door.acceptor->set_on_failed([this, &door](const absl::Status& why) {
    if (on_failed_) on_failed_(door.acceptor->address(), why);
  });
  return absl::OkStatus();
}

// Asked before each accept(2): what is not taken waits in the backlog, and nobody need be refused.
bool AcceptorGroup::MayAccept(Door& door) {
  const Hold hold = admission_.HoldsBack(door.number, loop_.now());
  if (hold == Hold::kNone) return true;
  Close(door, hold);
  return false;
}

void AcceptorGroup::Close(Door& door, Hold hold) {
  if (hold != door.hold) CountAndLog(hold, door.acceptor->address());
  door.hold = hold;
  door.acceptor->Pause();
  if (hold == Hold::kRate && !rate_timer_.armed()) {
    rate_timer_.ArmAt(admission_.RateHoldEnd(loop_.now()));
  }
}

// Those on other loops may have been faster, or there is another reason by now.
void AcceptorGroup::Reconsider(Door& door) {
  const Hold hold = admission_.HoldsBack(door.number, loop_.now());
  if (hold != Hold::kNone) return Close(door, hold);
  door.hold = Hold::kNone;
  door.acceptor->Resume();
}

void AcceptorGroup::Resume(Admission::Room room) {
  for (const std::unique_ptr<Door>& door : doors_) {
    const bool has_waited =
        (door->hold == Hold::kFull && room.at_server) ||
        (door->hold == Hold::kListenerFull && room.at_listener && door->number == room.listener);
    if (has_waited) Reconsider(*door);
  }
}

// One of them may be on the stack, accepting: that one must not be destroyed yet.
void AcceptorGroup::StopListening() {
  rate_timer_.Cancel();
  for (const std::unique_ptr<Door>& door : doors_) {
    door->acceptor->StopListening();
    loop_.DestroyLater(std::move(door->acceptor));
  }
  doors_.clear();
}

// False if it was refused: then it is reset, so that the peer knows, and the kernel keeps nothing.
bool AcceptorGroup::Admit(Socket& socket, const SocketAddress& peer, uint16_t number) {
  const Admission::Entry entry = admission_.Enter(peer, number, loop_.now());
  if (entry.refusal == Admission::Refusal::kNone) return true;
  CountAndLog(entry.refusal, peer);
  socket.ResetOnClose();
  socket = Socket();
  if (entry.room.any()) on_room_(entry.room);
  return false;
}

// A line for each cause, so that a flood of one does not hide another.
void AcceptorGroup::CountAndLog(Admission::Refusal refusal, const SocketAddress& peer) {
  switch (refusal) {
    case Admission::Refusal::kNone:
      return;
    case Admission::Refusal::kDenied:
      counters_.refused_denied.Increment();
      LOG_EVERY_N_SEC(WARNING, 5) << "connection of " << peer
                                  << " refused: " << admission_.Explain(refusal, peer) << " ("
                                  << counters_.refused_denied.value() << " so far on this loop)";
      return;
    case Admission::Refusal::kPeerFull:
      counters_.refused_peer_full.Increment();
      LOG_EVERY_N_SEC(WARNING, 5) << "connection of " << peer
                                  << " refused: " << admission_.Explain(refusal, peer) << " ("
                                  << counters_.refused_peer_full.value() << " so far on this loop)";
      return;
    case Admission::Refusal::kFull:
      counters_.refused_full.Increment();
      LOG_EVERY_N_SEC(WARNING, 5) << "connection of " << peer
                                  << " refused: " << admission_.Explain(refusal, peer);
      return;
  }
}

void AcceptorGroup::CountAndLog(Hold hold, const SocketAddress& address) {
  switch (hold) {
    case Hold::kNone:
    case Hold::kEnding:
      return;
    case Hold::kFull:
      counters_.pauses_full.Increment();
      LOG_EVERY_N_SEC(WARNING, 5) << "accept at " << address
                                  << " pauses: " << admission_.Explain(hold);
      return;
    case Hold::kListenerFull:
      counters_.pauses_listener_full.Increment();
      LOG_EVERY_N_SEC(WARNING, 5) << "accept at " << address
                                  << " pauses: " << admission_.Explain(hold);
      return;
    case Hold::kRate:
      counters_.pauses_rate.Increment();
      LOG_EVERY_N_SEC(WARNING, 5) << "accept at " << address
                                  << " pauses: " << admission_.Explain(hold);
      return;
  }
}

}  // namespace millrace
