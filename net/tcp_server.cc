// SPDX-License-Identifier: Apache-2.0
#include "net/tcp_server.h"

#include <utility>

#include "absl/log/log.h"
#include "absl/memory/memory.h"
#include "absl/synchronization/notification.h"
#include "base/status_macros.h"

namespace millrace {

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

  void Drain(absl::Duration grace, Closure done) LOOP_ONLY;
  void OnShardDrained(size_t index) LOOP_ONLY;
  void ResumeAccepting() LOOP_ONLY;
  // The server is going: no post finds this any more.
  void Forget() LOOP_ONLY { name_ = Registration(); }

 private:
  void TellIfDone() LOOP_ONLY;

  TcpServer& server_;
  Registration name_;
  std::vector<bool> drained_;  // By part. One whose loop has ended is drained, too.
  std::vector<Closure> done_;
};

// The main loop's part first: after it, no more connections are handed to the others.
void TcpServer::Control::Drain(absl::Duration grace, Closure done) {
  done_.push_back(std::move(done));
  server_.parts_[0].shard->Drain(grace);
  if (!name_.active()) return;  // A handler has destroyed the server.
  for (size_t i = 1; i < server_.parts_.size(); ++i) {
    server_.parts_[i].loop.PostAlways([shard = server_.parts_[i].shard, grace] {
      AssertOnLoop();
      shard->Drain(grace);
    });
  }
  TellIfDone();
}

void TcpServer::Control::OnShardDrained(size_t index) {
  drained_[index] = true;
  TellIfDone();
}

void TcpServer::Control::TellIfDone() {
  for (const bool drained : drained_) {
    if (!drained) return;
  }
  for (Closure& done : std::exchange(done_, {})) server_.main_ref_.PostAlways(std::move(done));
}

void TcpServer::Control::ResumeAccepting() {
  server_.parts_[0].shard->ResumeAccepting();
  for (size_t i = 1; i < server_.parts_.size(); ++i) {
    server_.parts_[i].loop.PostAlways([shard = server_.parts_[i].shard] {
      AssertOnLoop();
      shard->ResumeAccepting();
    });
  }
}

absl::StatusOr<std::unique_ptr<TcpServer>> TcpServer::Start(EventLoop& main,
                                                            EventLoopThreadPool* workers,
                                                            Options options) {
  AssertOnLoop();
  auto server = absl::WrapUnique(new TcpServer(main, workers, std::move(options)));
  MILLRACE_RETURN_IF_ERROR(server->CheckOptions());
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
  if (options_.accepting == Accepting::kOnEachWorker && workers_ == nullptr) {
    return absl::InvalidArgumentError("without workers only the main loop can accept");
  }
  return options_.limits.Check();
}

std::unique_ptr<ServerShard> TcpServer::MakeShard(EventLoop& loop, size_t index) {
  ServerShard::Listeners listeners = {
      .on_connection_end = [this] { OnConnectionEnd(); },
      .on_drained =
          [main = main_ref_, token = control_->token(), index] {
            Control::Reach(main, token, [index](Control& control) {
              AssertOnLoop();
              control.OnShardDrained(index);
            });
          },
  };
  if (index > 0) listeners.on_destroyed = [this] { OnShardGone(); };
  return std::make_unique<ServerShard>(
      loop, ServerShard::Plan{options_.handler, options_.transport, options_.limits},
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
      MILLRACE_RETURN_IF_ERROR(ListenOnOne(std::move(listener)));
    }
  }
  for (Socket& listener : options_.listeners) {
    MILLRACE_RETURN_IF_ERROR(ListenOnOne(std::move(listener)));
  }
  return absl::OkStatus();
}

absl::Status TcpServer::ListenOnOne(Socket listener) {
  MILLRACE_ASSIGN_OR_RETURN(SocketAddress address, listener.LocalAddress());
  addresses_.push_back(std::move(address));
  if (parts_.size() == 2) return ListenOnWorker(parts_[1], std::move(listener));
  return parts_[0].shard->Listen(std::move(listener),
                                 [this](Socket socket, const SocketAddress& peer) {
                                   AssertOnLoop();
                                   HandOff(std::move(socket), peer);
                                 });
}

