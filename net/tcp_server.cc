// SPDX-License-Identifier: Apache-2.0
#include "net/tcp_server.h"

#include <utility>

#include "absl/log/log.h"
#include "absl/memory/memory.h"
#include "absl/synchronization/notification.h"
#include "base/status_macros.h"

namespace millrace {
namespace {

// To a worker. One that does not arrive is reset: an orderly end would look like an empty answer.
class SocketOnItsWay {
 public:
  explicit SocketOnItsWay(Socket socket) : socket_(std::move(socket)) {}
  SocketOnItsWay(SocketOnItsWay&&) = default;
  ~SocketOnItsWay() {
    if (socket_.valid()) socket_.ResetOnClose();
  }
  Socket Take() { return std::move(socket_); }

 private:
  Socket socket_;
};

}  // namespace

// Posts from the workers, and from whoever calls Drain(), find it on the main loop by its token: so
// they find nothing once the server is gone.
class TcpServer::Control final : public IoHandler {
 public:
  explicit Control(TcpServer& server) LOOP_ONLY : server_(server),
                                                  name_(server.main_.Name(*this)),
                                                  drained_(server.parts_.size()) {}

  Token token() const { return name_.token(); }
  // Runs `work` on the main loop, unless the server is gone by then. Any thread; never refused for
  // lack of room, since the server's end hangs on it.
  static void Reach(const LoopRef& main, Token token, absl::AnyInvocable<void(Control&) &&> work) {
    main.PostAlways([token, work = std::move(work)]() mutable {
      AssertOnLoop();
      IoHandler* const control = EventLoop::Current()->Find(token);
      if (control != nullptr) std::move(work)(static_cast<Control&>(*control));
    });
  }

  void OnIo(Io) override LOOP_ONLY {}  // It watches nothing.

  void Drain(const DrainOptions& options, DrainDone done) LOOP_ONLY;
  void OnShardDrained(size_t index, const DrainReport& report) LOOP_ONLY;
  void ResumeAccepting(Admission::Room room) LOOP_ONLY;
  void OnListenerFailed(const SocketAddress& address, const absl::Status& why) LOOP_ONLY;
  // The server is going: no post finds this any more.
  void Forget() LOOP_ONLY { name_ = Registration(); }

 private:
  void TellIfDone() LOOP_ONLY;

