// SPDX-License-Identifier: Apache-2.0
#include "net/sim/sim_peer.h"

#include <array>
#include <utility>

#include "absl/time/time.h"
#include "absl/types/span.h"

namespace millrace {
namespace {

const absl::Duration kPatience = absl::Minutes(1);

}  // namespace

SimPeer::SimPeer(Simulation& sim, const SocketAddress& server)
    : sim_(sim), socket_(Socket::CreateFor(server).value()) {
  connected_ = socket_.Connect(server).ok() && WaitFor(Io::kWrite) && socket_.TakeError().ok();
  broken_ = !connected_;
}

bool SimPeer::WaitFor(Io io) {
  return sim_.RunUntil([&] { return Any(sim_.network().Ready(socket_.fd()) & io); }, kPatience);
}

bool SimPeer::Send(absl::string_view bytes) {
  while (!bytes.empty() && !broken_ && WaitFor(Io::kWrite)) {
    const IoResult result = socket_.Write(bytes);
    if (result.kind() == IoResult::kDone) bytes.remove_prefix(result.bytes());
    broken_ = !result.ok();
  }
  return bytes.empty();
}

// False if nothing more comes.
bool SimPeer::Fill() {
  if (ended_ || broken_ || !WaitFor(Io::kRead)) return false;
  std::array<char, 4096> room;
  const IoResult result = socket_.Read(absl::MakeSpan(room));
  if (result.kind() == IoResult::kDone) received_.append(room.data(), result.bytes());
  ended_ = result.kind() == IoResult::kEnd;
  broken_ = !result.ok();
  return !ended_ && !broken_;
}

std::string SimPeer::Take(size_t count) {
  std::string taken = received_.substr(0, count);
  received_.erase(0, count);
  return taken;
}

std::string SimPeer::ReadLine() {
  while (received_.find('\n') == std::string::npos && Fill()) {
  }
  const size_t end = received_.find('\n');
  return Take(end == std::string::npos ? end : end + 1);
}

std::string SimPeer::Read(size_t count) {
  while (received_.size() < count && Fill()) {
  }
  return Take(count);
}

std::string SimPeer::ReadToEnd() {
  while (Fill()) {
  }
  return std::exchange(received_, {});
}

void SimPeer::Reset() {
  socket_.ResetOnClose();
  Close();
}

}  // namespace millrace
