// SPDX-License-Identifier: Apache-2.0
//
// Whole runs, on threads, against servers in this process. What a worker does in detail is in
// load_worker_test; here it is about the run: that it begins, adds up and ends.
#include "tools/loadgen/load.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "net/codec/length_prefix_codec.h"
#include "net/function_handler.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "tests/support/server_thread.h"
#include "tools/loadgen/load_options.h"
#include "tools/loadgen/load_report.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr int kConnections = 30;
// A run that ends by itself, since nothing is left of it, must not need it.
constexpr absl::Duration kForEver = absl::Hours(10);

void Echo(TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); }

LoadOptions Options(const ServerThread& server) {
  return {.addresses = server.addresses(),
          .threads = 3,
          .connections = kConnections,
          .duration = absl::Milliseconds(100),
          .warmup = absl::ZeroDuration()};
}

TEST(LoadTest, WhatIsCountedAddsUp) {
  ServerThread server({.on_data = Echo});
  const LoadReport report = RunLoad(Options(server)).value();
  EXPECT_TRUE(report.ok()) << report.first_error;
  EXPECT_EQ(report.connections, kConnections);
  EXPECT_EQ(report.connected, kConnections);
  EXPECT_EQ(report.measured, absl::Milliseconds(100));
  EXPECT_EQ(report.duration, absl::Milliseconds(100));
  EXPECT_FALSE(report.interrupted);
  EXPECT_EQ(report.latency.count(), report.messages);
  const TcpServer::Stats stats = server.stats();
  EXPECT_EQ(stats.accepted, kConnections);
  EXPECT_EQ(stats.bytes_read, stats.bytes_written);
  EXPECT_EQ(stats.bytes_read % 64, 0);
  EXPECT_GE(stats.bytes_read, 64 * report.messages);
  EXPECT_GE(stats.bytes_read, 64 * kConnections) << "each has sent at least one";
  EXPECT_EQ(stats.closed_on_error, 0) << "all ended in good order";
}

TEST(LoadTest, ChurnAddsUpToo) {
  ServerThread server({.on_data = Echo});
  LoadOptions options = Options(server);
  options.mode = LoadMode::kChurn;
  const LoadReport report = RunLoad(options).value();
  EXPECT_TRUE(report.ok()) << report.first_error;
  EXPECT_EQ(report.latency.count(), report.messages);
  EXPECT_GE(server.stats().accepted, report.messages);
  EXPECT_EQ(server.stats().closed_on_error, 0);
}

TEST(LoadTest, MoreThreadsThanConnectionsAreNotNeeded) {
  ServerThread server({.on_data = Echo});
  LoadOptions options = Options(server);
  options.connections = 1;
  const LoadReport report = RunLoad(options).value();
  EXPECT_TRUE(report.ok()) << report.first_error;
  EXPECT_EQ(server.stats().accepted, 1);
}

TEST(LoadTest, AServerThatFlipsABitIsCaught) {
  ServerThread server({.on_data = [](TcpConnection& conn, Buffer& input) {
    input.data()[input.size() - 1] ^= 1;
    conn.Send(std::move(input));
  }});
  LoadOptions options = Options(server);
  options.duration = kForEver;
  const LoadReport report = RunLoad(options).value();
  EXPECT_FALSE(report.ok());
  EXPECT_THAT(report.errors, ElementsAre(Pair("wrong_bytes", kConnections)));
  EXPECT_THAT(report.first_error, HasSubstr(" of what came back, which is byte 63 of message "));
}

// Every bit but one is right, of eight million. One connection, so that there is just one
// millionth.
TEST(LoadTest, AServerThatFlipsOneByteInAMillionIsCaught) {
  constexpr uint64_t kAt = 1'000'000;
  uint64_t seen = 0;  // The server's one worker counts.
  ServerThread server({.on_data = [&seen](TcpConnection& conn, Buffer& input) {
    if (seen < kAt && seen + input.size() >= kAt) input.data()[kAt - 1 - seen] ^= 4;
    seen += input.size();
    conn.Send(std::move(input));
  }});
  LoadOptions options = Options(server);
  options.duration = kForEver;
  options.connections = 1;
  options.message_bytes = 1000;
  options.pipeline = 10;
  const LoadReport report = RunLoad(options).value();
  EXPECT_THAT(report.errors, ElementsAre(Pair("wrong_bytes", 1)));
  EXPECT_THAT(report.first_error, HasSubstr("connection 0 to "));
  EXPECT_THAT(report.first_error,
              HasSubstr("byte 999999 of what came back, which is byte 999 of message 999, is 0x"));
}

