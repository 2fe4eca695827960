// SPDX-License-Identifier: Apache-2.0
//
// ChatTest is the fixture of the chat server's tests: the program itself, with two worker loops,
// and clients that speak its lines. For the test's thread, which waits for what the server says.
//
//   TEST_F(ChatTest, TheSenderHearsItselfToo) {
//     Client ann = Enter();
//     ann.Say("hello");
//     EXPECT_EQ(ann.Line(), "[lobby] guest1: hello");
//   }

#ifndef MILLRACE_TESTS_EXAMPLES_CHAT_FIXTURE_H_
#define MILLRACE_TESTS_EXAMPLES_CHAT_FIXTURE_H_

#include <signal.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "net/socket_address.h"
#include "tests/support/child_process.h"
#include "tests/support/peer.h"

namespace millrace {

// One connection to the server.
class Client {
 public:
  explicit Client(Peer peer) : peer_(std::move(peer)) {}

  void Say(absl::string_view line) { peer_.Send(absl::StrCat(line, "\n")); }
  // The next line that the server sends, without its end; what is left, if there is no whole one.
  std::string Line() {
    size_t end;
    while ((end = buffer_.find('\n', searched_)) == buffer_.npos) {
      searched_ = buffer_.size();  // Of the rest no byte is looked at twice.
      const std::string more = peer_.Receive(1);
      if (more.empty()) return std::exchange(buffer_, "").substr(std::exchange(begin_, 0));
      buffer_ += more + peer_.ReceiveSome();
    }
    std::string line = buffer_.substr(begin_, end - begin_);
    begin_ = searched_ = end + 1;
    if (begin_ > kForgetFrom) buffer_.erase(0, std::exchange(begin_, 0)), searched_ = 0;
    return line;
  }
  // The next one that is a message and no notice.
  std::string Message() {
    std::string line = Line();
    while (absl::StartsWith(line, "* ")) line = Line();
    return line;
  }
  // Skips lines up to this one. False if it never came.
  bool WaitFor(absl::string_view wanted) {
    while (true) {
      const std::string line = Line();
      if (line == wanted) return true;
      if (line.empty() && over()) return false;
    }
  }
  // All lines until the end of the stream.
  std::vector<std::string> Rest() {
    std::vector<std::string> lines;
    for (std::string line = Line(); !line.empty() || !over(); line = Line()) lines.push_back(line);
    return lines;
  }
  // The server has ended the stream, or it broke.
  bool over() const { return peer_.ended() || peer_.was_reset(); }

  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }
  Peer& peer() { return peer_; }

 private:
  static constexpr size_t kForgetFrom = 1 << 16;

  Peer peer_;
  std::string name_;
  std::string buffer_;
  size_t begin_ = 0, searched_ = 0;
};

class ChatTest : public ::testing::Test {
 protected:
  explicit ChatTest(std::vector<std::string> flags = {}) : server_(Command(std::move(flags))) {
    std::string line = server_.ReadLine();
    absl::string_view text = line;
    EXPECT_TRUE(absl::ConsumePrefix(&text, "listening on ")) << line;
    address_ = SocketAddress::Parse(text).value_or(SocketAddress());
  }
  // A server that a test left running ends in good order, whatever has happened to it.
  ~ChatTest() override {
    if (!running_) return;
    const ChildProcess::Result result = Stop();
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }

  Client Connect() { return Client(Peer::ConnectedTo(address_)); }
  // A client that has been welcomed, and has seen itself come in.
  Client Enter() {
    Client client = Connect();
    const std::string welcome = client.Line();
    absl::string_view text = welcome;
    EXPECT_TRUE(absl::ConsumePrefix(&text, "* welcome, ")) << welcome;
    client.set_name(std::string(text.substr(0, text.find(':'))));
    EXPECT_TRUE(client.WaitFor(absl::StrCat("* ", client.name(), " joined")));
    return client;
  }
  // The same, in another room.
  Client Enter(absl::string_view room) {
    Client client = Enter();
    client.Say(absl::StrCat("/join ", room));
    EXPECT_TRUE(client.WaitFor(absl::StrCat("* you are in ", room)));
    EXPECT_TRUE(client.WaitFor(absl::StrCat("* ", client.name(), " joined")));
    return client;
  }

  ChildProcess::Result Stop() {
    running_ = false;
    server_.Signal(SIGTERM);
    return server_.Wait();
  }

  ChildProcess server_;
  SocketAddress address_;

 private:
  static std::vector<std::string> Command(std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"examples/chat/chat", "--listen=127.0.0.1:0", "--threads=2",
                                 "--drain_timeout=1s"});
    return flags;
  }

  bool running_ = true;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_EXAMPLES_CHAT_FIXTURE_H_
