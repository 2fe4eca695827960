// SPDX-License-Identifier: Apache-2.0
//
// One message to 5,000 members on two loops: by a BroadcastGroup, and by what one writes without
// it. Real TCP connections over loopback; a thread reads what comes and drops it. An iteration
// sends a burst of messages and ends when each member has got all of it. The rows are
// Broadcast/Burst/WAY/BYTES/MESSAGES.
//
//   bazel run //benchmarks:broadcast_benchmark
//
//   Group       BroadcastGroup::Send() once for each message.
//   Handles     a plain loop over all members, with a copy for each: ConnectionHandle::Send().
//   OnItsLoops  a post for each loop and message; there a plain loop over its members, that copies.
//   WriteEach   the same, and each message is written at once, as servers without an output queue
//               do.
//
// An item is a delivery, of a message to a member; copies, how often a message lies in memory when
// it is written (counted in a round of its own, by the addresses that the transport is given).

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/log/check.h"
#include "absl/strings/cord.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "benchmark/benchmark.h"
#include "net/broadcast_group.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/io_result.h"
#include "net/plain_transport.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "tools/program/process.h"

namespace millrace {
namespace {

constexpr int kMembers = 5000;
constexpr int kLoops = 2;

// Where messages lie when they are written, while somebody wants to know.
class CopyCounter {
 public:
  void Start() {
    absl::MutexLock lock(&mutex_);
    seen_.clear();
    counting_ = true;
  }
  // Bytes that lay at different addresses: fewer than were copied, if memory was used again.
  int64_t Stop() {
    absl::MutexLock lock(&mutex_);
    counting_ = false;
    int64_t bytes = 0;
    for (const auto& [end, size] : seen_) bytes += size;
    return bytes;
  }
  void Add(absl::Span<const iovec> pieces) {
    if (!counting_) return;
    absl::MutexLock lock(&mutex_);
    for (const iovec& piece : pieces) {
      // What is left of a piece ends where the piece did.
      int64_t& size = seen_[static_cast<const char*>(piece.iov_base) + piece.iov_len];
      size = std::max(size, static_cast<int64_t>(piece.iov_len));
    }
  }

 private:
  std::atomic<bool> counting_{false};
  absl::Mutex mutex_;
  absl::flat_hash_map<const void*, int64_t> seen_;  // By where it ends.
};

class CountingTransport final : public Transport {
 public:
  CountingTransport(Socket socket, CopyCounter& copies)
      : plain_(std::move(socket)), copies_(copies) {}
  Socket& socket() override { return plain_.socket(); }
  IoResult Handshake() override { return plain_.Handshake(); }
  IoResult Read(absl::Span<char> into) override { return plain_.Read(into); }
  IoResult Write(absl::Span<const iovec> from) override {
    copies_.Add(from);
    return plain_.Write(from);
  }
  IoResult CloseWrite() override { return plain_.CloseWrite(); }

 private:
  PlainTransport plain_;
  CopyCounter& copies_;
};

// The other ends: read, counted and dropped, on a thread of its own.
class Readers {
 public:
  explicit Readers(const SocketAddress& address) : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    for (int i = 0; i < kMembers; ++i) {
      sockets_.push_back(Socket::CreateFor(address).value());
      CHECK_OK(sockets_.back().Connect(address).status());
      epoll_event event = {.events = EPOLLIN, .data = {.fd = sockets_.back().fd()}};
      CHECK_EQ(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, sockets_.back().fd(), &event), 0);
    }
    thread_ = Thread::Start({.name = "readers"}, [this] { Run(); }).value();
  }
  ~Readers() { ending_ = true; }

  // Waits until so many more bytes have come.
  void WaitFor(int64_t bytes) {
    absl::MutexLock lock(&mutex_);
    awaited_ += bytes;
    mutex_.Await(absl::Condition(
        +[](Readers* self) { return self->received_ >= self->awaited_; }, this));
  }

 private:
  void Run() {
    std::vector<epoll_event> events(512);
    while (!ending_) {
      const int count = epoll_wait(epoll_.get(), events.data(), 512, /*timeout=*/50);
      int64_t bytes = 0;
      for (int i = 0; i < count; ++i) {
        // Dropped by the kernel without a copy: tcp(7).
        const ssize_t n = recv(events[i].data.fd, nullptr, 1 << 20, MSG_TRUNC | MSG_DONTWAIT);
        if (n > 0) bytes += n;
      }
      absl::MutexLock lock(&mutex_);
      received_ += bytes;
    }
  }

  UniqueFd epoll_;
  std::vector<Socket> sockets_;
  std::atomic<bool> ending_{false};
  absl::Mutex mutex_;
  int64_t received_ = 0, awaited_ = 0;
  Thread thread_;
};

// Who the members are, as servers without a group know it: a list for each loop, and one of all.
struct Members {
  struct OfLoop final : Deferred {
    explicit OfLoop(EventLoop&) {}
    std::vector<TcpConnection*> connections;
  };
  absl::Mutex mutex;
  std::vector<ConnectionHandle> handles;
  BroadcastGroup group{{.member_output_bytes_max = uint64_t{8} << 20}};
};

