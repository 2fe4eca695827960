// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/rude_peer.h"

#include <array>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "tests/sim/hosts.h"

namespace millrace {
namespace {

constexpr int kSteps = 40;  // Then it leaves, or does nothing more.
// Every five milliseconds or so: above each rate that is drawn for a server.
constexpr int kFloodsAtOnce = 8;
constexpr size_t kFloodBytes = 1'000;

}  // namespace

RudePeer::RudePeer(World& world, Kind kind, bool echo)
    : world_(world),
      kind_(kind),
      echo_(echo),
      timer_(world.sim().client().timers(), [this] { Step(); }) {
  world_.tally().Count(absl::StrCat("rude peers ", static_cast<int>(kind)));
  absl::StatusOr<Socket> socket = Socket::CreateFor(ServerHost::Address());
  if (!socket.ok()) return;
  socket_ = *std::move(socket);
  if (!Connect()) Close();
}

bool RudePeer::Connect() {
  if (!socket_.Connect(ServerHost::Address()).ok()) return false;
  auto watch = world_.sim().client().Watch(socket_.fd(), Io::kWrite, *this);
  if (!watch.ok()) return false;
  registration_ = *std::move(watch);
  return true;
}

void RudePeer::Close() {
  timer_.Cancel();
  registration_ = Registration();
  socket_ = Socket();
}

void RudePeer::OnIo(Io) {
  if (line_ == nullptr) return OnConnected();
  if (kind_ == Kind::kNeverReads || kind_ == Kind::kClosesUnread) return;
  ReadSome();
}

void RudePeer::OnConnected() {
  if (!socket_.TakeError().ok()) return Close();
  line_ = &world_.LineOf(socket_.LocalAddress().value(), echo_);
  line_->client.opened = true;
  if (kind_ == Kind::kEndsAtOnce) EndOutput();
  const bool reads = kind_ != Kind::kNeverReads && kind_ != Kind::kClosesUnread;
  if (!registration_.SetInterest(reads ? Io::kRead : Io::kNone).ok()) return Close();
  timer_.Arm(world_.Within(absl::Milliseconds(10)));
}

void RudePeer::Step() {
  if (kind_ == Kind::kFloods) return Flood();
  const bool moment = world_.Below(10) == 0;
  if (kind_ == Kind::kStopsHalfway && steps_ > 0) return;
  if (++steps_ > kSteps || (moment && kind_ >= Kind::kResets)) return Leave();
  if (!line_->client.left) SendSome(kind_ == Kind::kDribbles ? 1 : 1 + world_.Below(2'000));
  if (socket_.valid()) timer_.Arm(world_.Within(absl::Milliseconds(20)));
}

void RudePeer::Flood() {
  for (int i = 0; i < kFloodsAtOnce && socket_.valid(); ++i) SendSome(kFloodBytes);
  if (socket_.valid()) timer_.Arm(world_.Within(absl::Milliseconds(10)));
}

void RudePeer::Leave() {
  switch (kind_) {
    case Kind::kNeverReads:
    case Kind::kNeverEnds:
      return;
    case Kind::kVanishes:
      return world_.sim().network().Lose(socket_.fd());
    case Kind::kResets:
      socket_.ResetOnClose();
      return Close();
    case Kind::kDribbles:
      return EndOutput();
    default:
      return Close();
  }
}

void RudePeer::EndOutput() {
  line_->client.left = true;
  if (!socket_.ShutdownWrite().ok()) Close();
}

void RudePeer::SendSome(size_t bytes) {
  const std::string pattern = Pattern(line_->KeyOf(Side::kClient), line_->client.sent, bytes);
  const IoResult result = socket_.Write(pattern);
  if (!result.ok()) return Close();
  if (result.kind() == IoResult::kDone) line_->client.sent += result.bytes();
}

void RudePeer::ReadSome() {
  std::array<char, 1000> room;
  const IoResult result = socket_.Read(absl::MakeSpan(room));
  if (!result.ok()) return Close();
  Line::End& mine = line_->client;
  if (result.kind() == IoResult::kEnd) {
    world_.Expect(mine.received == line_->server.sent, "the end came before all bytes, to a peer");
    mine.heard_end = true;
    // Keeps its own end open, and hears no more.
    if (!registration_.SetInterest(Io::kNone).ok() || kind_ != Kind::kNeverEnds) Close();
    return;
  }
  if (result.kind() != IoResult::kDone) return;
  const absl::string_view bytes(room.data(), result.bytes());
  world_.Expect(IsPattern(line_->KeyOf(Side::kServer), mine.received, bytes),
                "bytes came to a peer that were not sent");
  mine.received += bytes.size();
}

}  // namespace millrace
