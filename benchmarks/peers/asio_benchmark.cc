// SPDX-License-Identifier: Apache-2.0
//
// Asio in the micro-benchmarks. Contexts are told that there is one thread, and objects name their
// executor's type, which saves locks, and calls through pointers.
//
//   bazel run //benchmarks:asio_benchmark                      (needs libasio-dev)

#include <unistd.h>

#include <array>
#include <asio.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/thread.h"
#include "benchmark/benchmark.h"
#include "benchmarks/accept_rows.h"
#include "benchmarks/codec_rows.h"
#include "benchmarks/peers/moved_clock.h"
#include "benchmarks/posts_rows.h"
#include "benchmarks/timers_rows.h"
#include "benchmarks/turns_rows.h"
#include "net/socket.h"

namespace millrace {
namespace {

using asio::ip::tcp;
using Executor = asio::io_context::executor_type;

// Has always something to wait for, so that it never counts as stopped.
struct Context {
  asio::io_context asio{1};
  asio::executor_work_guard<Executor> work{asio.get_executor()};
};

class Timers {
 public:
  explicit Timers(int64_t count) {
    timers_.reserve(count);
    for (int64_t i = 0; i < count; ++i) timers_.emplace_back(context_.asio);
  }
  static std::chrono::milliseconds DelayOf(std::chrono::milliseconds delay) { return delay; }
  void Arm(int64_t timer, std::chrono::milliseconds delay) {
    RunCancelled(timers_[timer].expires_after(delay));
    timers_[timer].async_wait([this](const std::error_code& error) {
      if (!error) ++fired_;
    });
  }
  void Cancel(int64_t timer) { RunCancelled(timers_[timer].cancel()); }
  void PassTime(std::chrono::milliseconds time) {
    MoveClocks(time);
    context_.asio.poll();
  }
  int64_t fired() const { return fired_; }

 private:
  using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                           asio::wait_traits<std::chrono::steady_clock>, Executor>;

  // Handlers of what was cancelled are called too, in a later turn.
  void RunCancelled(size_t handlers) {
    cancelled_ += handlers;
    if (cancelled_ < 100) return;
    context_.asio.poll();
    cancelled_ = 0;
  }

  Context context_;
  int64_t fired_ = 0;
  size_t cancelled_ = 0;
  std::vector<Timer> timers_;
};
const bool kTimers = RegisterTimers<Timers>("Asio");

class Turns {
 public:
  explicit Turns(const std::vector<int>& eventfds) {
    for (const int fd : eventfds) {
      watches_.push_back(std::make_unique<Watch>(context_.asio, fd));
      Read(*watches_.back());
    }
  }
  ~Turns() {
    for (const auto& watch : watches_) watch->descriptor.release();
  }
  void Turn() { context_.asio.poll(); }
  int64_t events() const { return events_; }

 private:
  struct Watch {
    Watch(asio::io_context& context, int fd) : descriptor(context, fd) {}
    asio::posix::basic_stream_descriptor<Executor> descriptor;
    // More than there is to read: a short read tells it that nothing is left.
    std::array<uint64_t, 2> value;
  };

  void Read(Watch& watch) {
    watch.descriptor.async_read_some(asio::buffer(watch.value),
                                     [this, &watch](const std::error_code& error, size_t) {
                                       if (error) return;
                                       ++events_;
                                       Read(watch);
                                     });
  }

  Context context_;
  int64_t events_ = 0;
  std::vector<std::unique_ptr<Watch>> watches_;
};
const bool kTurns = RegisterTurns<Turns>("Asio");

class RunningLoop {
 public:
  RunningLoop() {
    thread_ =
        Thread::Start({.name = "loop", .cpu = LoopsCpu()}, [this] { context_.asio.run(); }).value();
  }
  ~RunningLoop() { context_.asio.stop(); }
  template <typename Work>
  void Post(Work work) {
    asio::post(context_.asio, std::move(work));
  }

 private:
  Context context_;
  Thread thread_;
};
const bool kPosts = RegisterPosts<RunningLoop>("Asio");

class Listener {
 public:
  explicit Listener(Socket socket)
      : acceptor_(context_.asio, tcp::v4(), socket.Release().Release()) {
    acceptor_.non_blocking(true);
    AcceptNext();
  }
  void Turn() { context_.asio.poll(); }
  int64_t accepted() const { return accepted_; }
  void CloseAccepted() { connections_.clear(); }

 private:
  // Asio watches a connection from the first.
  void AcceptNext() {
    acceptor_.async_accept([this](const std::error_code& error, auto connection) {
      if (error) return;
      connections_.push_back(std::move(connection));
      ++accepted_;
      AcceptNext();
    });
  }

  Context context_;
  int64_t accepted_ = 0;
  asio::basic_socket_acceptor<tcp, Executor> acceptor_;
  std::vector<asio::basic_stream_socket<tcp, Executor>> connections_;
};
const bool kAccept = RegisterAccept<Listener>("Asio");

// --- Codecs: read_until, from a stream that has in memory what it will bring
// -----------------------

class MemoryStream {
 public:
  void Offer(absl::string_view bytes) { bytes_ = bytes; }

  template <typename Buffers>
  size_t read_some(const Buffers& buffers, std::error_code& error) {
    const size_t n = asio::buffer_copy(buffers, asio::buffer(bytes_.data(), bytes_.size()));
    bytes_.remove_prefix(n);
    error = n == 0 ? asio::error::would_block : std::error_code();
    return n;
  }

 private:
  absl::string_view bytes_;
};

char DelimiterOf(Lines) { return '\n'; }
std::string DelimiterOf(Delimited) { return std::string(Delimited::kDelimiter); }

template <typename F>
class Decoder {
 public:
  using Format = F;

  Decoder() { input_.prepare(kPieceBytes); }  // It reads as much as this has room for.
  int64_t Take(absl::string_view bytes) {
    stream_.Offer(bytes);
    int64_t messages = 0;
    std::error_code error;
    while (const size_t frame_bytes = asio::read_until(stream_, input_, delimiter_, error)) {
      benchmark::DoNotOptimize(input_.data().data());
      input_.consume(frame_bytes);
      ++messages;
    }
    return messages;
  }

 private:
  const decltype(DelimiterOf(F())) delimiter_ = DelimiterOf(F());
  MemoryStream stream_;
  asio::streambuf input_;
};
const bool kDecoders =
    RegisterDecoder<Decoder<Lines>>("Asio") && RegisterDecoder<Decoder<Delimited>>("Asio");

}  // namespace
}  // namespace millrace
