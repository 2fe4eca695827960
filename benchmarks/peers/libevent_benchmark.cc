// SPDX-License-Identifier: Apache-2.0
//
// Libevent in the micro-benchmarks. Bases that only one thread touches have no locks.
//
//   bazel run //benchmarks:libevent_benchmark                  (needs libevent-dev)

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/string_view.h"
#include "base/thread.h"
#include "benchmark/benchmark.h"
#include "benchmarks/accept_rows.h"
#include "benchmarks/codec_rows.h"
#include "benchmarks/peers/moved_clock.h"
#include "benchmarks/peers/task_queue.h"
#include "benchmarks/posts_rows.h"
#include "benchmarks/timers_rows.h"
#include "benchmarks/turns_rows.h"
#include "net/socket.h"

namespace millrace {
namespace {

template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Base = std::unique_ptr<event_base, Freer<event_base_free>>;
using Config = std::unique_ptr<event_config, Freer<event_config_free>>;
using Bytes = std::unique_ptr<evbuffer, Freer<evbuffer_free>>;

Base MakeBase(int flags = EVENT_BASE_FLAG_NOLOCK) {
  const Config config(event_config_new());
  event_config_set_flag(config.get(), flags);
  Base base(event_base_new_with_config(config.get()));
  CHECK(base != nullptr);
  return base;
}

class Timers {
 public:
  explicit Timers(int64_t count) : timers_(count) {
    const auto fire = [](int, short, void* fired) { ++*static_cast<int64_t*>(fired); };
    for (event& timer : timers_) evtimer_assign(&timer, base_.get(), fire, &fired_);
  }
  ~Timers() {
    for (event& timer : timers_) evtimer_del(&timer);
  }
  static timeval DelayOf(std::chrono::milliseconds delay) {
    return {.tv_sec = delay.count() / 1000, .tv_usec = delay.count() % 1000 * 1000};
  }
  void Arm(int64_t timer, const timeval& delay) { evtimer_add(&timers_[timer], &delay); }
  void Cancel(int64_t timer) { evtimer_del(&timers_[timer]); }
  void PassTime(std::chrono::milliseconds time) {
    MoveClocks(time);
    event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  }
  int64_t fired() const { return fired_; }

 private:
  const Base base_ = MakeBase();
  int64_t fired_ = 0;
  std::vector<event> timers_;
};
const bool kTimers = RegisterTimers<Timers>("libevent");

class Turns {
 public:
  explicit Turns(const std::vector<int>& eventfds) : watches_(eventfds.size()) {
    const auto read = [](int fd, short, void* events) {
      ReadEventFd(fd);
      ++*static_cast<int64_t*>(events);
    };
    for (size_t i = 0; i < eventfds.size(); ++i) {
      event_assign(&watches_[i], base_.get(), eventfds[i], EV_READ | EV_PERSIST, read, &events_);
      event_add(&watches_[i], nullptr);
    }
  }
  ~Turns() {
    for (event& watch : watches_) event_del(&watch);
  }
  void Turn() { event_base_loop(base_.get(), EVLOOP_NONBLOCK); }
  int64_t events() const { return events_; }

 private:
  const Base base_ = MakeBase();
  int64_t events_ = 0;
  std::vector<event> watches_;
};
const bool kTurns = RegisterTurns<Turns>("libevent");

class RunningLoop {
 public:
  RunningLoop() {
    const auto run = [](int, short, void* tasks) { static_cast<TaskQueue*>(tasks)->RunAll(); };
    event_assign(&news_, base_.get(), /*fd=*/-1, EV_READ | EV_PERSIST, run, &tasks_);
    event_add(&news_, nullptr);
    thread_ = Thread::Start({.name = "loop", .cpu = LoopsCpu()}, [this] {
                event_base_loop(base_.get(), EVLOOP_NO_EXIT_ON_EMPTY);
              }).value();
  }
  ~RunningLoop() {
    Post([this] { event_base_loopbreak(base_.get()); });
    thread_.Join();
    event_del(&news_);
  }
  template <typename Work>
  void Post(Work work) {
    if (tasks_.Add(std::move(work))) event_active(&news_, EV_READ, 0);
  }

