// SPDX-License-Identifier: Apache-2.0
//
// From inside each call of the handler, whatever a handler may do. Nothing may be touched after it
// is gone (which AddressSanitizer sees), no call may come out of order, and all memory must come
// back.
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/limits.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"

namespace millrace {
namespace {

class TcpConnectionCallsTest : public ConnectionTest {
 public:
  // What the actions below may use.
  void CloseTable() { table().CloseAll(absl::CancelledError("all")); }
  // As a server or a client that is destroyed does.
  void DestroyTable() {
    table().StopTelling();
    CloseTable();
    ForgetTable();
  }
  void ReleaseTable() { ForgetTable(); }
  void OpenAnother() {
    if (!others_.empty()) return;
    others_.push_back(Open(TcpPair(), neighbour_log_));
    if (neighbour_log_.connection != nullptr) neighbour_log_.connection->Send("hello");
  }
  void PeerResets() {
    if (peer_ != nullptr) peer_->Reset();
    gone_ = true;
  }
  void PeerCloses() {
    if (peer_ != nullptr) peer_->Close();
    gone_ = true;
  }
  void Post(std::function<void(TcpConnection&)> work, TcpConnection& conn) {
    conn.handle().Run([work = std::move(work)](TcpConnection& conn) { work(conn); });
  }

 protected:
  TcpConnectionCallsTest() {
    limits_.output_bytes_low = 1'000;
    limits_.output_bytes_high = 2'000;
    limits_.idle_timeout = absl::Seconds(60);
  }
  ~TcpConnectionCallsTest() override { loop_.Destroy(); }

  void ForgetTable() {
    if (std::exchange(table_gone_, true)) return;
    event_loop_.Release(table());
  }
  bool PeerIsThere() const { return peer_ != nullptr && !gone_; }