class Member final : public ConnectionHandler {
 public:
  explicit Member(Members& members) : members_(members) {}
  void OnOpen(TcpConnection& conn) override {
    conn.loop().Local<Members::OfLoop>().connections.push_back(&conn);
    membership_ = members_.group.Join(conn.handle());
    absl::MutexLock lock(&members_.mutex);
    members_.handles.push_back(conn.handle());
  }
  void OnData(TcpConnection&, Buffer& input) override { input.Clear(); }

 private:
  Members& members_;
  BroadcastGroup::Membership membership_;
};

// The server, its members and their other ends: made once, since it takes a while.
class Stage {
 public:
  static Stage& Get() {
    static Stage* const stage = new Stage();
    return *stage;
  }

  Members& members() { return members_; }
  EventLoopThreadPool& workers() { return *workers_; }
  Readers& readers() { return *readers_; }
  CopyCounter& copies() { return copies_; }

 private:
  Stage() {
    CHECK_OK(ReserveDescriptors(2 * kMembers + 100, "5,000 connections, both ends of them"));
    thread_ = Thread::Start({.name = "main"}, [this] {
                main_ = EventLoop::Create().value();
                server_ = TcpServer::Start(*main_, workers_.get(), Options()).value();
                {
                  absl::MutexLock lock(&members_.mutex);
                  address_ = server_->addresses()[0];
                }
                main_->Run();
              }).value();
    {
      absl::MutexLock lock(&members_.mutex);
      members_.mutex.Await(absl::Condition(
          +[](Stage* self) { return self->address_ != SocketAddress(); }, this));
    }
    readers_ = std::make_unique<Readers>(address_);
    absl::MutexLock lock(&members_.mutex);
    members_.mutex.Await(absl::Condition(
        +[](Stage* self) { return self->members_.handles.size() == kMembers; }, this));
  }
  TcpServer::Options Options() {
    return {.addresses = {SocketAddress::Loopback(0)},
            .handler = [this] { return std::make_unique<Member>(members_); },
            .transport = [this](Socket socket) -> absl::StatusOr<std::unique_ptr<Transport>> {
              return std::make_unique<CountingTransport>(std::move(socket), copies_);
            },
            .limits = {.output_bytes_max = uint64_t{64} << 20}};
  }

  CopyCounter copies_;
  Members members_;
  std::unique_ptr<EventLoopThreadPool> workers_ =
      EventLoopThreadPool::Start({.threads = kLoops}).value();
  std::unique_ptr<EventLoop> main_;
  std::unique_ptr<TcpServer> server_;
  SocketAddress address_;
  std::unique_ptr<Readers> readers_;
  Thread thread_;
};

void SendByGroup(Stage& stage, const std::string& message) {
  CHECK(stage.members().group.Send(absl::Cord(message)));
}

void SendByHandles(Stage& stage, const std::string& message) {
  for (const ConnectionHandle& member : stage.members().handles) CHECK(member.Send(message));
}

void SendOnItsLoops(Stage& stage, const std::string& message) {
  for (int i = 0; i < kLoops; ++i) {
    CHECK(stage.workers().loop(i).Post([message] {
      const auto& members = EventLoop::Current()->Local<Members::OfLoop>();
      for (TcpConnection* conn : members.connections) conn->Send(message);
    }));
  }
}

void WriteEach(Stage& stage, const std::string& message) {
  for (int i = 0; i < kLoops; ++i) {
    CHECK(stage.workers().loop(i).Post([message] {
      const auto& members = EventLoop::Current()->Local<Members::OfLoop>();
      std::vector<std::string> copies(members.connections.size(), message);
      for (size_t m = 0; m < copies.size(); ++m) {
        TcpConnection* conn = members.connections[m];
        const IoResult sent = conn->transport()->Write(copies[m]);
        CHECK(sent.ok() && sent.bytes() == copies[m].size()) << "the readers are too slow for this";
      }
    }));
  }
}

template <void (*send)(Stage& stage, const std::string& message)>
void BM_Broadcast(benchmark::State& state) {
  Stage& stage = Stage::Get();
  const std::string message(static_cast<size_t>(state.range(0)), 'x');
  const int64_t burst = state.range(1);
  const int64_t bytes = burst * kMembers * static_cast<int64_t>(message.size());
  const auto round = [&] {
    for (int64_t i = 0; i < burst; ++i) send(stage, message);
    stage.readers().WaitFor(bytes);
  };
  stage.copies().Start();
  round();
  const int64_t copied = stage.copies().Stop();
  for (auto _ : state) round();
  state.SetItemsProcessed(burst * kMembers * state.iterations());
  state.counters["copies"] = static_cast<double>(copied) / static_cast<double>(bytes / kMembers);
}

// Bytes of a message, messages of a burst.
void Shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const int64_t bytes : {64, 1024, 16384}) {
    for (const int64_t burst : {1, 4, 16}) benchmark->Args({bytes, burst});
  }
}

BENCHMARK(BM_Broadcast<SendByGroup>)->Name("Broadcast/Burst/Group")->Apply(Shapes);
BENCHMARK(BM_Broadcast<SendByHandles>)->Name("Broadcast/Burst/Handles")->Apply(Shapes);
BENCHMARK(BM_Broadcast<SendOnItsLoops>)->Name("Broadcast/Burst/OnItsLoops")->Apply(Shapes);
BENCHMARK(BM_Broadcast<WriteEach>)->Name("Broadcast/Burst/WriteEach")->Apply(Shapes);

}  // namespace
}  // namespace millrace
