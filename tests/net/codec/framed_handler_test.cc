// SPDX-License-Identifier: Apache-2.0
#include "net/codec/framed_handler.h"

#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/close_reason.h"
#include "net/codec/codec.h"
#include "net/codec/length_prefix_codec.h"
#include "net/codec/line_codec.h"
#include "net/connection_limits.h"
#include "net/limits.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/peer.h"
#include "tests/support/socket_pair.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// What a handler was told, and what it is to do. Outlives it.
struct MessageLog {
  std::vector<std::string> messages;
  std::vector<absl::Status> bad_inputs, closes;
  TcpConnection* connection = nullptr;

  std::function<void(TcpConnection&, absl::string_view)> on_message;
  std::function<void(TcpConnection&)> on_bad_input;  // Empty: the default, Abort().
};

template <Codec C>
class RecordingMessages final : public FramedHandler<C> {
 public:
  RecordingMessages(MessageLog& log, C codec) : FramedHandler<C>(std::move(codec)), log_(log) {}

  void OnOpen(TcpConnection& conn) override { log_.connection = &conn; }
  // Writes the message down last: it must be good as long as the call.
  void OnMessage(TcpConnection& conn, const absl::string_view& message) override {
    if (log_.on_message) log_.on_message(conn, message);
    log_.messages.emplace_back(message);
  }
  void OnBadInput(TcpConnection& conn, const absl::Status& why) override {
    log_.bad_inputs.push_back(why);
    log_.on_bad_input ? log_.on_bad_input(conn) : FramedHandler<C>::OnBadInput(conn, why);
  }
  void OnClose(TcpConnection&, const absl::Status& why) override {
    log_.closes.push_back(why);
    log_.connection = nullptr;
  }

 private:
  MessageLog& log_;
};

// Answers each line with itself, and allocates nothing.
class EchoingLines final : public FramedHandler<LineCodec> {
  void OnMessage(TcpConnection& conn, const absl::string_view& line) override {
    ASSERT_TRUE(Send(conn, line).ok());
  }
};

class FramedHandlerTest : public ConnectionTest {
 protected:
  ~FramedHandlerTest() override { loop_.Destroy(); }  // While told_ is still there to be told.

  template <Codec C>
  Peer OpenWith(C codec, std::pair<Socket, Socket> ends = TcpPair()) {
    table().Open(std::move(ends.first), SocketAddress(), {},
                 [&] { return std::make_unique<RecordingMessages<C>>(told_, codec); });
    return Peer(std::move(ends.second));
  }
  Peer OpenLines() { return OpenWith(LineCodec()); }
  Peer OpenLinesOfFour() { return OpenWith(LineCodec({.line_bytes_max = 4})); }

  TcpConnection& conn() { return *told_.connection; }
  bool StepUntilMessages(size_t n) {
    return StepUntil([&] { return told_.messages.size() >= n; });
  }
  bool StepUntilClosed() {
    return StepUntil([&] { return !told_.closes.empty(); });
  }

  MessageLog told_;
};

const absl::Status& TooLong() {
  static const auto* const error =
      new absl::Status(absl::ResourceExhaustedError("a line of more than 4 bytes"));
  return *error;
}

TEST_F(FramedHandlerTest, MessagesComeInOrder) {
  Peer peer = OpenLines();
  for (const char* line : {"one\n", "two\n", "three\n"}) {
    peer.Send(line);
    Settle();
  }
  EXPECT_THAT(told_.messages, ElementsAre("one", "two", "three"));
}

TEST_F(FramedHandlerTest, AMessageMayComeInPieces) {
  Peer peer = OpenLines();
  for (const char* piece : {"o", "n", "e", "\r", "\ntw", "o\nthr"}) {
    peer.Send(piece);
    Settle();
  }
  EXPECT_THAT(told_.messages, ElementsAre("one", "two"));
}

TEST_F(FramedHandlerTest, AllMessagesOfOneReadComeInItsTurn) {
  Peer peer = OpenLines();
  peer.Send("one\ntwo\nthree\n");
  ASSERT_TRUE(StepUntilMessages(1));
  EXPECT_THAT(told_.messages, ElementsAre("one", "two", "three"));
}

TEST_F(FramedHandlerTest, SendsWhatItsCodecEncodes) {
  Peer peer = OpenWith(LengthPrefixCodec({.prefix_bytes = 2}));
  told_.on_message = [](TcpConnection& conn, absl::string_view message) {
    auto& handler = conn.handler<FramedHandler<LengthPrefixCodec>>();
    EXPECT_TRUE(handler.Send(conn, absl::StrCat(message, message)).ok());
  };
  peer.Send(std::string("\0\3two", 5));
  EXPECT_EQ(Receive(peer, 8), std::string("\0\6twotwo", 8));
}