  // Has every callback come, as far as what happened lets it, and waits for the end.
  void RunThrough() {
    OutputQueue::Pools& pools = memory().output_pools();
    peer_ = std::make_unique<Peer>(Open());
    Settle();
    if (!table_gone_) table().TellDrain();
    if (PeerIsThere()) peer_->SendSome("hello");
    Settle();
    if (log_.connection != nullptr) log_.connection->SendOwned(std::string(5'000, 'x'));
    Settle();
    if (PeerIsThere()) peer_->ReceiveSome();
    if (PeerIsThere()) peer_->SendSome("more");
    Settle();
    if (PeerIsThere()) peer_->CloseWrite();
    Settle();
    if (PeerIsThere()) peer_->ReceiveSome();
    Settle();
    // Whoever is half closed, or paused, ends by timeout.
    for (int i = 0; i < 4; ++i) loop_.Advance(absl::Seconds(60)), Settle();
    if (log_.closes.empty()) return loop_.Destroy();  // It was stopped, or is busy for ever.
    EXPECT_EQ(pools.blocks.in_use(), 0u);
    EXPECT_EQ(pools.pieces.in_use(), 0u);
  }

  void ExpectAnOrderlyStory() {
    ASSERT_FALSE(log_.events.empty());
    EXPECT_EQ(log_.events.front(), "open");
    EXPECT_EQ(log_.closes.size(), 1u);
    EXPECT_TRUE(absl::StartsWith(log_.events.back(), "close ")) << log_.events.back();
    EXPECT_EQ(std::count(log_.events.begin(), log_.events.end(), "open"), 1);
    EXPECT_LE(std::count(log_.events.begin(), log_.events.end(), "end"), 1);
    EXPECT_EQ(counters_.opened.value(), counters_.closed.value());
  }

  EventLoop& event_loop_ = *loop_;  // Which TestLoop no longer knows while it destroys it.
  std::unique_ptr<Peer> peer_;
  std::vector<Peer> others_;
  bool gone_ = false;
  bool table_gone_ = false;
};

struct Action {
  const char* name;
  std::function<void(TcpConnectionCallsTest&, TcpConnection&)> act;
};

void PrintTo(const Action& action, std::ostream* out) { *out << action.name; }

const Action kActions[] = {
    {"Nothing", [](TcpConnectionCallsTest&, TcpConnection&) {}},
    {"Send", [](TcpConnectionCallsTest&, TcpConnection& conn) { conn.Send("something"); }},
    {"SendMuch",
     [](TcpConnectionCallsTest&, TcpConnection& conn) {
       if (conn.output_bytes() < 50'000) conn.Send(std::string(10'000, 'y'));
     }},
    {"SendTooMuch",
     [](TcpConnectionCallsTest&, TcpConnection& conn) {
       conn.SendOwned(std::string(kOutputBytesMax + 1, 'y'));
     }},
    {"CloseAfterFlush",
     [](TcpConnectionCallsTest&, TcpConnection& conn) { conn.CloseAfterFlush(); }},
    {"SendAndCloseAfterFlush",
     [](TcpConnectionCallsTest&, TcpConnection& conn) {
       conn.Send("last");
       conn.CloseAfterFlush();
     }},
    {"CloseWrite", [](TcpConnectionCallsTest&, TcpConnection& conn) { conn.CloseWrite(); }},
    {"Abort", [](TcpConnectionCallsTest&,
                 TcpConnection& conn) { conn.Abort(absl::AbortedError("from inside")); }},
    {"AbortTwice",
     [](TcpConnectionCallsTest&, TcpConnection& conn) {
       conn.Abort(absl::AbortedError("from inside"));
       conn.Send("dropped");
       conn.Abort(absl::InternalError("never told"));
     }},
    {"PauseReading", [](TcpConnectionCallsTest&, TcpConnection& conn) { conn.PauseReading(); }},
    {"PauseAndResumeReading",
     [](TcpConnectionCallsTest&, TcpConnection& conn) {
       conn.PauseReading();
       conn.ResumeReading();
     }},
    {"SetTimeouts",
     [](TcpConnectionCallsTest&, TcpConnection& conn) {
       conn.SetIdleTimeout(absl::Milliseconds(1));
       conn.SetReadTimeout(absl::Milliseconds(1));
       conn.SetWriteTimeout(absl::Milliseconds(1));
     }},
    {"HandleRun",
     [](TcpConnectionCallsTest& test, TcpConnection& conn) {
       test.Post([](TcpConnection& conn) { conn.Send("posted"); }, conn);
     }},
    {"HandleSend", [](TcpConnectionCallsTest&,
                      TcpConnection& conn) { conn.handle().Send(std::string("later")); }},
    {"HandleClose", [](TcpConnectionCallsTest&, TcpConnection& conn) { conn.handle().Close(); }},
    {"HandleAbort", [](TcpConnectionCallsTest&,
                       TcpConnection& conn) { conn.handle().Abort(absl::AbortedError("posted")); }},
    {"PostedPauseAndResume",
     [](TcpConnectionCallsTest& test, TcpConnection& conn) {
       conn.PauseReading();
       test.Post([](TcpConnection& conn) { conn.ResumeReading(); }, conn);
     }},
    {"AskEverything",
     [](TcpConnectionCallsTest&, TcpConnection& conn) {
       conn.GetTcpInfo().IgnoreError();
       conn.local_address().IgnoreError();
       conn.SetNoDelay(true).IgnoreError();
       conn.SetKeepAlive({}).IgnoreError();
       conn.transport();
       conn.output_bytes();
       conn.peer_address();
       conn.loop().now();
     }},
    {"CloseAll", [](TcpConnectionCallsTest& test, TcpConnection&) { test.CloseTable(); }},
    {"SendAndCloseAll",
     [](TcpConnectionCallsTest& test, TcpConnection& conn) {
       conn.Send(std::string(3'000, 'z'));
       test.CloseTable();
       conn.Send("to nobody");
     }},
    {"CloseWriteAndCloseAll",
     [](TcpConnectionCallsTest& test, TcpConnection& conn) {
       conn.CloseWrite();
       test.CloseTable();
     }},
    {"DestroyTheTable", [](TcpConnectionCallsTest& test, TcpConnection&) { test.DestroyTable(); }},
    {"ReleaseTheTable", [](TcpConnectionCallsTest& test, TcpConnection&) { test.ReleaseTable(); }},
    {"OpenAnother", [](TcpConnectionCallsTest& test, TcpConnection&) { test.OpenAnother(); }},
    {"PeerResets", [](TcpConnectionCallsTest& test, TcpConnection&) { test.PeerResets(); }},
    {"PeerResetsAndSend",
     [](TcpConnectionCallsTest& test, TcpConnection& conn) {
       test.PeerResets();
       conn.Send("to nobody");
     }},
    {"PeerCloses", [](TcpConnectionCallsTest& test, TcpConnection&) { test.PeerCloses(); }},
    {"StopTheLoop", [](TcpConnectionCallsTest&, TcpConnection& conn) { conn.loop().Stop(); }},
};

enum class In { kOpen, kData, kWritable, kEnd, kDrain, kClose, kPost };

class TcpConnectionCallsMatrixTest : public TcpConnectionCallsTest,
                                     public ::testing::WithParamInterface<std::tuple<In, Action>> {
 protected:
  // Has the action happen in the call that the parameter names; `sends_input` has OnData() do it
  // when the input has been sent on, and so lies borrowed in the queue.
  void Arrange(bool sends_input) {
    const auto& [in, action] = GetParam();
    const auto act = [this, &action = action](TcpConnection& conn) { action.act(*this, conn); };
    log_.on_data = [=, in = in](TcpConnection& conn, Buffer& input) {
      sends_input ? (void)conn.Send(std::move(input)) : input.Consume(input.size() / 2);
      if (in == In::kData) act(conn);
    };
    if (in == In::kOpen) log_.on_open = act;
    if (in == In::kWritable) log_.on_writable = act;
    if (in == In::kDrain) log_.on_drain = act;
    if (in == In::kEnd) log_.on_end = [=](TcpConnection& conn, Buffer&) { act(conn); };
    if (in == In::kClose) log_.on_close = [=](TcpConnection& conn, const auto&) { act(conn); };
    if (in == In::kPost) {
      log_.on_open = [=](TcpConnection& conn) {
        conn.handle().Run([=](TcpConnection& conn) { act(conn); });
      };
    }
  }
};

TEST_P(TcpConnectionCallsMatrixTest, IsFine) {
  Arrange(/*sends_input=*/false);
  RunThrough();
  ExpectAnOrderlyStory();
}

TEST_P(TcpConnectionCallsMatrixTest, IsFineWhileInputIsSentOn) {
  Arrange(/*sends_input=*/true);
  RunThrough();
  ExpectAnOrderlyStory();
}

TEST_P(TcpConnectionCallsMatrixTest, IsFineWhenTheLoopGoesRightAfter) {
  Arrange(/*sends_input=*/true);
  peer_ = std::make_unique<Peer>(Open());
  if (!table_gone_) table().TellDrain();
  peer_->SendSome("hello");
  loop_.Step();
  loop_.Destroy();
  EXPECT_EQ(log_.closes.size(), 1u);
}

constexpr const char* kCallNames[] = {"Open", "Data", "Writable", "End", "Drain", "Close", "Post"};

INSTANTIATE_TEST_SUITE_P(Calls, TcpConnectionCallsMatrixTest,
                         ::testing::Combine(::testing::Values(In::kOpen, In::kData, In::kWritable,
                                                              In::kEnd, In::kDrain, In::kClose,
                                                              In::kPost),
                                            ::testing::ValuesIn(kActions)),
                         [](const auto& info) {
                           const int call = static_cast<int>(std::get<0>(info.param));
                           return absl::StrCat(std::get<1>(info.param).name, "In",
                                               kCallNames[call]);
                         });

// One connection's call does something to another.

TEST_F(TcpConnectionCallsTest, ANeighbourMayBeAbortedWhileItsEventWaitsInTheSameBatch) {
  Peer one = Open(), two = OpenNeighbour();
  const auto abort_the_other = [](ConnectionLog& other) {
    return [&other](TcpConnection&, Buffer& input) {
      input.Clear();
      if (other.connection != nullptr) other.connection->Abort(absl::AbortedError("neighbour"));
    };
  };
  log_.on_data = abort_the_other(neighbour_log_);
  neighbour_log_.on_data = abort_the_other(log_);
  one.Send("x");
  two.Send("x");
  loop_.Step();
  EXPECT_EQ(log_.closes.size() + neighbour_log_.closes.size(), 1u)
      << "an aborted connection is not offered input";
}

TEST_F(TcpConnectionCallsTest, TwoMayAnswerEachOther) {
  Peer one = Open(), two = OpenNeighbour();
  log_.on_data = [&](TcpConnection&, Buffer& input) {
    neighbour_log_.connection->Send(std::move(input));
  };
  neighbour_log_.on_data = [&](TcpConnection&, Buffer& input) {
    log_.connection->Send(std::move(input));
  };
  one.Send("to two");
  two.Send("to one");
  EXPECT_EQ(Receive(one, 6), "to one");
  EXPECT_EQ(Receive(two, 6), "to two");
}

TEST_F(TcpConnectionCallsTest, AHandlerHoldsNoCallsWhenItIsDestroyed) {
  struct Last final : ConnectionHandler {
    explicit Last(std::string* story) : story(story) {}
    ~Last() override { absl::StrAppend(story, " destroyed"); }
    void OnData(TcpConnection&, Buffer& input) override { input.Clear(); }
    void OnClose(TcpConnection&, const absl::Status&) override { absl::StrAppend(story, "closed"); }
    std::string* const story;
  };
  std::string story;
  auto [ours, theirs] = TcpPair();
  table().Open(std::move(ours), SocketAddress(), {},
               [&] { return std::make_unique<Last>(&story); });
  Peer peer(std::move(theirs));
  peer.Close();
  EXPECT_TRUE(StepUntil([&] { return story == "closed destroyed"; }));
}

}  // namespace
}  // namespace millrace