  TcpServer& server_;
  Registration name_;
  std::vector<bool> drained_;  // By part. One whose loop has ended is drained, too.
  DrainReport report_;         // Their sum.
  std::vector<DrainDone> done_;
};

// The main loop's part first: after it, no more connections are handed to the others.
void TcpServer::Control::Drain(const DrainOptions& options, DrainDone done) {
  done_.push_back(std::move(done));
  server_.parts_[0].shard->Drain(options);
  if (!name_.active()) return;  // A handler has destroyed the server.
  for (size_t i = 1; i < server_.parts_.size(); ++i) {
    server_.parts_[i].loop.PostAlways([shard = server_.parts_[i].shard, options] {
      AssertOnLoop();
      shard->Drain(options);
    });
  }
  TellIfDone();
}

void TcpServer::Control::OnShardDrained(size_t index, const DrainReport& report) {
  drained_[index] = true;
  report_ += report;
  TellIfDone();
}

void TcpServer::Control::TellIfDone() {
  for (const bool drained : drained_) {
    if (!drained) return;
  }
  // Through the name: who was called first may destroy the server, and then nothing is called.
  for (DrainDone& done : std::exchange(done_, {})) {
    Reach(server_.main_ref_, token(), [done = std::move(done), report = report_](Control&) mutable {
      std::move(done)(report);
    });
  }
}

// The callback may destroy the server, and this with it at the end of the turn.
void TcpServer::Control::OnListenerFailed(const SocketAddress& address, const absl::Status& why) {
  const ListenerFailure failure = {address, why, --server_.listeners_};
  if (server_.options_.on_listener_failed) server_.options_.on_listener_failed(failure);
}

void TcpServer::Control::ResumeAccepting(Admission::Room room) {
  server_.parts_[0].shard->acceptors().Resume(room);
  for (size_t i = 1; i < server_.parts_.size(); ++i) {
    server_.parts_[i].loop.PostAlways([shard = server_.parts_[i].shard, room] {
      AssertOnLoop();
      shard->acceptors().Resume(room);
    });
  }
}

absl::StatusOr<std::unique_ptr<TcpServer>> TcpServer::Start(EventLoop& main,
                                                            EventLoopThreadPool* workers,
                                                            Options options) {
  AssertOnLoop();
  auto server = absl::WrapUnique(new TcpServer(main, workers, std::move(options)));
  MILLRACE_RETURN_IF_ERROR(server->CheckOptions());
  const Options& checked = server->options_;
  server->settings_->admission.emplace(checked.admission, checked.connections_max,
                                       checked.addresses.size() + checked.listeners.size());
  MILLRACE_RETURN_IF_ERROR(server->MakeParts());
  MILLRACE_RETURN_IF_ERROR(server->Listen());
  return server;
}

TcpServer::TcpServer(EventLoop& main, EventLoopThreadPool* workers, Options options)
    : main_(main),
      workers_(workers),
      main_ref_(main.ref()),
      settings_(std::make_unique<Settings>(std::move(options))),
      options_(settings_->options) {}

absl::Status TcpServer::CheckOptions() const {
  if (!options_.handler) return absl::InvalidArgumentError("TcpServer needs a handler factory");
  if (options_.addresses.empty() && options_.listeners.empty()) {
    return absl::InvalidArgumentError("TcpServer needs an address to listen at");
  }
  if (options_.connections_max < 1) {
    return absl::InvalidArgumentError("connections_max must be 1 or more");
  }
  const bool has_workers = workers_ != nullptr && workers_->size() > 0;
  if (options_.accepting == Accepting::kOnEachWorker && !has_workers) {
    return absl::InvalidArgumentError("without workers only the main loop can accept");
  }
  if (options_.addresses.size() + options_.listeners.size() > kServerListenersMax) {
    return absl::InvalidArgumentError("too many addresses to listen at");
  }
  MILLRACE_RETURN_IF_ERROR(options_.admission.Check());
  return options_.limits.Check();
}

std::unique_ptr<ServerShard> TcpServer::MakeShard(EventLoop& loop, size_t index) {
  ServerShard::Listeners listeners = {
      .on_room = [this](Admission::Room room) { TellRoom(room); },
      .on_drained =
          [main = main_ref_, token = control_->token(), index](const DrainReport& report) {
            Control::Reach(main, token, [index, report](Control& control) {
              AssertOnLoop();
              control.OnShardDrained(index, report);
            });
          },
      .on_listener_failed =
          [main = main_ref_, token = control_->token()](const SocketAddress& address,
                                                        const absl::Status& why) {
            Control::Reach(main, token, [address, why](Control& control) {
              AssertOnLoop();
              control.OnListenerFailed(address, why);
            });
          },
  };
  if (index > 0) listeners.on_destroyed = [this] { OnShardGone(); };
  return std::make_unique<ServerShard>(
      loop,
      ServerShard::Plan{options_.handler, options_.transport, options_.limits,
                        *settings_->admission, options_.memory_budget},
      *parts_[index].counters, std::move(listeners));
}

// Has `work` done on the part's loop, and waits for its answer.
absl::Status TcpServer::Ask(Part& part, absl::FunctionRef<absl::Status(EventLoop&)> work) {
  absl::Status answer = absl::FailedPreconditionError("a worker loop has stopped");
  absl::Notification answered;
  const bool posted = part.loop.PostAlways([&] {
    answer = work(*EventLoop::Current());
    answered.Notify();
  });
  if (posted) workers_->Wait(answered);
  return answer;
}

absl::Status TcpServer::MakeParts() {
  parts_.resize(1 + (workers_ == nullptr ? 0 : workers_->size()));
  for (Part& part : parts_) part.counters = std::make_unique<ServerShard::Counters>();
  control_ = std::make_unique<Control>(*this);
  parts_[0].loop = main_ref_;
  parts_[0].shard = &main_.Keep(MakeShard(main_, 0));
  for (size_t i = 1; i < parts_.size(); ++i) {
    Part& part = parts_[i];
    part.loop = workers_->loop(i - 1);
    MILLRACE_RETURN_IF_ERROR(Ask(part, [&](EventLoop& loop) {
      AssertOnLoop();
      part.shard = &loop.Keep(MakeShard(loop, i));
      shards_left_.fetch_add(1, std::memory_order_relaxed);
      return absl::OkStatus();
    }));
  }
  return absl::OkStatus();
}

absl::Status TcpServer::Listen() {
  for (const SocketAddress& address : options_.addresses) {
    if (options_.accepting == Accepting::kOnEachWorker && !address.is_unix()) {
      MILLRACE_RETURN_IF_ERROR(ListenOnWorkers(address));
    } else {
      MILLRACE_ASSIGN_OR_RETURN(Socket listener, ListenAt(address, options_.listen));
      MILLRACE_RETURN_IF_ERROR(ListenOnOne(std::move(listener), SocketFile::Of(address)));
    }
  }
  return AdoptListeners();
}

absl::Status TcpServer::AdoptListeners() {
  size_t worker = 0;
  for (Socket& listener : options_.listeners) {
    if (options_.accepting == Accepting::kOnMainLoop) {
      MILLRACE_RETURN_IF_ERROR(ListenOnOne(std::move(listener), {}));
      continue;
    }
    MILLRACE_ASSIGN_OR_RETURN(SocketAddress address, listener.LocalAddress());
    const auto number = static_cast<uint16_t>(addresses_.size());
    addresses_.push_back(std::move(address));
    Part& part = parts_[1 + worker++ % (parts_.size() - 1)];
    MILLRACE_RETURN_IF_ERROR(ListenOnWorker(part, std::move(listener), {}, number));
  }
  return absl::OkStatus();
}

absl::Status TcpServer::ListenOnOne(Socket listener, SocketFile file) {
  MILLRACE_ASSIGN_OR_RETURN(SocketAddress address, listener.LocalAddress());
  const auto number = static_cast<uint16_t>(addresses_.size());
  addresses_.push_back(std::move(address));
  if (parts_.size() == 2) {
    return ListenOnWorker(parts_[1], std::move(listener), std::move(file), number);
  }
  ++listeners_;
  return parts_[0].shard->acceptors().Add(std::move(listener), std::move(file), number,
                                          [this, number](Socket socket, const SocketAddress& peer) {
                                            AssertOnLoop();
                                            HandOff(std::move(socket), peer, number);
                                          });
}

// The first one settles the port, if the kernel is to choose it.
absl::Status TcpServer::ListenOnWorkers(const SocketAddress& address) {
  ListenOptions options = options_.listen;
  options.reuse_port = true;
  const auto number = static_cast<uint16_t>(addresses_.size());
  SocketAddress real = address;
  for (size_t i = 1; i < parts_.size(); ++i) {
    MILLRACE_ASSIGN_OR_RETURN(Socket listener, ListenAt(real, options));
    MILLRACE_ASSIGN_OR_RETURN(real, listener.LocalAddress());
    MILLRACE_RETURN_IF_ERROR(ListenOnWorker(parts_[i], std::move(listener), {}, number));
  }
  addresses_.push_back(std::move(real));
  return absl::OkStatus();
}

absl::Status TcpServer::ListenOnWorker(Part& part, Socket listener, SocketFile file,
                                       uint16_t number) {
  ServerShard& shard = *part.shard;
  ++listeners_;
  return Ask(part, [&](EventLoop&) {
    AssertOnLoop();
    return shard.acceptors().Add(std::move(listener), std::move(file), number,
                                 [&shard, number](Socket socket, const SocketAddress& peer) {
                                   AssertOnLoop();
                                   shard.Open(std::move(socket), peer, number);
                                 });
  });
}

void TcpServer::HandOff(Socket socket, const SocketAddress& peer, uint16_t listener) {
  ServerShard& main_shard = *parts_[0].shard;
  if (parts_.size() == 1) return main_shard.Open(std::move(socket), peer, listener);
  const Part& part = parts_[1 + next_worker_++ % (parts_.size() - 1)];
  const bool posted =
      part.loop.Post([shard = part.shard, on_its_way = SocketOnItsWay(std::move(socket)), peer,
                      listener]() mutable {
        AssertOnLoop();
        shard->Open(on_its_way.Take(), peer, listener);
      });
  if (!posted) main_shard.GiveUp(peer, listener);
}

// By the main loop, which knows all the others. Any of them.
void TcpServer::TellRoom(Admission::Room room) {
  Control::Reach(main_ref_, control_->token(), [room](Control& control) {
    AssertOnLoop();
    control.ResumeAccepting(room);
  });
}

void TcpServer::OnShardGone() {
  if (shards_left_.fetch_sub(1, std::memory_order_acq_rel) == 1) shards_are_gone_.Notify();
}

// Who comes from this moment on is not let in, though it takes two posts to tell all loops.
void TcpServer::Drain(const DrainOptions& options, DrainDone done) {
  settings_->admission->End();
  Control::Reach(main_ref_, control_->token(),
                 [options, done = std::move(done)](Control& control) mutable {
                   AssertOnLoop();
                   control.Drain(options, std::move(done));
                 });
}

// Main first: after it, no more connections are handed to the others.
TcpServer::~TcpServer() {
  main_.AssertInLoop();
  const absl::Status why = absl::CancelledError("the server was destroyed");
  for (Part& part : parts_) {
    if (part.shard == nullptr) continue;
    if (part.loop == main_ref_) {
      part.shard->End(why);
      main_.Release(*part.shard);
      continue;
    }
    part.loop.PostAlways([shard = part.shard, why] {
      AssertOnLoop();
      shard->End(why);
      EventLoop::Current()->Release(*shard);
    });
  }
  OnShardGone();
  if (workers_ != nullptr) workers_->Wait(shards_are_gone_);
  if (control_ != nullptr) {
    control_->Forget();
    main_.DestroyLater(std::move(control_));
  }
  main_.DestroyLater(std::move(settings_));
}

TcpServer::Stats TcpServer::stats() const {
  Stats stats = {.open = settings_->admission->open()};
  for (const Part& part : parts_) {
    const AcceptCounters& accepting = part.counters->accepting;
    const ConnectionCounters& connections = part.counters->connections;
    stats.accepted += accepting.accepted.value();
    stats.accept_errors += accepting.errors.value();
    stats.accept_rests += accepting.rests.value();
    stats.refused += accepting.refused.value();
    stats.refused_denied += accepting.refused_denied.value();
    stats.refused_peer_full += accepting.refused_peer_full.value();
    stats.refused_full += accepting.refused_full.value();
    stats.pauses_full += accepting.pauses_full.value();
    stats.pauses_listener_full += accepting.pauses_listener_full.value();
    stats.pauses_rate += accepting.pauses_rate.value();
    stats.listeners_failed += accepting.failed.value();
    stats.opened += connections.opened.value();
    stats.closed += connections.closed.value();
    stats.closed_on_error += connections.closed_on_error.value();
    stats.failed_to_open += connections.failed_to_open.value();
    stats.bytes_read += connections.bytes_read.value();
    stats.bytes_written += connections.bytes_written.value();
    stats.limited_bytes_read += connections.limited.bytes_read.value();
    stats.limited_bytes_written += connections.limited.bytes_written.value();
    stats.rate_pauses_read += connections.limited.read_pauses.value();
    stats.rate_pauses_write += connections.limited.write_pauses.value();
    for (size_t i = 0; i < stats.ended.size(); ++i) stats.ended[i] += connections.ended[i].value();
  }
  return stats;
}

}  // namespace millrace