TEST_F(FramedHandlerTest, SendsNothingOfWhatCannotBeEncoded) {
  Peer peer = OpenLines();
  Settle();
  auto& handler = conn().handler<FramedHandler<LineCodec>>();
  EXPECT_TRUE(absl::IsInvalidArgument(handler.Send(conn(), "one\ntwo")));
  EXPECT_TRUE(absl::IsResourceExhausted(handler.Send(conn(), std::string(4097, 'x'))));
  EXPECT_EQ(conn().output_bytes(), 0u);
}

TEST_F(FramedHandlerTest, AfterAPauseTheRestIsHeldBackUntilResumed) {
  told_.on_message = [](TcpConnection& conn, absl::string_view) { conn.PauseReading(); };
  Peer peer = OpenLines();
  peer.Send("one\ntwo\nthree\n");
  Settle();
  EXPECT_THAT(told_.messages, ElementsAre("one"));
  conn().ResumeReading();
  Settle();
  EXPECT_THAT(told_.messages, ElementsAre("one", "two"));
  told_.on_message = nullptr;
  conn().ResumeReading();
  Settle();
  EXPECT_THAT(told_.messages, ElementsAre("one", "two", "three"));
}

TEST_F(FramedHandlerTest, WhatIsHeldBackComesBeforeTheEnd) {
  told_.on_message = [](TcpConnection& conn, absl::string_view) { conn.PauseReading(); };
  Peer peer = OpenLines();
  peer.Send("one\ntwo\n");
  peer.CloseWrite();
  Settle();
  EXPECT_THAT(told_.messages, ElementsAre("one"));
  told_.on_message = nullptr;
  conn().ResumeReading();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_THAT(told_.messages, ElementsAre("one", "two"));
  EXPECT_THAT(told_.closes, ElementsAre(absl::OkStatus()));
}

TEST_F(FramedHandlerTest, NoMessageComesAfterTakingLeave) {
  told_.on_message = [](TcpConnection& conn, absl::string_view) {
    conn.Send("bye\n");
    conn.CloseAfterFlush();
  };
  Peer peer = OpenLines();
  peer.Send("one\ntwo\n");
  EXPECT_EQ(ReceiveAll(peer), "bye\n");
  peer.Send("three\n");
  peer.Close();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_THAT(told_.messages, ElementsAre("one"));
  EXPECT_THAT(told_.closes, ElementsAre(absl::OkStatus()));
}

TEST_F(FramedHandlerTest, NoMessageComesAfterAborting) {
  told_.on_message = [](TcpConnection& conn, absl::string_view) {
    conn.Abort(absl::CancelledError("enough"));
  };
  Peer peer = OpenLines();
  peer.Send("one\ntwo\n");
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_THAT(told_.messages, ElementsAre("one"));
  EXPECT_THAT(told_.closes, ElementsAre(absl::CancelledError("enough")));
}

TEST_F(FramedHandlerTest, WhoDoesNotReadItsAnswersGetsNoMoreMessagesThrough) {
  constexpr int kMessages = 100;
  const std::string answer(1000, 'x');
  limits_.output_bytes_high = 4000;
  limits_.output_bytes_low = 1000;
  told_.on_message = [&](TcpConnection& conn, absl::string_view) { conn.Send(answer); };
  Peer peer = OpenWith(LineCodec(), NarrowUnixPair());
  std::string lines;
  for (int i = 0; i < kMessages; ++i) absl::StrAppend(&lines, i, "\n");
  peer.Send(lines);
  Settle();
  const size_t before = told_.messages.size();
  EXPECT_GE(before, 5u) << "one more than fit below the mark";
  EXPECT_LT(before, 40u);
  Settle();
  EXPECT_EQ(told_.messages.size(), before);
  EXPECT_EQ(Receive(peer, kMessages * answer.size()).size(), kMessages * answer.size());
  ASSERT_EQ(told_.messages.size(), size_t{kMessages});
  EXPECT_EQ(told_.messages.back(), "99");
}

TEST_F(FramedHandlerTest, BadInputAborts) {
  Peer peer = OpenLinesOfFour();
  peer.Send("ok\nfives\nmore\n");
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_THAT(told_.messages, ElementsAre("ok"));
  EXPECT_THAT(told_.bad_inputs, ElementsAre(TooLong()));
  EXPECT_THAT(told_.closes, ElementsAre(TooLong()));
  EXPECT_EQ(counters_.ended[static_cast<size_t>(CloseCause::kBadInput)].value(), 1u);
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.was_reset());
}