// The server reads the lengths, and finds whole messages.
void Reply(TcpConnection& conn, Buffer& input) {
  while (const auto request = LengthPrefixCodec().Decode(input.readable()).value()) {
    conn.Send(input.readable().substr(0, request->bytes));
    input.Consume(request->bytes);
  }
}

TEST(LoadTest, FramedMessagesOfEverySizeAreRepliedTo) {
  ServerThread server({.on_data = Reply});
  LoadOptions options = Options(server);
  options.connections = 3;
  options.framed = true;
  options.duration = absl::Milliseconds(20);
  for (const auto& [message_bytes, pipeline] :
       {std::pair(4, 1), {5, 1000}, {64, 16}, {5000, 3}, {20'000, 5}, {200'000, 2}}) {
    options.message_bytes = message_bytes;
    options.pipeline = pipeline;
    const LoadReport report = RunLoad(options).value();
    EXPECT_TRUE(report.ok()) << message_bytes << ": " << report.first_error;
    EXPECT_EQ(server.stats().bytes_read, server.stats().bytes_written);
  }
}

TEST(LoadTest, FramedTheyMayBeChurnedAndPaced) {
  ServerThread server({.on_data = Reply});
  LoadOptions options = Options(server);
  options.framed = true;
  options.mode = LoadMode::kChurn;
  EXPECT_EQ(RunLoad(options)->first_error, "");
  options.mode = LoadMode::kEcho;
  options.rate = 2000;
  options.pipeline = 100;
  const LoadReport report = RunLoad(options).value();
  EXPECT_TRUE(report.ok()) << report.first_error;
  EXPECT_EQ(report.latency.count(), 200);
}

// The fifth request is answered by an empty message, as if it had failed.
TEST(LoadTest, AReplyThatIsNotTheRequestIsCaught) {
  int requests = 0;  // The server's one worker counts.
  ServerThread server({.on_data = [&requests](TcpConnection& conn, Buffer& input) {
    if (++requests < 5) return Reply(conn, input);
    input.Clear();
    conn.Send(absl::string_view("\0\0\0\0", 4));
  }});
  LoadOptions options = Options(server);
  options.connections = 1;
  options.framed = true;
  options.duration = kForEver;
  const LoadReport report = RunLoad(options).value();
  EXPECT_THAT(report.errors, ElementsAre(Pair("wrong_bytes", 1)));
  EXPECT_THAT(report.first_error,
              HasSubstr("byte 259 of what came back, which is byte 3 of message 4, is 0x00 and "
                        "not 0x3c"));
}

TEST(LoadTest, HowBusyTheClientWasIsMeasured) {
  ServerThread server({.on_data = Echo});
  const LoadReport report = RunLoad(Options(server)).value();
  EXPECT_GT(report.client_busy, 0);
  EXPECT_LE(report.client_busy, 1);
}

TEST(LoadTest, WithARateThereAreAsManyAsWereDue) {
  ServerThread server({.on_data = Echo});
  LoadOptions options = Options(server);
  options.rate = 2000;
  options.pipeline = 100;
  const LoadReport report = RunLoad(options).value();
  EXPECT_TRUE(report.ok()) << report.first_error;
  EXPECT_EQ(report.rate, 2000);
  EXPECT_EQ(report.latency.count(), 200);
  EXPECT_EQ(report.lateness.count(), 200);
  EXPECT_EQ(report.unsent, 0);
  EXPECT_EQ(server.stats().bytes_read, 200 * 64);
}