 private:
  const bool locks_ = evthread_use_pthreads() == 0;
  const Base base_ = MakeBase(/*flags=*/0);
  TaskQueue tasks_;
  event news_;
  Thread thread_;
};
const bool kPosts = RegisterPosts<RunningLoop>("libevent");

class Listener {
 public:
  explicit Listener(Socket socket)
      : listener_(evconnlistener_new(
            base_.get(),
            [](evconnlistener*, int fd, sockaddr*, int, void* listener) {
              static_cast<Listener*>(listener)->Accepted(fd);
            },
            this, LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE, /*backlog=*/0,
            socket.Release().Release())) {}
  ~Listener() { CloseAccepted(); }
  void Turn() { event_base_loop(base_.get(), EVLOOP_NONBLOCK); }
  int64_t accepted() const { return accepted_; }
  void CloseAccepted() {
    for (auto& watch : watches_) {
      event_del(watch.get());
      close(event_get_fd(watch.get()));
    }
    watches_.clear();
  }

 private:
  void Accepted(int fd) {
    watches_.push_back(std::make_unique<event>());
    const auto ignore = [](int, short, void*) {};
    event_assign(watches_.back().get(), base_.get(), fd, EV_READ | EV_PERSIST, ignore, nullptr);
    event_add(watches_.back().get(), nullptr);
    ++accepted_;
  }

  const Base base_ = MakeBase();
  int64_t accepted_ = 0;
  std::vector<std::unique_ptr<event>> watches_;
  const std::unique_ptr<evconnlistener, Freer<evconnlistener_free>> listener_;
};
const bool kAccept = RegisterAccept<Listener>("libevent");

// --- Codecs: what one writes with an evbuffer ----------------------------------------------------

// Finds the next message in the input, looks at it and drops it. False if it is not whole yet.
bool TakeMessage(Lines, evbuffer* input) {
  char* const line = evbuffer_readln(input, nullptr, EVBUFFER_EOL_CRLF);
  benchmark::DoNotOptimize(line);
  std::free(line);
  return line != nullptr;
}

bool TakeMessage(Delimited, evbuffer* input) {
  constexpr absl::string_view kDelimiter = Delimited::kDelimiter;
  const ev_ssize_t end = evbuffer_search(input, kDelimiter.data(), kDelimiter.size(), nullptr).pos;
  if (end < 0) return false;
  benchmark::DoNotOptimize(evbuffer_pullup(input, end));
  evbuffer_drain(input, static_cast<size_t>(end) + kDelimiter.size());
  return true;
}

bool TakeMessage(LengthPrefixed, evbuffer* input) {
  uint32_t length;
  if (evbuffer_copyout(input, &length, sizeof length) < ev_ssize_t{sizeof length}) return false;
  const size_t frame_bytes = sizeof length + __builtin_bswap32(length);
  if (evbuffer_get_length(input) < frame_bytes) return false;
  benchmark::DoNotOptimize(evbuffer_pullup(input, static_cast<ev_ssize_t>(frame_bytes)));
  evbuffer_drain(input, frame_bytes);
  return true;
}

void PutMessage(Lines, absl::string_view message, evbuffer* output) {
  evbuffer_add(output, message.data(), message.size());
  evbuffer_add(output, "\n", 1);
}

void PutMessage(Delimited, absl::string_view message, evbuffer* output) {
  evbuffer_add(output, message.data(), message.size());
  evbuffer_add(output, Delimited::kDelimiter.data(), Delimited::kDelimiter.size());
}

void PutMessage(LengthPrefixed, absl::string_view message, evbuffer* output) {
  const uint32_t length = __builtin_bswap32(static_cast<uint32_t>(message.size()));
  evbuffer_add(output, &length, sizeof length);
  evbuffer_add(output, message.data(), message.size());
}

template <typename F>
class Decoder {
 public:
  using Format = F;
  int64_t Take(absl::string_view bytes) {
    evbuffer_add(input_.get(), bytes.data(), bytes.size());
    int64_t messages = 0;
    while (TakeMessage(F(), input_.get())) ++messages;
    return messages;
  }

 private:
  const Bytes input_ = Bytes(evbuffer_new());
};

template <typename F>
class Encoder {
 public:
  using Format = F;
  void Put(absl::string_view message) { PutMessage(F(), message, output_.get()); }
  void Clear() { evbuffer_drain(output_.get(), evbuffer_get_length(output_.get())); }

 private:
  const Bytes output_ = Bytes(evbuffer_new());
};

template <typename F>
bool RegisterFormat() {
  return RegisterDecoder<Decoder<F>>("libevent") && RegisterEncoder<Encoder<F>>("libevent");
}
const bool kFormats =
    RegisterFormat<Lines>() && RegisterFormat<Delimited>() && RegisterFormat<LengthPrefixed>();

}  // namespace
}  // namespace millrace
