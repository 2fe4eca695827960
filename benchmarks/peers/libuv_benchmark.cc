// SPDX-License-Identifier: Apache-2.0
//
// Libuv in the micro-benchmarks. It has no codecs.
//
//   bazel run //benchmarks:libuv_benchmark                     (needs libuv1-dev)

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "base/thread.h"
#include "benchmarks/accept_rows.h"
#include "benchmarks/peers/moved_clock.h"
#include "benchmarks/peers/task_queue.h"
#include "benchmarks/posts_rows.h"
#include "benchmarks/timers_rows.h"
#include "benchmarks/turns_rows.h"
#include "net/limits.h"
#include "net/socket.h"

namespace millrace {
namespace {

// A loop that closes what is still open, as libuv asks for.
struct Loop {
  Loop() { CHECK_EQ(uv_loop_init(&uv), 0); }
  ~Loop() {
    const auto close = [](uv_handle_t* handle, void*) {
      if (!uv_is_closing(handle)) uv_close(handle, nullptr);
    };
    uv_walk(&uv, close, nullptr);
    uv_run(&uv, UV_RUN_DEFAULT);
    CHECK_EQ(uv_loop_close(&uv), 0);
  }
  void Turn() { uv_run(&uv, UV_RUN_NOWAIT); }

  uv_loop_t uv;
};

class Timers {
 public:
  explicit Timers(int64_t count) : timers_(count) {
    for (uv_timer_t& timer : timers_) {
      uv_timer_init(&loop_.uv, &timer);
      timer.data = &fired_;
    }
  }
  static uint64_t DelayOf(std::chrono::milliseconds delay) { return delay.count(); }
  void Arm(int64_t timer, uint64_t delay) {
    const auto fire = [](uv_timer_t* due) { ++*static_cast<int64_t*>(due->data); };
    uv_timer_start(&timers_[timer], fire, delay, /*repeat=*/0);
  }
  void Cancel(int64_t timer) { uv_timer_stop(&timers_[timer]); }
  void PassTime(std::chrono::milliseconds time) {
    MoveClocks(time);
    loop_.Turn();
  }
  int64_t fired() const { return fired_; }

 private:
  int64_t fired_ = 0;
  std::vector<uv_timer_t> timers_;
  Loop loop_;
};
const bool kTimers = RegisterTimers<Timers>("libuv");

class Turns {
 public:
  explicit Turns(const std::vector<int>& eventfds) : watches_(eventfds.size()) {
    for (size_t i = 0; i < eventfds.size(); ++i) {
      uv_poll_init(&loop_.uv, &watches_[i].poll, eventfds[i]);
      watches_[i].fd = eventfds[i];
      watches_[i].events = &events_;
      uv_poll_start(&watches_[i].poll, UV_READABLE, [](uv_poll_t* poll, int, int) {
        Watch& watch = *reinterpret_cast<Watch*>(poll);
        ReadEventFd(watch.fd);
        ++*watch.events;
      });
    }
  }
  void Turn() { loop_.Turn(); }
  int64_t events() const { return events_; }

 private:
  struct Watch {
    uv_poll_t poll;
    int fd;
    int64_t* events;
  };

  int64_t events_ = 0;
  std::vector<Watch> watches_;
  Loop loop_;
};
const bool kTurns = RegisterTurns<Turns>("libuv");

class RunningLoop {
 public:
  RunningLoop() {
    uv_async_init(&loop_.uv, &news_,
                  [](uv_async_t* news) { static_cast<RunningLoop*>(news->data)->tasks_.RunAll(); });
    news_.data = this;
    thread_ = Thread::Start({.name = "loop", .cpu = LoopsCpu()}, [this] {
                uv_run(&loop_.uv, UV_RUN_DEFAULT);
              }).value();
  }
  ~RunningLoop() {
    Post([this] { uv_stop(&loop_.uv); });
    thread_.Join();
  }
  template <typename Work>
  void Post(Work work) {
    if (tasks_.Add(std::move(work))) uv_async_send(&news_);
  }

 private:
  TaskQueue tasks_;
  uv_async_t news_;
  Loop loop_;
  Thread thread_;
};
const bool kPosts = RegisterPosts<RunningLoop>("libuv");

class Listener {
 public:
  explicit Listener(Socket socket) {
    uv_tcp_init(&loop_.uv, &listener_);
    listener_.data = this;
    CHECK_EQ(uv_tcp_open(&listener_, socket.Release().Release()), 0);
    const auto accept = [](uv_stream_t* stream, int) {
      static_cast<Listener*>(stream->data)->AcceptOne();
    };
    CHECK_EQ(uv_listen(reinterpret_cast<uv_stream_t*>(&listener_), kListenBacklog, accept), 0);
  }
  void Turn() { loop_.Turn(); }
  int64_t accepted() const { return accepted_; }
  void CloseAccepted() {
    for (auto& connection : connections_) {
      uv_close(reinterpret_cast<uv_handle_t*>(connection.get()), nullptr);
    }
    loop_.Turn();
    connections_.clear();
  }

 private:
  void AcceptOne() {
    auto connection = std::make_unique<uv_tcp_t>();
    uv_tcp_init(&loop_.uv, connection.get());
    auto* const stream = reinterpret_cast<uv_stream_t*>(connection.get());
    CHECK_EQ(uv_accept(reinterpret_cast<uv_stream_t*>(&listener_), stream), 0);
    const auto no_memory = [](uv_handle_t*, size_t, uv_buf_t*) {};
    uv_read_start(stream, no_memory, [](uv_stream_t*, ssize_t, const uv_buf_t*) {});
    connections_.push_back(std::move(connection));
    ++accepted_;
  }

  int64_t accepted_ = 0;
  uv_tcp_t listener_;
  std::vector<std::unique_ptr<uv_tcp_t>> connections_;
  Loop loop_;
};
const bool kAccept = RegisterAccept<Listener>("libuv");

}  // namespace
}  // namespace millrace