// It answers nothing until 50 messages are there: the first of them was due 49 ms before the last,
// and the 25th 25 ms. A closed loop would have had one slow message.
TEST(LoadTest, AServerThatStallsShowsInThePercentiles) {
  bool stalls = true;  // The server's one worker's.
  ServerThread server({.on_data = [&](TcpConnection& conn, Buffer& input) {
    if (stalls && input.size() < 50 * 64) return;  // It stays in the buffer.
    stalls = false;
    conn.Send(std::move(input));
  }});
  LoadOptions options = Options(server);
  options.connections = 1;
  options.pipeline = 1000;
  options.rate = 1000;
  options.duration = absl::Milliseconds(200);
  const LoadReport report = RunLoad(options).value();
  EXPECT_TRUE(report.ok()) << report.first_error;
  EXPECT_EQ(report.latency.count(), 200);
  EXPECT_GE(report.latency.max(), absl::Milliseconds(49));
  EXPECT_GE(report.latency.Percentile(90), absl::Milliseconds(24)) << "an eighth waited so long";
}

TEST(LoadTest, ThroughputAddsUpToTheMessages) {
  ServerThread server({.on_data = Echo});
  LoadOptions options = Options(server);
  options.duration = absl::Milliseconds(250);
  const LoadReport report = RunLoad(options).value();
  EXPECT_EQ(report.throughput.counts().size(), 3u);
  int64_t sum = 0;
  for (const int64_t count : report.throughput.counts()) sum += count;
  EXPECT_EQ(sum, report.messages);
}

TEST(LoadTest, AServerThatClosesEarlyEndsTheRun) {
  ServerThread server({.on_open = [](TcpConnection& conn) { conn.CloseAfterFlush(); }});
  LoadOptions options = Options(server);
  options.duration = kForEver;
  const LoadReport report = RunLoad(options).value();
  EXPECT_THAT(report.errors, ElementsAre(Pair("closed", kConnections)));
  EXPECT_LT(report.measured, kForEver);
}

TEST(LoadTest, AServerThatNeverAnswersDoesNotHangIt) {
  ServerThread server({});
  LoadOptions options = Options(server);
  options.duration = absl::Milliseconds(10);
  options.grace = absl::Milliseconds(10);
  const LoadReport report = RunLoad(options).value();
  EXPECT_THAT(report.errors, ElementsAre(Pair("timeout", kConnections)));
  EXPECT_EQ(report.messages, 0);
}

TEST(LoadTest, NoServerIsAnErrorOfEachConnection) {
  Socket bound = Socket::CreateFor(SocketAddress::Loopback(0)).value();
  ASSERT_TRUE(bound.Bind(SocketAddress::Loopback(0)).ok());
  const LoadOptions options = {.addresses = {bound.LocalAddress().value()},
                               .connections = kConnections,
                               .duration = kForEver};
  const LoadReport report = RunLoad(options).value();
  EXPECT_THAT(report.errors, ElementsAre(Pair("connect", kConnections)));
  EXPECT_THAT(report.first_error, HasSubstr("Connection refused"));
}

// The run is for ever, and the server gone once its progress is as it should be.
TEST(LoadTest, ProgressIsTold) {
  std::optional<ServerThread> server;
  server.emplace(ConnectionFunctions{.on_data = Echo});
  LoadOptions options = Options(*server);
  options.duration = kForEver;
  LoadProgress last;
  const auto on_progress = [&](const LoadProgress& progress) {
    last = progress;
    const bool complete = progress.phase == LoadProgress::Phase::kMeasuring &&
                          progress.connections == kConnections && progress.messages_per_second > 0;
    if (complete) server.reset();
  };
  const LoadReport report = RunLoad(options, on_progress).value();
  EXPECT_GT(last.measured, absl::ZeroDuration());
  EXPECT_GT(last.messages, 0);
  EXPECT_EQ(report.error_count(), kConnections);
}

TEST(LoadTest, OptionsThatCannotBeAreRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(RunLoad({}).status()));
}

TEST(LoadTest, MoreConnectionsThanDescriptorsAreRefused) {
  const LoadOptions options = {.addresses = {SocketAddress::Loopback(7)},
                               .connections = 10'000'000};
  const absl::Status status = RunLoad(options).status();
  if (status.ok()) GTEST_SKIP() << "this machine allows them";
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("10000000 connections need 10000"));
}

}  // namespace
}  // namespace millrace
