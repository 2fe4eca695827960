// SPDX-License-Identifier: Apache-2.0
#include "net/function_handler.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

class FunctionHandlerTest : public ConnectionTest {
 protected:
  ~FunctionHandlerTest() override { loop_.Destroy(); }  // Before the factory goes.

  Peer Open() {
    auto [ours, theirs] = TcpPair();
    table().Open(std::move(ours), SocketAddress(), {}, factory_);
    return Peer(std::move(theirs));
  }

  HandlerFactory factory_;
};

TEST_F(FunctionHandlerTest, EchoesInThreeLines) {
  factory_ = FunctionHandlers(
      {.on_data = [](TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); }});
  Peer peer = Open();
  peer.Send("hello");
  EXPECT_EQ(Receive(peer, 5), "hello");
  peer.CloseWrite();
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(StepUntil([&] { return table().size() == 0; }));
}

TEST_F(FunctionHandlerTest, EachFunctionIsCalledAsItsMethod) {
  limits_.output_bytes_low = limits_.output_bytes_high = 10;
  std::vector<std::string> events;
  factory_ = FunctionHandlers({
      .on_open = [&](TcpConnection&) { events.push_back("open"); },
      .on_data =
          [&](TcpConnection& conn, Buffer& input) {
            events.push_back(absl::StrCat("data ", input.readable()));
            if (input.size() == 1) return;
            input.Consume(5);
            conn.Send("more than ten bytes");
          },
      .on_writable = [&](TcpConnection&) { events.push_back("writable"); },
      .on_end_of_input =
          [&](TcpConnection& conn, Buffer& rest) {
            events.push_back(absl::StrCat("end ", rest.readable()));
            conn.CloseAfterFlush();
          },
      .on_drain = [&](TcpConnection&) { events.push_back("drain"); },
      .on_close =
          [&](TcpConnection&, const absl::Status& why) {
            events.push_back(absl::StrCat("close ", why.ToString()));
          },
  });
  Peer peer = Open();
  table().TellDrain();
  peer.Send("hello!");
  EXPECT_EQ(Receive(peer, 19), "more than ten bytes");
  peer.Close();
  EXPECT_TRUE(StepUntil([&] { return table().size() == 0; }));
  EXPECT_THAT(events, ElementsAre("open", "drain", "data hello!", "writable", "data !", "end !",
                                  "close OK"));
}

TEST_F(FunctionHandlerTest, EmptyOnesDoWhatAHandlerDoesByItself) {
  limits_.input_bytes_max = 7;
  factory_ = FunctionHandlers({});
  Peer peer = Open();
  table().TellDrain();
  peer.Send("dropped");
  Settle();
  peer.Send("dropped");
  peer.CloseWrite();
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.ended());
  EXPECT_TRUE(StepUntil([&] { return table().size() == 0; }));
  EXPECT_EQ(counters_.closed_on_error.value(), 0u);
}

TEST_F(FunctionHandlerTest, ConnectionsShareTheFunctionsAndWhatTheyCapture) {
  auto count = std::make_unique<int>(0);
  int& opened = *count;
  factory_ =
      FunctionHandlers({.on_open = [count = std::move(count)](TcpConnection&) { ++*count; }});
  Peer one = Open(), two = Open();
  EXPECT_EQ(opened, 2);
}

TEST_F(FunctionHandlerTest, TheFactoryMayMoveWhileConnectionsAreOpen) {
  factory_ = FunctionHandlers(
      {.on_data = [](TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); }});
  Peer peer = Open();
  HandlerFactory moved = std::move(factory_);
  peer.Send("hello");
  EXPECT_EQ(Receive(peer, 5), "hello");
  table().CloseAll(absl::CancelledError("before the factory goes"));
}

}  // namespace
}  // namespace millrace
