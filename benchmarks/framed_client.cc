// SPDX-License-Identifier: Apache-2.0
//
// The load for framed servers: each connection has --pipeline requests under way, of
// --message_bytes each with its prefix, and sends another one for each reply, which must be the
// request again, in order. One thread.
//
//   bazel run //benchmarks:framed_client -- --connect=127.0.0.1:7009 --pipeline=16 --json=-

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/status_macros.h"
#include "base/thread_role.h"
#include "net/codec/framed_handler.h"
#include "net/codec/length_prefix_codec.h"
#include "net/event_loop.h"
#include "net/socket_address.h"
#include "net/tcp_client.h"
#include "net/tcp_connection.h"
#include "net/timer_wheel.h"
#include "tools/loadgen/result_file.h"
#include "tools/program/flag_set.h"
#include "tools/program/process.h"
#include "tools/program/program_main.h"

namespace millrace {
namespace {

constexpr absl::string_view kProgram = "framed_client";
constexpr int kPrefixBytes = 4;

struct Options {
  std::vector<SocketAddress> addresses = {SocketAddress::Loopback(7009)};
  int connections = 100;
  int message_bytes = 64;  // With the prefix.
  int pipeline = 16;
  absl::Duration duration = absl::Seconds(10);
  absl::Duration warmup = absl::ZeroDuration();
};

// What the connections of a run count together. Loop-only.
class Run {
 public:
  Run(EventLoop& loop, const Options& options)
      : options(options), loop_(loop), timer_(loop.timers(), [this] {
          AssertOnLoop();
          OnTimer();
        }) {}

  void OnOpen() LOOP_ONLY {
    if (++open_ < options.connections) return;
    messages_before_ = messages_all_;
    timer_.Arm(options.warmup);
  }
  void OnReply() { ++messages_all_; }
  void Fail(const std::string& why) {
    if (error_.empty()) error_ = why;
    loop_.Stop();
  }
  void End() { ended_ = true; }
  bool ended() const { return ended_; }

  const std::string& error() const { return error_; }
  std::string ToJson() const {
    const double seconds = absl::ToDoubleSeconds(measured_);
    const double messages = static_cast<double>(messages_);
    return absl::StrFormat(
        "{\n  \"mode\": \"framed\",\n  \"connections\": %d,\n  \"message_bytes\": %d,\n"
        "  \"pipeline\": %d,\n  \"seconds\": %.6f,\n  \"messages\": %d,\n"
        "  \"messages_total\": %d,\n  \"messages_per_second\": %.3f,\n  \"errors\": {}\n}\n",
        options.connections, options.message_bytes, options.pipeline, seconds, messages_,
        messages_all_, seconds > 0 ? messages / seconds : 0);
  }

  const Options& options;

 private:
  // Once the load is on and warm, and once it has been measured.
  void OnTimer() LOOP_ONLY {
    const MonotonicTime now = loop_.clock().Now();
    if (!measuring_) {
      measuring_ = true;
      messages_before_ = messages_all_;
      began_ = now;
      return timer_.Arm(options.duration);
    }
    messages_ = messages_all_ - messages_before_;
    measured_ = now - began_;
    loop_.Stop();
  }

  EventLoop& loop_;
  Timer timer_;
  int open_ = 0;
  bool measuring_ = false, ended_ = false;
  int64_t messages_all_ = 0, messages_before_ = 0, messages_ = 0;
  MonotonicTime began_;
  absl::Duration measured_;
  std::string error_;
};

// Each request has its number in front, so that none can be taken for another.
class Requests final : public FramedHandler<LengthPrefixCodec> {
 public:
  explicit Requests(Run& run)
      : run_(run), request_(static_cast<size_t>(run.options.message_bytes - kPrefixBytes), 'r') {}

 private:
  void OnOpen(TcpConnection& conn) override LOOP_ONLY {
    for (int i = 0; i < run_.options.pipeline; ++i) SendNext(conn);
    run_.OnOpen();
  }
  void OnMessage(TcpConnection& conn, const absl::string_view& reply) override LOOP_ONLY {
    if (reply != Numbered(received_++)) return run_.Fail("a reply is not what was asked for");
    run_.OnReply();
    SendNext(conn);
  }
  void OnClose(TcpConnection&, const absl::Status& why) override LOOP_ONLY {
    if (!run_.ended()) run_.Fail(absl::StrCat("a connection ended: ", why.ToString()));
  }

  void SendNext(TcpConnection& conn) LOOP_ONLY { Send(conn, Numbered(sent_++)).IgnoreError(); }
  const std::string& Numbered(uint64_t number) {
    std::memcpy(request_.data(), &number, sizeof number);
    return request_;
  }

  Run& run_;
  std::string request_;
  uint64_t sent_ = 0, received_ = 0;
};

absl::StatusOr<std::string> RunToEnd(const Options& options) {
  AssertOnLoop();
  MILLRACE_RETURN_IF_ERROR(ReserveDescriptors(options.connections + 64, "the connections"));
  MILLRACE_ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Create());
  Run run(*loop, options);
  std::vector<std::unique_ptr<TcpClient>> clients;
  for (int i = 0; i < options.connections; ++i) {
    clients.push_back(std::make_unique<TcpClient>(
        *loop,
        TcpClient::Options{
            .address = options.addresses[static_cast<size_t>(i) % options.addresses.size()],
            .handler = [&run] { return std::make_unique<Requests>(run); },
            .on_connect_failed = [&run](const absl::Status& why) { run.Fail(why.ToString()); },
            .seed = 1,
        }));
    clients.back()->Connect();
  }
  loop->Run();
  run.End();
  clients.clear();
  if (!run.error().empty()) return absl::UnavailableError(run.error());
  return run.ToJson();
}

absl::Status RunAndPrint(const Options& options, const std::string& json) {
  MILLRACE_ASSIGN_OR_RETURN(const ResultFile file, ResultFile::Open("--json", json));
  MILLRACE_ASSIGN_OR_RETURN(const std::string result, RunToEnd(options));
  return file.Write(result, result);
}

int Main(int argc, char** argv) {
  Options options;
  std::string json;
  FlagSet flags(kProgram, "Asks a framed server, and checks its replies.");
  flags.AddAddresses("connect", options.addresses, "the server; several share the connections");
  flags.AddInt("connections", options.connections, 1, 1'000'000, "how many at once");
  flags.AddInt("message_bytes", options.message_bytes, 12, 1 << 20, "of a request, all of it");
  flags.AddInt("pipeline", options.pipeline, 1, 1024, "requests under way on each connection");
  flags.AddDuration("duration", options.duration, absl::Milliseconds(1), "how long is measured");
  flags.AddDuration("warmup", options.warmup, absl::ZeroDuration(),
                    "how long the load is on before");
  flags.AddText("json", "FILE", json, "where the figures go besides; -: to stdout only");
  return ProgramMain(argc, argv, flags, [&] { return RunAndPrint(options, json); });
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) { return millrace::Main(argc, argv); }