TEST_F(FramedHandlerTest, WhatIsSentOnBadInputArrivesWhole) {
  told_.on_bad_input = [](TcpConnection& conn) {
    conn.Send("! line too long\n");
    conn.CloseAfterFlush();
  };
  Peer peer = OpenLinesOfFour();
  Send(peer, "ok\n" + std::string(1'000'000, 'x') + "\nmore\n");
  EXPECT_EQ(ReceiveAll(peer), "! line too long\n");
  EXPECT_TRUE(peer.ended());
  peer.Close();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_THAT(told_.messages, ElementsAre("ok"));
  EXPECT_THAT(told_.bad_inputs, ElementsAre(TooLong()));
  EXPECT_THAT(told_.closes, ElementsAre(absl::OkStatus()));
}

TEST_F(FramedHandlerTest, BadInputThatNobodyMindsAborts) {
  told_.on_bad_input = [](TcpConnection&) {};
  Peer peer = OpenLinesOfFour();
  peer.Send("fives");
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_THAT(told_.closes, ElementsAre(TooLong()));
}

TEST_F(FramedHandlerTest, BadInputMayBeAbortedForAnotherReason) {
  told_.on_bad_input = [](TcpConnection& conn) { conn.Abort(absl::CancelledError("rude")); };
  Peer peer = OpenLinesOfFour();
  peer.Send("fives");
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_THAT(told_.closes, ElementsAre(absl::CancelledError("rude")));
}

TEST_F(FramedHandlerTest, AfterBadInputAPausedConnectionMayCloseLater) {
  told_.on_bad_input = [](TcpConnection& conn) { conn.PauseReading(); };
  Peer peer = OpenLinesOfFour();
  peer.Send("fives\nok\n");
  Settle();
  EXPECT_THAT(told_.bad_inputs, ElementsAre(TooLong()));
  ASSERT_THAT(told_.closes, IsEmpty());
  conn().Send("! line too long\n");
  conn().CloseAfterFlush();
  EXPECT_EQ(ReceiveAll(peer), "! line too long\n");
  peer.Close();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_THAT(told_.messages, IsEmpty());
  EXPECT_THAT(told_.closes, ElementsAre(absl::OkStatus()));
}

TEST_F(FramedHandlerTest, BadInputStaysBadWhenReadingGoesOn) {
  told_.on_bad_input = [](TcpConnection& conn) { conn.PauseReading(); };
  Peer peer = OpenLinesOfFour();
  peer.Send("fives\nok\n");
  Settle();
  told_.on_bad_input = nullptr;
  conn().ResumeReading();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_THAT(told_.bad_inputs, ElementsAre(TooLong(), TooLong()));
  EXPECT_THAT(told_.closes, ElementsAre(TooLong()));
}

TEST_F(FramedHandlerTest, AMessageThatIsCutOffIsDropped) {
  Peer peer = OpenLines();
  peer.Send("whole\ncut o");
  peer.CloseWrite();
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_THAT(told_.messages, ElementsAre("whole"));
  EXPECT_THAT(told_.bad_inputs, IsEmpty());
  EXPECT_THAT(told_.closes, ElementsAre(absl::OkStatus()));
  EXPECT_EQ(ReceiveAll(peer), "");
  EXPECT_TRUE(peer.ended());
}

TEST_F(FramedHandlerTest, TheLongestFrameFitsTheDefaultLimits) {
  Peer peer = OpenWith(LengthPrefixCodec({.prefix_bytes = 8}));
  const std::string longest = Pattern(kInputBytesMax - 8);
  Send(peer, std::string("\0\0\0\0\0\x0f\xff\xf8", 8) + longest);
  ASSERT_TRUE(StepUntilMessages(1));
  EXPECT_EQ(told_.messages[0], longest);
}

TEST_F(FramedHandlerTest, AMessageAllocatesNothing) {
  auto [ours, theirs] = TcpPair();
  table().Open(std::move(ours), SocketAddress(), {},
               [] { return std::make_unique<EchoingLines>(); });
  const auto exchange = [&, fd = theirs.fd()] {
    constexpr absl::string_view kLines = "one\ntwo\nthree\n";
    ASSERT_EQ(send(fd, kLines.data(), kLines.size(), MSG_NOSIGNAL), kLines.size());
    char back[64];
    size_t received = 0;
    ASSERT_TRUE(StepUntil([&] {
      const ssize_t n = recv(fd, back + received, sizeof(back) - received, 0);
      if (n > 0) received += static_cast<size_t>(n);
      return received == kLines.size();
    }));
    ASSERT_EQ(absl::string_view(back, received), kLines);
  };
  for (int i = 0; i < 100; ++i) exchange();
  const int64_t before = Allocations();
  for (int i = 0; i < 1'000; ++i) exchange();
  EXPECT_EQ(Allocations() - before, 0);
}

}  // namespace
}  // namespace millrace
