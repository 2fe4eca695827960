// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/world.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/connection_owner.h"
#include "net/memory_budget.h"
#include "net/sim/for_each_seed.h"

namespace millrace {
namespace {

// One world in four.
constexpr uint64_t kHarmlessOneIn = 4;
// How often servers have some protection, of each kind, in a scenario that is not about it.
constexpr double kProtected = 0.2;

int LowestFreeFd() {
  const int fd = dup(STDERR_FILENO);
  close(fd);
  return fd;
}

}  // namespace

World::World(Options options)
    : seed_(options.seed),
      random_(options.seed ^ 0x50a6),
      harmless_(random_.Below(kHarmlessOneIn) == 0),
      real_fd_(LowestFreeFd()) {
  Simulation::Options world = harmless_ ? HarmlessWorld(seed_) : RoughWorld(seed_);
  world.trace = options.trace;
  faults_ = world.faults;
  sim_ = std::make_unique<Simulation>(std::move(world));
  descriptors_ = sim_->network().open_descriptors();
  DrawLimits();
  DrawHabits();
  Protect(Protection::Draw(random_, harmless_, kProtected));
}

void World::Protect(const Protection& protection) {
  protection_ = protection;
  pace_.reset();
  sim_->network().set_on_transfer(nullptr);
  if (!protection.rates.on()) return;
  pace_.emplace(protection.rates);
  sim_->network().set_on_transfer(
      [this](const SimNetwork::Transfer& transfer) { OnTransfer(transfer); });
}

// Servers alone have ports below those that the system chooses.
void World::OnTransfer(const SimNetwork::Transfer& transfer) {
  if (transfer.local.port() >= SimNetwork::kFirstPort) return;
  pace_->OnTransfer(transfer, sim_->now(), [this](absl::string_view why) { Fail(why); });
}

void World::TellLeft(const SocketAddress& peer) {
  if (pace_) pace_->Leave(peer);
}

void World::WidenWindows(size_t least) {
  faults_.window_min = std::max(faults_.window_min, least);
  faults_.window_max = std::max(faults_.window_max, faults_.window_min);
  sim_->SetFaults(faults_);
}

// Where a promise was broken, some owners may be left. And handles keep a loop's mailbox, which has
// a descriptor.
World::~World() {
  stale_.clear();
  for (const std::unique_ptr<Owner>& owner : owners_) owner->Destroy();
}

void World::CalmDown() {
  SimFaults calm;
  calm.window_min = faults_.window_min;
  calm.window_max = faults_.window_max;
  sim_->SetFaults(calm);
  sim_->network().set_descriptors_max(SIZE_MAX);
}

void World::DrawHabits() {
  // Half of them are off, and the others from rare to frequent.
  const auto chance = [this](double most) {
    if (Below(2) == 0) return 0.0;
    const double unit = random_.Unit();
    return most * unit * unit;
  };
  habits_ = {.pause = chance(0.3),
             .leave_unread = chance(0.5),
             .act_later = chance(0.5),
             .post = chance(0.3),
             .send_file = chance(0.3)};
  habits_.message_bytes_max = size_t{1} << Below(13);
  // Through a narrow window each byte takes its time, and ours.
  habits_.bytes =
      std::clamp<uint64_t>(faults_.window_min * 40, 300, 1 + (uint64_t{1} << Below(15)));
  if (harmless_) return;
  habits_.abort = chance(0.02);
  habits_.close = chance(0.05);
  habits_.close_write = chance(0.05);
  habits_.set_timeout = chance(0.1);
  habits_.cut_file = chance(0.1);
  habits_.destroy_owner = chance(0.02);
  habits_.refuse = chance(0.2);
  habits_.hold_everything = chance(0.3);
}

void World::DrawLimits() {
  limits_.read_bytes_per_turn = size_t{16} << Below(10);
  limits_.output_bytes_low = Below(2'000);
  limits_.output_bytes_high = limits_.output_bytes_low + Below(8'000);
  if (!harmless_) DrawRoughLimits();
}

void World::DrawRoughLimits() {
  const auto time = [this] { return absl::Milliseconds(5 << Below(11)); };
  limits_.output_bytes_max = limits_.output_bytes_high + (size_t{1} << Below(16));
  limits_.input_bytes_max = size_t{1} << (4 + Below(14));
  limits_.idle_timeout = time();
  if (Below(2) == 0) limits_.read_timeout = time();
  limits_.write_timeout = time();
  limits_.linger_timeout = time();
}

Line& World::LineOf(const SocketAddress& client, bool echo) {
  const auto [found, is_new] = lines_.try_emplace(client.ToString());
  Line& line = found->second;
  if (is_new) {
    line.key = random_.Next();
    line.echo = echo;
  }
  return line;
}

void World::TellOpened(Owner& owner) {
  Expect(!owner.silent, "OnOpen() after the end of its server or client");
  tally_.Count("connections opened");
  ++owner.opened;
}

void World::TellClosed(Owner& owner, const TcpConnection& conn, const absl::Status& why) {
  Expect(!owner.silent, "OnClose() after the end of its server or client");
  const std::string reason = ReasonOf(why);
  Expect(!reason.empty(), absl::StrCat("closed for ", why.ToString()));
  tally_.Count(absl::StrCat("close: ", reason));
  const CloseReason told = conn.close_reason();
  Expect(told.status == why && IsCauseOf(told.cause, why),
         absl::StrCat("closed for ", why.ToString(), ", but its cause is ", NameOf(told.cause)));
  ++owner.ended[static_cast<size_t>(told.cause)];
  if (!why.ok()) ++owner.closed_on_error;
  ++owner.closed;
}

void World::Fail(absl::string_view what) {
  if (!failure_.empty()) return;
  failure_ = absl::StrCat(what, ", at ", absl::FormatDuration(sim_->now() - MonotonicTime()));
  // At once, since what comes of it may end the process.
  std::cerr << "\nbroken promise: " << failure_ << "\n";
}

void World::RunUntil(absl::string_view what, absl::FunctionRef<bool()> done,
                     absl::Duration at_most) {
  const auto stop = [&] { return !failure_.empty() || done(); };
  if (!sim_->RunUntil(stop, at_most)) {
    Fail(absl::StrCat(what, " took more than ", absl::FormatDuration(at_most)));
  }
}

void World::OnEachLoop(absl::FunctionRef<void(EventLoop& loop)> work) {
  size_t left = 2 + sim_->workers().size();
  const auto post = [&](const LoopRef& loop) {
    loop.Post([&] {
      work(*EventLoop::Current());
      --left;
    });
  };
  post(sim_->main().ref());
  post(sim_->client().ref());
  for (size_t i = 0; i < sim_->workers().size(); ++i) post(sim_->workers().loop(i));
  Expect(sim_->RunUntil([&] { return left == 0; }, absl::Minutes(1)), "a loop runs no posts");
}

void World::CheckIsEmpty(const MemoryBudget& budget) {
  Expect(budget.total_bytes() == 0, "nobody is left, and a memory budget is in use");
}

void World::CheckAllGivenBack() {
  CalmDown();
  sim_->RunFor(absl::Seconds(1));
  Expect(handlers_ == 0, "handlers are alive after their server or client");
  for (const std::unique_ptr<Owner>& owner : owners_) {
    Expect(owner->opened == owner->closed, "OnOpen() and OnClose() do not match");
  }
  OnEachLoop([&](EventLoop& loop) {
    const OutputQueue::Pools& pools = loop.Local<ConnectionMemory>().output_pools();
    Expect(pools.blocks.in_use() == 0 && pools.pieces.in_use() == 0, "blocks were not given back");
    for (const ConnectionHandle& handle : stale_) {
      if (handle.loop() != loop.ref()) continue;
      Expect(loop.Find(handle.token()) == nullptr, "the handle of a closed connection finds it");
    }
  });
  if (protection_.budget) CheckIsEmpty(*protection_.budget);
  CheckIsEmpty(*MemoryBudget::OfProcess());
  protection_.Count(tally_);
  Expect(sim_->network().open_descriptors() == descriptors_, "descriptors were left open");
  Expect(LowestFreeFd() == real_fd_, "descriptors of the machine were left open");
}

}  // namespace millrace
