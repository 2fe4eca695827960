// SPDX-License-Identifier: Apache-2.0
#include "tests/stress/stress.h"

#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "net/event_loop.h"
#include "net/function_handler.h"
#include "net/tcp_connection.h"
#include "tests/support/process_figures.h"

namespace millrace {
namespace {

constexpr int kSanitizedShare = 5;
constexpr int kSafetyNetMilliseconds = 30'000;

}  // namespace

int Scaled(int count) {
  int factor = 1;
  if (const char* const given = getenv("MILLRACE_STRESS")) {
    CHECK(absl::SimpleAtoi(given, &factor) && factor > 0) << "MILLRACE_STRESS=" << given;
  }
  return std::max(count / (kSanitized ? kSanitizedShare : 1), 1) * factor;
}

int ScaledAtOnce(int count) {
  rlimit limit;
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  constexpr int kOthers = 200;
  const int possible = (DescriptorsLeft() - kOthers) / 2;
  CHECK_GT(possible, 0) << "ulimit -n";
  return std::min(Scaled(count), possible);
}

bool Until(absl::FunctionRef<bool()> done) {
  for (int i = 0; i < kSafetyNetMilliseconds; ++i) {
    if (done()) return true;
    poll(nullptr, 0, /*timeout=*/1);  // Spares the processor, which others need for what we await.
  }
  return false;
}

void RunOnThreads(int threads, absl::FunctionRef<void(int)> body) {
  std::vector<Thread> running;
  for (int i = 0; i < threads; ++i) {
    running.push_back(Thread::Start({.name = "stress"}, [body, i] { body(i); }).value());
  }
}

TcpServer::Options StressServer::Echo() {
  return {.addresses = {SocketAddress::Parse("0.0.0.0:0").value()},
          .handler = FunctionHandlers({.on_data = [](TcpConnection& conn, Buffer& input) {
            conn.Send(std::move(input));
          }})};
}

StressServer::StressServer(int workers, TcpServer::Options options) {
  thread_ = Thread::Start({.name = "server"}, [this, workers, &options] {
              Run(workers, std::move(options));
            }).value();
  started_.WaitForNotification();
}

StressServer::~StressServer() { loops_[0].Stop(); }

void StressServer::Run(int workers, TcpServer::Options options) {
  auto main = EventLoop::Create().value();
  std::unique_ptr<EventLoopThreadPool> pool;
  if (workers > 0) pool = EventLoopThreadPool::Start({.threads = workers}).value();
  auto server = TcpServer::Start(*main, pool.get(), std::move(options)).value();
  loops_.push_back(main->ref());
  for (int i = 0; i < workers; ++i) loops_.push_back(pool->loop(static_cast<size_t>(i)));
  port_ = server->addresses()[0].port();
  server_ = server.get();
  started_.Notify();
  main->Run();
}

SocketAddress StressServer::address(int i) const {
  return SocketAddress::Parse(absl::StrCat("127.0.0.", 1 + i % kDestinations, ":", port_)).value();
}

int64_t StressServer::Turns() {
  int64_t turns = 0;
  for (const LoopRef& loop : loops_) {
    absl::Notification asked;
    CHECK(loop.Post([&] {
      turns += EventLoop::Current()->counters().turns.value();
      asked.Notify();
    }));
    asked.WaitForNotification();
  }
  return turns;
}

}  // namespace millrace
