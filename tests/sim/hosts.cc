// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/hosts.h"

#include <array>
#include <string>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "net/close_reason.h"
#include "net/connection_owner.h"
#include "net/drain.h"
#include "tests/sim/talker.h"

namespace millrace {

HandlersOf ServerTalkers(World& world, bool echo) {
  return [&world, echo](Owner& owner) -> std::unique_ptr<ConnectionHandler> {
    if (world.Chance(world.habits().refuse)) return nullptr;
    return std::make_unique<Talker>(world, owner, Side::kServer, echo);
  };
}

HandlersOf ClientTalkers(World& world, bool echo) {
  return [&world, echo](Owner& owner) {
    return std::make_unique<Talker>(world, owner, Side::kClient, echo);
  };
}

ServerHost::ServerHost(World& world, HandlersOf handlers)
    : world_(world), handlers_(std::move(handlers)) {}

TcpServer::Options ServerHost::MakeOptions() {
  TcpServer::Options options = {.addresses = {Address()},
                                .handler = [this]() -> std::unique_ptr<ConnectionHandler> {
                                  world_.Expect(!silent, "a handler for a server that is gone");
                                  auto handler = handlers_(*this);
                                  if (handler == nullptr) ++refused_;
                                  return handler;
                                },
                                .limits = world_.limits()};
  world_.protection().ApplyTo(options.limits);
  if (world_.protection().budget) options.memory_budget = world_.protection().budget;
  if (!world_.harmless() && world_.Below(4) == 0) {
    options.connections_max = 1 + static_cast<int>(world_.Below(4));
  }
  if (on_workers_ && world_.Below(2) == 0) {
    options.accepting = TcpServer::Accepting::kOnEachWorker;
  }
  return options;
}

bool ServerHost::Start() {
  EventLoopThreadPool& workers = world_.sim().workers();
  on_workers_ = workers.size() > 0 && world_.Below(4) > 0;
  auto server =
      TcpServer::Start(world_.sim().main(), on_workers_ ? &workers : nullptr, MakeOptions());
  world_.tally().Count(server.ok() ? "servers started" : "servers that could not start");
  if (!server.ok()) {
    if (world_.harmless()) world_.Fail(absl::StrCat("no server: ", server.status().ToString()));
    silent = true;
    return false;
  }
  server_ = *std::move(server);
  return true;
}

void ServerHost::Drain(absl::Duration grace) {
  world_.tally().Count("drains");
  ++drains_;
  // After the grace there is nothing to wait for but loops that stand still: here the main loop,
  // there a worker, and again the main loop.
  const absl::Duration slack = world_.faults().stall_max * 8 + absl::Milliseconds(10);
  server_->Drain(grace, [this, latest = world_.sim().now() + grace + slack](const DrainReport&) {
    OnDrained(latest);
  });
}

void ServerHost::OnDrained(MonotonicTime at_the_latest) {
  world_.Expect(!silent || drained_, "the end of a drain is told after the server's own");
  ++drains_done_;
  world_.Expect(world_.sim().now() <= at_the_latest, "a drain took longer than its grace");
  world_.Expect(opened == closed, "drained, and a handler has not heard OnClose()");
  if (server_ != nullptr) CheckBooks();  // Else it is on the stack, waiting for its loops.
  drained_ = silent = true;
}

// Once it has no connection.
void ServerHost::CheckBooks() {
  const TcpServer::Stats stats = server_->stats();
  CheckEnds(stats);
  world_.Expect(stats.open == 0, "drained, and connections are counted as open");
  world_.Expect(stats.opened == stats.closed, "opened and closed do not add up");
  world_.Expect(stats.opened == opened && stats.closed == closed, "handlers heard another count");
  world_.Expect(stats.accepted >= stats.opened + stats.failed_to_open,
                "more connections than were accepted");
}

namespace {

// Those whose handlers never heard of them may have been refused, or found no room in the poller.
std::string WhatWasMiscounted(const std::array<int64_t, kCloseCauses>& counted, const Owner& owner,
                              int64_t refused, int64_t failed_to_open) {
  for (int i = 0; i < kCloseCauses; ++i) {
    const auto cause = static_cast<CloseCause>(i);
    int64_t unheard = 0;
    if (cause == CloseCause::kRefused) unheard = refused;
    if (cause == CloseCause::kSystemFailed) unheard = failed_to_open - refused;
    if (counted[i] == owner.ended[i] + unheard) continue;
    return absl::StrCat("handlers heard ", owner.ended[i], " ends for ", NameOf(cause), ", ",
                        unheard, " were not heard, and ", counted[i], " are counted");
  }
  return "";
}

}  // namespace

// At any time: what is counted is told in the same moment. Who comes when a drain's grace is over
// is refused without asking for a handler.
void ServerHost::CheckEnds(const TcpServer::Stats& stats) {
  world_.Expect(stats.closed_on_error == closed_on_error, "handlers heard other errors");
  const int64_t refused = stats.ended[static_cast<size_t>(CloseCause::kRefused)];
  const bool by_us_alone = drains_ == 0;
  world_.Expect(by_us_alone ? refused == refused_ : refused >= refused_,
                "refused connections are miscounted");
  const std::string wrong = WhatWasMiscounted(stats.ended, *this, refused, stats.failed_to_open);
  if (!wrong.empty()) world_.Fail(wrong);
}

void ServerHost::Destroy() {
  if (server_ == nullptr) return;
  const TcpServer::Stats stats = server_->stats();
  CheckEnds(stats);
  if (stats.rate_pauses_read > 0) {
    world_.tally().Count("pauses for a rate, reading", stats.rate_pauses_read);
  }
  if (stats.rate_pauses_write > 0) {
    world_.tally().Count("pauses for a rate, writing", stats.rate_pauses_write);
  }
  // Its end lets other loops run: they must not find it here.
  std::unique_ptr<TcpServer> dying = std::move(server_);
  dying.reset();
  silent = true;
  drained_ = false;
  drains_done_ = drains_;  // Who destroys it is not told.
  world_.Expect(opened == closed, "the server is gone, and a handler has not heard OnClose()");
}

bool ServerHost::DestroyFromInside(EventLoop& loop) {
  if (&loop != &world_.sim().main()) return false;
  Destroy();
  return true;
}

namespace {

// Two who both stop reading above their high marks, and both send without end, wait for each other
// until the write timeout. Where nothing may go wrong one of them always reads; and waits for as
// long as it takes, since a server that is behind with a narrow line does not read meanwhile.
ConnectionLimits LimitsOfClient(World& world) {
  ConnectionLimits limits = world.limits();
  if (!world.harmless()) return limits;
  limits.output_bytes_high = limits.output_bytes_max;
  limits.write_timeout = absl::InfiniteDuration();
  return limits;
}

}  // namespace

ClientHost::ClientHost(World& world, HandlersOf handlers, bool reconnect)
    : world_(world), handlers_(std::move(handlers)) {
  TcpClient::Options options = {
      .address = ServerHost::Address(),
      .handler =
          [this] {
            world_.Expect(!silent, "a handler for a client that is gone");
            return handlers_(*this);
          },
      .limits = LimitsOfClient(world),
      .connect = {.timeout = absl::Milliseconds(100) + world.Within(absl::Seconds(2))},
      .on_connect_failed = [this](const absl::Status& why) { OnConnectFailed(why); },
      .seed = world.random().Next() | 1};
  if (world.Below(2) == 0 || reconnect || world.harmless()) {
    options.retry = Backoff::Options{.initial = absl::Milliseconds(1 + world.Below(100)),
                                     .max = absl::Seconds(2)};
    options.attempts_max = reconnect ? 0 : 10;
  }
  options.reconnect = reconnect;
  client_ = std::make_unique<TcpClient>(world.sim().client(), std::move(options));
}

void ClientHost::OnConnectFailed(const absl::Status& why) {
  world_.Expect(!silent, "a client that is gone hears of a try");
  world_.Expect(!why.ok(), "a try failed for no reason");
  world_.tally().Count("tries to connect that failed");
  if (world_.Chance(world_.habits().destroy_owner)) Destroy();
}

void ClientHost::CheckEnds() {
  const ConnectionCounters& counters = client_->counters();
  std::array<int64_t, kCloseCauses> counted;
  for (int i = 0; i < kCloseCauses; ++i) {
    counted[i] = static_cast<int64_t>(counters.ended[i].value());
  }
  const auto failed = static_cast<int64_t>(counters.failed_to_open.value());
  const std::string wrong = WhatWasMiscounted(counted, *this, /*refused=*/0, failed);
  if (!wrong.empty()) world_.Fail(absl::StrCat("a client's ", wrong));
}

void ClientHost::Destroy() {
  if (client_ == nullptr) return;
  CheckEnds();
  std::unique_ptr<TcpClient> dying = std::move(client_);
  dying.reset();
  silent = true;
  world_.Expect(opened == closed, "the client is gone, and a handler has not heard OnClose()");
}

bool ClientHost::DestroyFromInside(EventLoop& loop) {
  CHECK_EQ(&loop, &world_.sim().client());
  Destroy();
  return true;
}

}  // namespace millrace