// The first one settles the port, if the kernel is to choose it.
absl::Status TcpServer::ListenOnWorkers(const SocketAddress& address) {
  ListenOptions options = options_.listen;
  options.reuse_port = true;
  SocketAddress real = address;
  for (size_t i = 1; i < parts_.size(); ++i) {
    MILLRACE_ASSIGN_OR_RETURN(Socket listener, ListenAt(real, options));
    MILLRACE_ASSIGN_OR_RETURN(real, listener.LocalAddress());
    MILLRACE_RETURN_IF_ERROR(ListenOnWorker(parts_[i], std::move(listener)));
  }
  addresses_.push_back(std::move(real));
  return absl::OkStatus();
}

absl::Status TcpServer::ListenOnWorker(Part& part, Socket listener) {
  ServerShard& shard = *part.shard;
  return Ask(part, [&](EventLoop&) {
    AssertOnLoop();
    return shard.Listen(std::move(listener),
                        [this, &shard](Socket socket, const SocketAddress& peer) {
                          AssertOnLoop();
                          if (Admit(shard)) shard.Open(std::move(socket), peer);
                        });
  });
}

void TcpServer::HandOff(Socket socket, const SocketAddress& peer) {
  ServerShard& main_shard = *parts_[0].shard;
  if (!Admit(main_shard)) return;
  if (parts_.size() == 1) return main_shard.Open(std::move(socket), peer);
  const Part& part = parts_[1 + next_worker_++ % (parts_.size() - 1)];
  const bool posted =
      part.loop.Post([shard = part.shard, socket = std::move(socket), peer]() mutable {
        AssertOnLoop();
        shard->Open(std::move(socket), peer);
      });
  if (!posted) OnConnectionEnd();
}

// Several workers may reach the cap at once; who comes too late gives its place back.
bool TcpServer::Admit(ServerShard& acceptor) {
  const int64_t before = open_.fetch_add(1, std::memory_order_relaxed);
  if (before + 1 >= options_.connections_max) acceptor.PauseAccepting();
  if (before < options_.connections_max) return true;
  OnConnectionEnd();
  return false;
}

void TcpServer::OnConnectionEnd() {
  if (open_.fetch_sub(1, std::memory_order_relaxed) != options_.connections_max) return;
  Control::Reach(main_ref_, control_->token(), [](Control& control) {
    AssertOnLoop();
    control.ResumeAccepting();
  });
}

void TcpServer::OnShardGone() {
  if (shards_left_.fetch_sub(1, std::memory_order_acq_rel) == 1) shards_are_gone_.Notify();
}

void TcpServer::Drain(absl::Duration grace, Closure done) {
  Control::Reach(main_ref_, control_->token(),
                 [grace, done = std::move(done)](Control& control) mutable {
                   AssertOnLoop();
                   control.Drain(grace, std::move(done));
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
  Stats stats = {.open = open_.load(std::memory_order_relaxed)};
  for (const Part& part : parts_) {
    const AcceptCounters& accepting = part.counters->accepting;
    const ConnectionCounters& connections = part.counters->connections;
    stats.accepted += accepting.accepted.value();
    stats.accept_errors += accepting.errors.value();
    stats.accept_rests += accepting.rests.value();
    stats.refused += accepting.refused.value();
    stats.opened += connections.opened.value();
    stats.closed += connections.closed.value();
    stats.closed_on_error += connections.closed_on_error.value();
    stats.failed_to_open += connections.failed_to_open.value();
    stats.bytes_read += connections.bytes_read.value();
    stats.bytes_written += connections.bytes_written.value();
    for (size_t i = 0; i < stats.ended.size(); ++i) stats.ended[i] += connections.ended[i].value();
  }
  return stats;
}

}  // namespace millrace
